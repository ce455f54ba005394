-- The latest row of one audit, with the filters of its first row: the second column of that name is the one read.
-- Index: process_audit_logs (audit_id, id).
SELECT
    latest.*,
    coalesce(latest.filters, earliest.filters) AS filters
FROM process_audit_logs AS latest
CROSS JOIN
    LATERAL (
        SELECT log.filters
        FROM process_audit_logs AS log
        WHERE log.audit_id = latest.audit_id
        ORDER BY log.id
        LIMIT 1
    ) AS earliest
WHERE latest.audit_id = %(audit_id)s
ORDER BY latest.id DESC
LIMIT 1
