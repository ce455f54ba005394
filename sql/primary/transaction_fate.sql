-- What became of a transaction of this server, and which of the instances it has. The status is NULL where the server
-- has forgotten the transaction. A number that was not given out yet belonged to a transaction that a crash of the
-- server lost before anything of it was on disk: pg_xact_status would refuse it. Only an unused number of our own,
-- taken when the status is asked for, is sure to be above every number in use.
-- Index: processinstancelog(processinstanceid).
SELECT
    CASE
        WHEN %(transaction)s::xid8 < pg_current_xact_id() THEN pg_xact_status(%(transaction)s::xid8)
        ELSE 'aborted'
    END AS status,
    array(
        SELECT DISTINCT p.processinstanceid
        FROM processinstancelog AS p
        WHERE p.processinstanceid = ANY(%(members)s::bigint[])
    ) AS there
