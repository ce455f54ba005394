-- Adds one row to the audit of a variable restore.
INSERT INTO variable_restores (
    audit_id, plan_id, process_instance_id, activity_instance_id, operation, audit_status, step_number, title,
    method, path, names, http_status, error_code, error_summary, error_resolve
)
VALUES (
    %(audit_id)s, %(plan_id)s, %(process_instance_id)s, %(activity_instance_id)s, %(operation)s, %(audit_status)s,
    %(step_number)s, %(title)s, %(method)s, %(path)s, %(names)s, %(http_status)s, %(error_code)s,
    %(error_summary)s, %(error_resolve)s
)
