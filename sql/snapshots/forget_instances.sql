-- Removes the stored snapshots of process instances whose history goes in the same transaction.
DELETE FROM stored_snapshot
WHERE process_instance_id = ANY(%(ids)s)
