-- Lock the state rows of running members, so that a late transaction of the engine fails on its version instead of
-- bringing the instance back. Index: processinstanceinfo(instanceid).
SELECT count(*)
FROM (
    SELECT i.instanceid
    FROM processinstanceinfo AS i
    WHERE i.instanceid = ANY(%(process)s::bigint[])
    ORDER BY i.instanceid
    FOR UPDATE
) AS locked
