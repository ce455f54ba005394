-- What became of a transaction of this server, and whether it has the instances. The status is NULL where the server
-- has forgotten the transaction.
SELECT
    pg_xact_status(%(transaction)s::xid8) AS status,
    EXISTS (
        SELECT
        FROM processinstancelog AS p
        WHERE p.processinstanceid = ANY(%(members)s::bigint[])
    ) AS there
