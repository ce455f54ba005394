-- The crash-safety record of every move. archival_operation: one row per operation; archival_batch: one row per batch
-- with its state; archival_tree: trees of an operation that did not move, with the reason.
CREATE TABLE IF NOT EXISTS archival_operation (
    audit_id text PRIMARY KEY,
    operation text NOT NULL CHECK (operation IN ('backup', 'restore', 'delete')),
    filters jsonb NOT NULL,
    options jsonb NOT NULL,
    bound_filters jsonb NOT NULL,
    selected_count bigint NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'in_progress' CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
    -- what an operator asked of it while it goes on
    paused boolean NOT NULL DEFAULT FALSE,
    pause_ms integer CHECK (pause_ms BETWEEN 0 AND 600000),
    stop_requested boolean NOT NULL DEFAULT FALSE,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

CREATE TABLE IF NOT EXISTS archival_batch (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    audit_id text NOT NULL REFERENCES archival_operation (audit_id),
    wave integer NOT NULL,
    batch integer NOT NULL,
    -- planned -> copying -> copied -> deleting -> deleted, or one of: empty, failed, abandoned
    state text NOT NULL DEFAULT 'planned' CHECK (
        state IN ('planned', 'copying', 'copied', 'deleting', 'deleted', 'empty', 'failed', 'abandoned')
    ),
    root_ids bigint[] NOT NULL,
    -- member_ids[i] belongs to the tree of member_roots[i]
    member_ids bigint[] NOT NULL DEFAULT '{}',
    member_roots bigint[] NOT NULL DEFAULT '{}',
    -- rows by table as copied; digests by table as read back at the destination before the deletion
    table_rows jsonb,
    digests jsonb,
    row_count bigint NOT NULL DEFAULT 0,
    lost_objects bigint NOT NULL DEFAULT 0,
    -- large objects still to be unlinked, and roots whose copy is still to be taken back, after primary_transaction
    pending_objects bigint[] NOT NULL DEFAULT '{}',
    pending_discards bigint[] NOT NULL DEFAULT '{}',
    -- the primary's transaction that the state waits for, and the backup's that wrote the rows
    primary_transaction text,
    backup_transaction text,
    error_code text,
    error_summary text,
    planned_at timestamptz NOT NULL DEFAULT now(),
    copied_at timestamptz,
    deleted_at timestamptz,
    UNIQUE (audit_id, batch)
);

CREATE INDEX IF NOT EXISTS archival_batch_open ON archival_batch (state) WHERE state IN (
    'copying', 'copied', 'deleting'
);

CREATE TABLE IF NOT EXISTS archival_tree (
    audit_id text NOT NULL REFERENCES archival_operation (audit_id),
    root_id bigint NOT NULL,
    batch integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('skipped', 'quarantined')),
    reason text NOT NULL,
    process_instance_id bigint,
    error_code text,
    detail text,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (audit_id, root_id)
);
