-- Begin an operation, or take one up again under the same id: its frozen filters then stay as they were.
INSERT INTO archival_operation (audit_id, operation, filters, options, bound_filters)
VALUES (%(audit_id)s, %(operation)s, %(filters)s::jsonb, %(options)s::jsonb, %(bound_filters)s::jsonb)
ON CONFLICT (audit_id) DO UPDATE SET status = 'in_progress', ended_at = NULL, paused = FALSE, stop_requested = FALSE
RETURNING audit_id, operation, filters, options, bound_filters, selected_count
