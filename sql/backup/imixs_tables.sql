-- The record of the Imixs backup. It names a backup space by its address, so one database can serve several.
-- imixs_snapshot: one row per file that is held. imixs_event_lock: entries of the event log that we have locked, or are
-- about to; after a crash only these are unlocked. imixs_manifest: when the manifest of a month was last written.
-- imixs_run: what each run did.
CREATE TABLE IF NOT EXISTS imixs_snapshot (
    space text NOT NULL,
    snapshot_id text NOT NULL,
    document_id text NOT NULL,
    snapshot_ms bigint NOT NULL,
    -- incoming: verified under its temporary name, the rename may or may not have happened
    place text NOT NULL CHECK (place IN ('incoming', 'current', 'history')),
    state text NOT NULL DEFAULT 'good' CHECK (state IN ('good', 'damaged', 'missing')),
    month text NOT NULL,
    path text NOT NULL,
    -- of the file as it is stored
    size bigint NOT NULL,
    sha256 text NOT NULL,
    -- of the XML in it; NULL for a file that was found encrypted and could not be opened
    xml_size bigint,
    xml_sha256 text,
    -- attachments whose content did not have the digest that the document says, in the instance already
    damaged_at_source text[] NOT NULL DEFAULT '{}',
    in_manifest boolean NOT NULL DEFAULT FALSE,
    stored_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space, snapshot_id)
);

-- a document has one current file
CREATE UNIQUE INDEX IF NOT EXISTS imixs_snapshot_current
ON imixs_snapshot (space, document_id) WHERE place = 'current';

-- all files of a document, for its history and for what a crash has left
CREATE INDEX IF NOT EXISTS imixs_snapshot_document ON imixs_snapshot (space, document_id);

-- months whose manifest is behind
CREATE INDEX IF NOT EXISTS imixs_snapshot_unlisted ON imixs_snapshot (space, month) WHERE NOT in_manifest;

-- what was verified longest ago
CREATE INDEX IF NOT EXISTS imixs_snapshot_verified ON imixs_snapshot (space, verified_at);

CREATE TABLE IF NOT EXISTS imixs_event_lock (
    space text NOT NULL,
    topic text NOT NULL,
    event_id text NOT NULL,
    snapshot_id text NOT NULL,
    locked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space, topic, event_id)
);

CREATE TABLE IF NOT EXISTS imixs_manifest (
    space text NOT NULL,
    month text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space, month)
);

CREATE TABLE IF NOT EXISTS imixs_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('backup', 'full_backup', 'verify', 'restore')),
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed')),
    numbers jsonb NOT NULL DEFAULT '{}',
    problem text,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

CREATE INDEX IF NOT EXISTS imixs_run_latest ON imixs_run (space, operation, run_id);
