-- The processes that an operation has moved back to the engine's database.
SELECT DISTINCT member::text AS process_id
FROM archival_operation AS o
INNER JOIN archival_batch AS b ON o.audit_id = b.audit_id
CROSS JOIN unnest(b.member_ids) AS member
WHERE o.audit_id = %(audit_id)s AND o.operation = 'restore' AND b.state IN ('copied', 'deleting', 'deleted')
ORDER BY process_id
