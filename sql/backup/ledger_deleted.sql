-- The batch stands in the destination alone. In a restore this runs in the transaction that deletes the rows.
UPDATE archival_batch
SET
    state = CASE WHEN cardinality(%(member_ids)s::bigint []) = 0 THEN 'empty' ELSE 'deleted' END,
    member_ids = %(member_ids)s::bigint [],
    member_roots = %(member_roots)s::bigint [],
    deleted_at = now(),
    pending_objects = '{}',
    pending_discards = '{}'
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
