-- The waves of one operation: how many batches and trees each has.
SELECT
    b.wave,
    count(*) AS batches,
    sum(cardinality(b.root_ids))::bigint AS trees
FROM archival_batch AS b
WHERE b.audit_id = %(audit_id)s
GROUP BY b.wave
ORDER BY b.wave
