-- The crash-safety record of history that is archived before it is removed. cleanup_archive_engine: the one engine that
-- this backup serves. cleanup_archive_unit: one row for each hierarchy, or set of rows without a hierarchy, with its
-- state; the rows themselves stand in the tables camunda_act_....
CREATE TABLE IF NOT EXISTS cleanup_archive_engine (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    system_identifier text NOT NULL,
    database_oid bigint NOT NULL,
    database text NOT NULL,
    schema text NOT NULL,
    table_prefix text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS cleanup_archive_unit (
    -- the id of the root instance, or one that was made up for rows without one
    unit_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('hierarchy', 'rows')),
    -- backup: engine to backup, restore: the way back
    operation text NOT NULL CHECK (operation IN ('backup', 'restore')),
    -- copying -> copied -> deleting -> deleted, or discarded: the copy was taken back, the engine has the rows.
    -- A side that shares a transaction with this table skips the state that waits for a transaction of the engine.
    state text NOT NULL CHECK (state IN ('copying', 'copied', 'deleting', 'deleted', 'discarded')),
    run_id text NOT NULL,
    -- the instances of a hierarchy, or by table the ids of rows without one
    members text[] NOT NULL DEFAULT '{}',
    row_ids jsonb NOT NULL DEFAULT '{}',
    -- the engine's transaction that the state waits for
    engine_transaction text,
    -- why an open unit waits
    problem text,
    copied_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS cleanup_archive_unit_open ON cleanup_archive_unit (unit_id) WHERE state IN (
    'copying', 'copied', 'deleting'
);

CREATE INDEX IF NOT EXISTS cleanup_archive_unit_run ON cleanup_archive_unit (run_id);

CREATE INDEX IF NOT EXISTS cleanup_archive_unit_members ON cleanup_archive_unit USING gin (members);
