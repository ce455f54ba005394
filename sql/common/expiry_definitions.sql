-- Process definitions with the number of their instances that are over, and of those among the given ones.
-- One scan of the instances.
SELECT
    coalesce(p.processid, '') AS process_id,
    coalesce(p.processname, '') AS process_name,
    count(*) AS ended,
    count(c.id) AS cleanable
FROM processinstancelog AS p
LEFT JOIN (
    SELECT DISTINCT given.id
    FROM unnest(%(cleanable)s::bigint[]) AS given (id)
) AS c ON p.processinstanceid = c.id
WHERE p.status IN (2, 3)
GROUP BY p.processid, p.processname
ORDER BY process_name, process_id
