-- Which of these processes run, and which belong to a tree that still runs anywhere. A tree is what the parents
-- connect; every id is visited once, so a cycle ends.
WITH RECURSIVE asked AS (
    SELECT unnest(%(process_ids)s::bigint[]) AS process_id
),

family AS (
    SELECT
        process_id,
        process_id AS member
    FROM asked
    UNION
    SELECT
        f.process_id,
        step.member
    FROM family AS f
    CROSS JOIN LATERAL (
        SELECT p.parentprocessinstanceid AS member
        FROM processinstancelog AS p
        WHERE p.processinstanceid = f.member AND p.parentprocessinstanceid > 0
        UNION ALL
        SELECT c.processinstanceid
        FROM processinstancelog AS c
        WHERE c.parentprocessinstanceid = f.member AND f.member > 0
    ) AS step
),

judged AS (
    SELECT
        f.process_id,
        f.member,
        EXISTS (
            SELECT FROM processinstanceinfo AS i
            WHERE i.instanceid = f.member
        )
        OR EXISTS (
            SELECT FROM processinstancelog AS p
            WHERE p.processinstanceid = f.member AND p.status IN (0, 1, 4)
        ) AS runs
    FROM family AS f
)

SELECT
    process_id::text AS process_id,
    bool_or(runs AND member = process_id) AS runs,
    bool_or(runs) AS tree_runs
FROM judged
GROUP BY process_id
