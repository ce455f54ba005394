-- The rows are about to be committed in the primary's transaction named here: if the answer is lost, it can be asked
-- for.
UPDATE archival_batch
SET
    state = 'copying',
    member_ids = %(member_ids)s::bigint[],
    member_roots = %(member_roots)s::bigint[],
    digests = %(digests)s::jsonb,
    table_rows = %(table_rows)s::jsonb,
    row_count = %(row_count)s,
    lost_objects = %(lost_objects)s,
    primary_transaction = %(primary_transaction)s
WHERE batch_id = %(batch_id)s AND state IN ('planned', 'copying')
RETURNING batch_id
