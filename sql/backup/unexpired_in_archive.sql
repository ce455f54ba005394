-- Trees of the archive with a member that is not over, or was not archived before the cut-off of its definition, or of
-- which no backup is known: one row for each tree, with an instance as evidence. Trees and members arrive as two
-- parallel arrays. A definition goes by its id or its name; where both have a cut-off, the earlier one counts.
WITH member (root_id, id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id
    FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
),

archived (id, at_moment) AS MATERIALIZED (
    SELECT
        b.id,
        max(b.deleted_at)
    FROM (
        SELECT
            batch.deleted_at,
            unnest(batch.member_ids) AS id
        FROM archival_batch AS batch
        INNER JOIN archival_operation AS o ON batch.audit_id = o.audit_id
        WHERE o.operation = 'backup' AND batch.state = 'deleted'
    ) AS b
    INNER JOIN member AS m ON b.id = m.id
    GROUP BY b.id
),

judged (root_id, id, reason) AS (
    SELECT
        m.root_id,
        m.id,
        CASE
            WHEN p.status IS NULL OR p.status NOT IN (2, 3) THEN 'running_member'
            WHEN a.at_moment IS NULL THEN 'archived_unknown'
            WHEN
                a.at_moment AT TIME ZONE %(zone)s < coalesce(
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
    LEFT JOIN archived AS a ON m.id = a.id
)

SELECT DISTINCT ON (judged.root_id)
    judged.root_id,
    judged.reason,
    judged.id
FROM judged
WHERE judged.reason IS NOT NULL
ORDER BY judged.root_id ASC, judged.reason ASC, judged.id ASC
