-- The deletion is about to be committed in the primary's transaction named here: if the answer is lost, it can be
-- asked for. Large objects and copies that are to go after it are remembered.
UPDATE archival_batch
SET
    state = 'deleting',
    primary_transaction = %(primary_transaction)s,
    pending_objects = %(pending_objects)s::bigint [],
    pending_discards = %(pending_discards)s::bigint []
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
