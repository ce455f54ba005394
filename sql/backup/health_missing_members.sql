-- Instances of the newest finished backup batches that the archive no longer has, although no later restore and no
-- later deletion took them out.
WITH newest AS (
    SELECT
        b.batch_id,
        b.audit_id,
        b.member_ids
    FROM archival_batch AS b
    INNER JOIN archival_operation AS o ON b.audit_id = o.audit_id
    WHERE o.operation = 'backup' AND b.state = 'deleted'
    ORDER BY b.batch_id DESC
    LIMIT %(batches)s
),

members AS (
    SELECT
        n.batch_id,
        n.audit_id,
        m.process_instance_id
    FROM newest AS n
    CROSS JOIN LATERAL unnest(n.member_ids) AS m (process_instance_id)
),

taken_out AS (
    SELECT
        l.batch_id,
        t.process_instance_id
    FROM archival_batch AS l
    INNER JOIN archival_operation AS o ON l.audit_id = o.audit_id
    CROSS JOIN LATERAL unnest(l.member_ids) AS t (process_instance_id)
    WHERE
        o.operation <> 'backup'
        AND l.state IN ('copying', 'copied', 'deleting', 'deleted')
        AND l.batch_id > (
            SELECT min(n.batch_id) FROM newest AS n
        )
)

SELECT
    m.audit_id,
    m.process_instance_id
FROM members AS m
WHERE
    NOT EXISTS (
        SELECT FROM processinstancelog AS p
        WHERE p.processinstanceid = m.process_instance_id
    )
    AND NOT EXISTS (
        SELECT FROM taken_out AS t
        WHERE t.process_instance_id = m.process_instance_id AND t.batch_id > m.batch_id
    )
ORDER BY m.audit_id, m.process_instance_id
LIMIT %(shown)s
