-- Operations that say they are at work although another holds the lock: their runs died without a word.
SELECT
    o.audit_id,
    o.operation,
    o.filters
FROM archival_operation AS o
WHERE o.status = 'in_progress' AND o.audit_id <> %(audit_id)s
ORDER BY o.started_at
