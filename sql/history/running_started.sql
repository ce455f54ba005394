SELECT process_instance_id
FROM bpm_history_process
WHERE state IN ('ACTIVE', 'SUSPENDED') AND start_time >= %(from)s AND start_time < %(to)s
ORDER BY process_instance_id
