-- Trees of one operation that did not move, quarantined ones first.
SELECT
    t.root_id,
    t.batch,
    t.outcome,
    t.reason,
    t.process_instance_id,
    t.error_code,
    t.detail
FROM archival_tree AS t
WHERE t.audit_id = %(audit_id)s
ORDER BY t.outcome <> 'quarantined', t.root_id
LIMIT %(limit)s
