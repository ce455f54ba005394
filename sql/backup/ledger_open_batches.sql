-- Batches of any operation that are in both databases, or may be: the work that dead runs have left.
SELECT
    b.batch_id,
    b.audit_id,
    b.wave,
    b.batch,
    b.state,
    b.root_ids,
    b.member_ids,
    b.member_roots,
    b.digests,
    b.table_rows,
    b.row_count,
    b.lost_objects,
    b.pending_objects,
    b.pending_discards,
    b.primary_transaction,
    b.backup_transaction
FROM archival_batch AS b
WHERE b.state IN ('copying', 'copied', 'deleting')
ORDER BY b.batch_id
