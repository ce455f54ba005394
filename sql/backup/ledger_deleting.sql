-- What the destination gave back is equal, and the deletion is about to be committed in the primary's transaction named
-- here: if the answer is lost, it can be asked for. Large objects and copies that are to go after it are remembered.
UPDATE archival_batch
SET
    state = 'deleting',
    primary_transaction = %(primary_transaction)s,
    digests = coalesce(%(digests)s::jsonb, digests),
    lost_objects = greatest(%(lost_objects)s, lost_objects),
    pending_objects = %(pending_objects)s::bigint[],
    pending_discards = %(pending_discards)s::bigint[]
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
