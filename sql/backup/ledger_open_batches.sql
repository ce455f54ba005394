-- Batches of any operation that are in both databases, or may be: the work that a dead run has left.
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
    b.row_count,
    b.lost_objects,
    b.pending_objects,
    b.origin_transaction,
    b.destination_transaction
FROM archival_batch AS b
INNER JOIN archival_operation AS o ON b.audit_id = o.audit_id
WHERE b.state IN ('copied', 'deleting') AND o.operation = %(operation)s
ORDER BY b.batch_id
