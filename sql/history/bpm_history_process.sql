-- One row per process instance. Only the key is required: an event may come before the one that says the rest.
-- versions: one number per field, in the order of the fields in history/events/fields.py.
CREATE TABLE bpm_history_process (
    process_instance_id text PRIMARY KEY,
    super_process_instance_id text,
    process_definition_id text,
    process_definition_key text,
    process_definition_name text,
    business_key text,
    start_time timestamp,
    end_time timestamp,
    start_user_id text,
    state text,
    excerpt_id text,
    completion_result text,
    versions bigint[] NOT NULL
);

CREATE INDEX bpm_hp__start_user_id__state__i
ON bpm_history_process (start_user_id, state);

-- Every list is sorted by one field, then by start and id: the default sort needs no further step.
CREATE INDEX bpm_hp__start_user_id__state_active__start_time__i
ON bpm_history_process (start_user_id, start_time DESC, process_instance_id)
WHERE super_process_instance_id IS NULL AND state IN ('ACTIVE', 'SUSPENDED');

CREATE INDEX bpm_hp__start_user_id__state_completed__start_time__i
ON bpm_history_process (start_user_id, start_time DESC, process_instance_id)
WHERE super_process_instance_id IS NULL AND state IN ('COMPLETED', 'EXTERNALLY_TERMINATED', 'INTERNALLY_TERMINATED');

CREATE INDEX bpm_hp__start_user_id__state_completed__end_time__i
ON bpm_history_process (start_user_id, end_time DESC, start_time DESC, process_instance_id)
WHERE super_process_instance_id IS NULL AND state IN ('COMPLETED', 'EXTERNALLY_TERMINATED', 'INTERNALLY_TERMINATED');

-- For retention.
CREATE INDEX bpm_hp__end_time__i ON bpm_history_process (end_time);
