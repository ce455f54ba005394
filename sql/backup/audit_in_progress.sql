-- The latest row of every audit that has not ended, newest first.
SELECT latest.*
FROM process_audit_latest_v1 AS latest
WHERE latest.audit_status IN ('initiated', 'in_progress')
ORDER BY latest.id DESC
