-- What became of a transaction of the engine's server. NULL where the server has forgotten it; a number that was not
-- given out yet belonged to a transaction that a crash of the server lost.
SELECT
    CASE
        WHEN %(transaction)s::xid8 < pg_current_xact_id() THEN pg_xact_status(%(transaction)s::xid8)
        ELSE 'aborted'
    END AS status
