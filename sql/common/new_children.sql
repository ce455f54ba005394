-- Children of the members that are not members themselves: they came after the batch was planned.
-- Index: processinstancelog(parentprocessinstanceid).
SELECT DISTINCT
    p.parentprocessinstanceid,
    p.processinstanceid
FROM processinstancelog AS p
WHERE
    p.parentprocessinstanceid = ANY(%(process)s::bigint[])
    AND p.parentprocessinstanceid > 0
    AND p.processinstanceid > 0
    AND p.processinstanceid <> ALL(%(process)s::bigint[])
