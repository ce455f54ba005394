-- Index: bpm_hp__start_user_id__state_completed__end_time__i.
SELECT p.*
FROM bpm_history_process AS p
WHERE
    p.start_user_id = %(user)s
    AND p.super_process_instance_id IS NULL
    AND p.state IN ('COMPLETED', 'EXTERNALLY_TERMINATED', 'INTERNALLY_TERMINATED')
