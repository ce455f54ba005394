-- Index: bpm_history_task__assignee__end_time__i. A cancelled task has an end, too, and a reason other than completion.
SELECT
    t.*,
    p.business_key
FROM bpm_history_task AS t
LEFT JOIN bpm_history_process AS p ON t.root_process_instance_id = p.process_instance_id
WHERE
    t.assignee = %(user)s
    AND t.end_time IS NOT NULL
    AND coalesce(t.delete_reason, 'completed') = 'completed'
