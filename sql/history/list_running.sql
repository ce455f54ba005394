-- Indexes: bpm_hp__start_user_id__state_active__start_time__i, bpm_ht__assignee__root_process_instance_id__i.
SELECT
    p.*,
    p.state = 'ACTIVE' AND EXISTS (
        SELECT 1
        FROM bpm_history_task AS t
        WHERE
            t.assignee = p.start_user_id AND t.root_process_instance_id = p.process_instance_id
            AND t.end_time IS NULL
    ) AS is_pending
FROM bpm_history_process AS p
WHERE
    p.start_user_id = %(user)s
    AND p.super_process_instance_id IS NULL
    AND p.state IN ('ACTIVE', 'SUSPENDED')
