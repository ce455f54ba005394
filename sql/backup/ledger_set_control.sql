-- Ask something of a running operation; what is not given stays as it is.
UPDATE archival_operation
SET
    paused = coalesce(%(paused)s, paused),
    pause_ms = coalesce(%(pause_ms)s, pause_ms),
    stop_requested = coalesce(%(stop_requested)s, stop_requested)
WHERE audit_id = %(audit_id)s AND status = 'in_progress'
RETURNING
    audit_id,
    paused,
    pause_ms,
    stop_requested
