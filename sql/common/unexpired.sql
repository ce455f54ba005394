-- Trees with a member that is not over, or has not ended before the cut-off of its definition: one row for each tree
-- and reason, with an instance as evidence. Trees and members arrive as two parallel arrays. A definition goes by its
-- id or its name; where both have a cut-off, the earlier one counts. An instance without an end date is judged by its
-- start date, as in the selection. Index: processinstancelog(processinstanceid).
WITH member (root_id, id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id
    FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
),

judged (root_id, id, reason) AS (
    SELECT
        m.root_id,
        m.id,
        CASE
            WHEN p.status IS NULL OR p.status NOT IN (2, 3) THEN 'running_member'
            WHEN
                coalesce(p.end_date, p.start_date) < coalesce(
                    least(
                        (%(cutoffs)s::jsonb ->> p.processid)::timestamp,
                        (%(cutoffs)s::jsonb ->> p.processname)::timestamp
                    ),
                    %(cutoff)s::timestamp
                )
                THEN NULL
            ELSE 'younger_member'
        END
    FROM member AS m
    INNER JOIN processinstancelog AS p ON m.id = p.processinstanceid
)

SELECT DISTINCT ON (judged.root_id)
    judged.root_id,
    judged.reason,
    judged.id
FROM judged
WHERE judged.reason IS NOT NULL
ORDER BY judged.root_id ASC, judged.reason ASC, judged.id ASC
