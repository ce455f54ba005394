-- Batches that are in both databases, or may be, by operation: work that is to be finished.
SELECT
    b.audit_id,
    b.state,
    count(*) AS batches,
    min(b.planned_at) AS since
FROM archival_batch AS b
WHERE b.state IN ('copying', 'copied', 'deleting')
GROUP BY b.audit_id, b.state
ORDER BY since
