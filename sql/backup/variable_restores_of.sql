-- The audit of the restores of one process instance, oldest first.
SELECT
    restore.audit_id,
    restore.plan_id,
    restore.operation,
    restore.audit_status,
    restore.step_number,
    restore.title,
    restore.names,
    restore.http_status,
    restore.error_code,
    restore.error_summary,
    restore.created_at
FROM variable_restores AS restore
WHERE restore.process_instance_id = %(process_instance_id)s
ORDER BY restore.id
