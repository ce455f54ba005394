-- Variable snapshots that were stored: who owned what, and which history row holds the value. No value is copied.
CREATE TABLE IF NOT EXISTS stored_snapshot (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT stored_snapshot_pkey PRIMARY KEY,
    process_instance_id text NOT NULL,
    process_definition_id text NOT NULL,
    process_definition_key text NOT NULL,
    activity_instance_id text NOT NULL,
    activity_id text NOT NULL,
    loop_index integer,
    boundary text NOT NULL,
    activity_time timestamp NOT NULL,
    path text[] NOT NULL,
    refusal text,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT stored_snapshot_once UNIQUE (activity_instance_id, boundary),
    CONSTRAINT stored_snapshot_boundary_check CHECK (boundary IN ('start', 'end'))
);

COMMENT ON TABLE stored_snapshot IS 'Snapshots by reference; they go with the history that they refer to.';

CREATE INDEX IF NOT EXISTS stored_snapshot_instance_idx ON stored_snapshot (process_instance_id, id);

CREATE INDEX IF NOT EXISTS stored_snapshot_activity_idx ON stored_snapshot (process_definition_key, activity_id, id);

CREATE TABLE IF NOT EXISTS stored_variable (
    snapshot_id bigint NOT NULL CONSTRAINT stored_variable_snapshot_fkey REFERENCES stored_snapshot ON DELETE CASCADE,
    place integer NOT NULL,
    listed_as text NOT NULL,
    name text NOT NULL,
    variable_id text NOT NULL,
    change_id text,
    owner_kind text NOT NULL,
    owner_activity_instance_id text,
    owner_activity_id text,
    owner_execution_id text,
    depth integer NOT NULL,
    flags text[] NOT NULL,
    CONSTRAINT stored_variable_pkey PRIMARY KEY (snapshot_id, place)
);

COMMENT ON COLUMN stored_variable.change_id IS 'ACT_HI_DETAIL.ID_; the row names its byte array, if it has one.';

CREATE INDEX IF NOT EXISTS stored_variable_change_idx ON stored_variable (change_id);

-- One row: how far activity instances were looked at, in the time of the engine, and when lost snapshots last went.
CREATE TABLE IF NOT EXISTS stored_progress (
    single boolean NOT NULL DEFAULT TRUE CONSTRAINT stored_progress_pkey PRIMARY KEY,
    seen_until timestamp,
    swept_at timestamptz,
    CONSTRAINT stored_progress_one_row CHECK (single)
);

INSERT INTO stored_progress (single) VALUES (TRUE)
ON CONFLICT DO NOTHING;

COMMENT ON COLUMN stored_snapshot.refusal IS 'Why history could not answer; then there are no variables.';
