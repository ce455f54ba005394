-- One page of the rows of one audit, oldest first. Index: process_audit_logs (audit_id, id).
SELECT log.*
FROM process_audit_logs AS log
WHERE log.audit_id = %(audit_id)s
ORDER BY log.id
LIMIT %(page_size)s OFFSET %(offset)s
