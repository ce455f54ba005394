-- The transaction that the batch waited for was rolled back.
UPDATE archival_batch
SET state = %(state)s, primary_transaction = NULL, pending_objects = '{}', pending_discards = '{}'
WHERE batch_id = %(batch_id)s AND state IN ('copying', 'deleting')
RETURNING batch_id
