-- A tree that did not move, with the reason; the last reason counts.
INSERT INTO archival_tree (audit_id, root_id, batch, outcome, reason, process_instance_id, error_code, detail)
VALUES (
    %(audit_id)s, %(root_id)s, %(batch)s, %(outcome)s, %(reason)s, %(process_instance_id)s, %(error_code)s, %(detail)s
)
ON CONFLICT (audit_id, root_id) DO UPDATE
    SET
        outcome = excluded.outcome,
        reason = excluded.reason,
        process_instance_id = excluded.process_instance_id,
        error_code = excluded.error_code,
        detail = excluded.detail,
        recorded_at = now()
