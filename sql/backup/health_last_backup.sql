-- When a backup last ended as completed; null if none ever has.
SELECT max(o.ended_at) AS ended_at
FROM archival_operation AS o
WHERE o.operation = 'backup' AND o.status = 'completed'
