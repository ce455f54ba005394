-- End an operation.
UPDATE archival_operation
SET status = %(status)s, ended_at = now()
WHERE audit_id = %(audit_id)s
