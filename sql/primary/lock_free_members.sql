-- Lock the log rows and the state rows of a batch as far as nobody holds them, without a wait; the members of which
-- somebody does are returned. Indexes: processinstancelog(processinstanceid), processinstanceinfo(instanceid).
WITH log_row AS MATERIALIZED (
    SELECT p.id
    FROM processinstancelog AS p
    WHERE p.processinstanceid = ANY(%(process)s::bigint[])
    ORDER BY p.id
    FOR UPDATE SKIP LOCKED
),

state_row AS MATERIALIZED (
    SELECT i.instanceid
    FROM processinstanceinfo AS i
    WHERE i.instanceid = ANY(%(process)s::bigint[])
    ORDER BY i.instanceid
    FOR UPDATE SKIP LOCKED
)

SELECT p.processinstanceid
FROM processinstancelog AS p
WHERE
    p.processinstanceid = ANY(
        %(process)s::bigint[]) AND NOT EXISTS (
        SELECT FROM log_row AS l
        WHERE p.id = l.id
    )
UNION
SELECT i.instanceid
FROM processinstanceinfo AS i
WHERE
    i.instanceid = ANY(%(process)s::bigint[])
    AND NOT EXISTS (
        SELECT FROM state_row AS s
        WHERE i.instanceid = s.instanceid
    )
