-- One row per user task; versions as in bpm_history_process.
CREATE TABLE bpm_history_task (
    activity_instance_id text PRIMARY KEY,
    task_definition_key text,
    task_definition_name text,
    process_instance_id text,
    process_definition_id text,
    process_definition_key text,
    process_definition_name text,
    root_process_instance_id text,
    start_time timestamp,
    end_time timestamp,
    assignee text,
    delete_reason text,
    versions bigint[] NOT NULL
);

CREATE INDEX bpm_history_task__assignee__start_time__i
ON bpm_history_task (assignee, start_time DESC, activity_instance_id);

CREATE INDEX bpm_history_task__assignee__end_time__i
ON bpm_history_task (assignee, end_time DESC, start_time DESC, activity_instance_id);

CREATE INDEX bpm_ht__assignee__root_process_instance_id__i
ON bpm_history_task (assignee, root_process_instance_id);

-- For retention and erasure.
CREATE INDEX bpm_history_task__end_time__i ON bpm_history_task (end_time);
CREATE INDEX bpm_history_task__process_instance_id__i ON bpm_history_task (process_instance_id);
