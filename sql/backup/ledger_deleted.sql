-- The batch stands in the destination alone.
UPDATE archival_batch
SET state = 'deleted', deleted_at = now(), pending_objects = '{}'
WHERE batch_id = %(batch_id)s AND state IN ('copied', 'deleting')
RETURNING batch_id
