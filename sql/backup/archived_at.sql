-- When the given instances left the primary for the archive, on the wall of the engine; of several times the last.
-- One scan of the ledger's finished backups.
SELECT
    b.id,
    max(b.deleted_at) AT TIME ZONE %(zone)s AS archived_at
FROM (
    SELECT
        batch.deleted_at,
        unnest(batch.member_ids) AS id
    FROM archival_batch AS batch
    INNER JOIN archival_operation AS o ON batch.audit_id = o.audit_id
    WHERE o.operation = 'backup' AND batch.state = 'deleted'
) AS b
INNER JOIN unnest(%(members)s::bigint[]) AS m (id) ON b.id = m.id
GROUP BY b.id
