-- Batches of a bulk deletion that were accepted and did not get their turn; nothing was written for them.
UPDATE archival_batch
SET state = 'planned', backup_transaction = NULL, copied_at = NULL
WHERE audit_id = %(audit_id)s AND state = 'copied'
