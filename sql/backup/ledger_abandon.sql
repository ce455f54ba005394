-- Batches of an operation that will not get their turn any more.
UPDATE archival_batch
SET state = 'abandoned', error_code = %(error_code)s, error_summary = %(error_summary)s
WHERE audit_id = %(audit_id)s AND state = 'planned'
RETURNING cardinality(root_ids)
