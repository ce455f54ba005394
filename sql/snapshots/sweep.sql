-- Removes some stored snapshots whose history somebody else took away, whole or in part. Only what is past its removal
-- time can be gone in part.
DELETE FROM stored_snapshot
WHERE
    id IN (
        SELECT snapshot.id
        FROM stored_snapshot AS snapshot
        LEFT JOIN act_hi_procinst AS instance ON snapshot.process_instance_id = instance.id_
        WHERE
            instance.id_ IS NULL
            OR (
                instance.removal_time_ <= %(now)s
                AND (
                    NOT EXISTS (
                        SELECT 1
                        FROM act_hi_actinst AS activity
                        WHERE activity.id_ = snapshot.activity_instance_id
                    )
                    OR EXISTS (
                        SELECT 1
                        FROM stored_variable AS variable
                        LEFT JOIN act_hi_detail AS change ON variable.change_id = change.id_
                        WHERE
                            variable.snapshot_id = snapshot.id
                            AND variable.change_id IS NOT NULL
                            AND change.id_ IS NULL
                    )
                )
            )
        ORDER BY snapshot.id
        LIMIT %(size)s
    )
