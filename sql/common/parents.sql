-- The parents that the given instances name, whether or not they are in this database.
-- Index: processinstancelog(processinstanceid).
SELECT
    p.processinstanceid,
    p.parentprocessinstanceid
FROM processinstancelog AS p
WHERE p.processinstanceid = ANY(%(process)s::bigint[]) AND p.parentprocessinstanceid > 0
