-- The deletion is about to be committed in the transaction named here: if the answer is lost, it can be asked for.
UPDATE archival_batch
SET state = 'deleting', origin_transaction = %(origin_transaction)s, pending_objects = %(pending_objects)s::bigint []
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
