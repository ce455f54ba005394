-- Roots of the trees that an operation moved.
SELECT DISTINCT m.root_id
FROM archival_batch AS b
CROSS JOIN LATERAL unnest(b.member_roots) AS m (root_id)
WHERE b.audit_id = %(audit_id)s AND b.state = 'deleted'
ORDER BY m.root_id
