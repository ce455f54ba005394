-- How many rows one audit has. Index: process_audit_logs (audit_id, id).
SELECT count(*)
FROM process_audit_logs AS log
WHERE log.audit_id = %(audit_id)s
