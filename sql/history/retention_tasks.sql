-- Index: bpm_history_task__end_time__i.
DELETE FROM bpm_history_task
WHERE activity_instance_id IN (
    SELECT t.activity_instance_id
    FROM bpm_history_task AS t
    WHERE (
        t.end_time < %(limit)s
        AND NOT EXISTS (
            SELECT 1
            FROM bpm_history_process AS p
            WHERE p.process_instance_id = t.root_process_instance_id AND p.state IN ('ACTIVE', 'SUSPENDED')
        )
    ) OR (
        t.end_time IS NULL AND t.start_time IS NULL
        AND %(version)s > (SELECT max(version) FROM unnest(t.versions) AS known (version))
    )
    ORDER BY t.end_time
    LIMIT %(rows)s
)
