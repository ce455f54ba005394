-- Index: bpm_hp__start_user_id__state__i.
WITH gone AS (
    DELETE FROM bpm_history_process
    WHERE start_user_id = %(user)s
    RETURNING process_instance_id
)

INSERT INTO history_erased_entity (kind, entity_id)
SELECT
    'process' AS kind,
    process_instance_id
FROM gone
ON CONFLICT (kind, entity_id) DO UPDATE SET kind = excluded.kind
