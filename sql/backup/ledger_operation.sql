-- One operation by its id.
SELECT
    o.audit_id,
    o.operation,
    o.filters,
    o.options,
    o.bound_filters,
    o.selected_count,
    o.status
FROM archival_operation AS o
WHERE o.audit_id = %(audit_id)s
