-- The batch is in the destination. In a backup this runs in the transaction that holds the rows.
UPDATE archival_batch
SET
    state = 'copied',
    member_ids = %(member_ids)s::bigint[],
    member_roots = %(member_roots)s::bigint[],
    digests = %(digests)s::jsonb,
    table_rows = %(table_rows)s::jsonb,
    row_count = %(row_count)s,
    lost_objects = %(lost_objects)s,
    backup_transaction = pg_current_xact_id()::text,
    copied_at = now()
WHERE batch_id = %(batch_id)s AND state IN ('planned', 'copying')
RETURNING batch_id
