-- Removes the stored snapshots that refer to one of these changes, which go in the same transaction.
DELETE FROM stored_snapshot
WHERE
    id IN (
        SELECT variable.snapshot_id
        FROM stored_variable AS variable
        WHERE variable.change_id = ANY(%(ids)s)
    )
