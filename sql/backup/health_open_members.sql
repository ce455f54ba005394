-- Instances that may be in both databases without being a mistake: members of open batches.
SELECT DISTINCT unnest(b.member_ids) AS process_instance_id
FROM archival_batch AS b
WHERE b.state IN ('copying', 'copied', 'deleting')
