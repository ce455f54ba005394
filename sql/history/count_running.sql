-- The same rows as list_running. Index: bpm_hp__start_user_id__state_active__start_time__i.
SELECT count(*)
FROM bpm_history_process AS p
WHERE
    p.start_user_id = %(user)s
    AND p.super_process_instance_id IS NULL
    AND p.state IN ('ACTIVE', 'SUSPENDED')
