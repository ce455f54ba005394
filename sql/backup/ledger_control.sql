-- What an operator asked of a running operation.
SELECT
    o.paused,
    o.pause_ms,
    o.stop_requested
FROM archival_operation AS o
WHERE o.audit_id = %(audit_id)s
