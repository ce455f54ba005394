-- How many audits match; every criterion is optional and looks at the latest row of the audit.
SELECT count(*)
FROM process_audit_latest_v1 AS latest
WHERE
    (%(audit_type)s::text IS NULL OR latest.audit_type = %(audit_type)s)
    AND (%(audit_status)s::text IS NULL OR latest.audit_status = %(audit_status)s)
    AND (%(process_name)s::text IS NULL OR latest.process_name = %(process_name)s)
    AND (%(deployment_id)s::text IS NULL OR latest.deployment_id = %(deployment_id)s)
    AND (%(from)s::timestamptz IS NULL OR latest.created_at >= %(from)s)
    AND (%(to)s::timestamptz IS NULL OR latest.created_at < %(to)s)
