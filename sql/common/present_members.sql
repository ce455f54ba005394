-- Which of the members this side already has. Index: processinstancelog(processinstanceid).
SELECT DISTINCT p.processinstanceid
FROM processinstancelog AS p
WHERE p.processinstanceid = ANY(%(process)s::bigint[])
