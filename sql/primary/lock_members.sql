-- Lock the log rows (and, where they run, the state rows) of a batch against the engine, in one order for everybody.
-- Index: processinstancelog(processinstanceid).
SELECT count(*)
FROM (
    SELECT p.id
    FROM processinstancelog AS p
    WHERE p.processinstanceid = ANY(%(process)s::bigint[])
    ORDER BY p.id
    FOR UPDATE
) AS locked
