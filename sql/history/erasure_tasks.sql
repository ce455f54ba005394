-- Index: bpm_history_task__assignee__end_time__i. A running task may still become somebody else's: it is not barred.
WITH gone AS (
    DELETE FROM bpm_history_task
    WHERE assignee = %(user)s
    RETURNING activity_instance_id, end_time
),

barred AS (
    INSERT INTO history_erased_entity (kind, entity_id)
    SELECT
        'task' AS kind,
        activity_instance_id
    FROM gone
    WHERE end_time IS NOT NULL
    ON CONFLICT (kind, entity_id) DO NOTHING
)

SELECT activity_instance_id FROM gone
