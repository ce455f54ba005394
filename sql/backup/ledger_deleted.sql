-- The batch stands in the destination alone. In a restore this runs in the transaction that deletes the rows.
-- A tree that an earlier try of this batch had to leave, and this one did not, is no longer reported.
WITH cleared AS (
    DELETE FROM archival_tree AS t
    USING archival_batch AS b
    WHERE
        b.batch_id = %(batch_id)s
        AND b.state IN ('copied', 'deleting')
        AND t.audit_id = b.audit_id
        AND t.root_id = ANY(%(member_roots)s::bigint[])
)

UPDATE archival_batch
SET
    state = CASE WHEN cardinality(%(member_ids)s::bigint[]) = 0 THEN 'empty' ELSE 'deleted' END,
    member_ids = %(member_ids)s::bigint[],
    member_roots = %(member_roots)s::bigint[],
    table_rows = coalesce(%(table_rows)s::jsonb, table_rows),
    row_count = coalesce(%(row_count)s, row_count),
    deleted_at = now(),
    pending_objects = '{}',
    pending_discards = '{}'
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
