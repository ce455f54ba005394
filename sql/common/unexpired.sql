-- Trees with a member that is not over, or whose time has not come: one row for each tree, with an instance as
-- evidence. Trees and members arrive as two parallel arrays. The time of a member begins with its end; or, where
-- `archived` is set, with the moment that two more arrays have for it. The cut-off is that of its definition, which
-- goes by its id or its name; where both have one, the earlier counts. An instance without an end date is judged by
-- its start date, as in the selection. Index: processinstancelog(processinstanceid).
WITH member (root_id, id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id
    FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
),

timed (root_id, id, status, begins, cutoff) AS (
    SELECT
        m.root_id,
        m.id,
        p.status,
        CASE WHEN %(archived)s THEN a.archived_at ELSE coalesce(p.end_date, p.start_date) END,
        coalesce(
            least(
                (%(cutoffs)s::jsonb ->> p.processid)::timestamp,
                (%(cutoffs)s::jsonb ->> p.processname)::timestamp
            ),
            %(cutoff)s::timestamp
        )
    FROM member AS m
    INNER JOIN processinstancelog AS p ON m.id = p.processinstanceid
    LEFT JOIN unnest(%(archived_ids)s::bigint[], %(archived_at)s::timestamp[]) AS a (id, archived_at) ON m.id = a.id
),

judged (root_id, id, reason) AS (
    SELECT
        t.root_id,
        t.id,
        CASE
            WHEN t.status IS NULL OR t.status NOT IN (2, 3) THEN 'running_member'
            WHEN t.begins IS NULL AND %(archived)s THEN 'archived_unknown'
            WHEN t.begins IS NULL OR t.begins >= t.cutoff THEN 'younger_member'
        END
    FROM timed AS t
)

SELECT DISTINCT ON (judged.root_id)
    judged.root_id,
    judged.reason,
    judged.id
FROM judged
WHERE judged.reason IS NOT NULL
ORDER BY judged.root_id ASC, judged.reason ASC, judged.id ASC
