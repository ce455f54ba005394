-- The books of interim data. interim_state: how far the reading of ended processes is, and where a sweep goes on.
-- interim_work: what is to be removed, per store, with what went wrong last. interim_candidate: what looked left
-- behind, since when. interim_total: the counters of the metrics.
CREATE TABLE IF NOT EXISTS interim_state (
    name text PRIMARY KEY,
    content jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS interim_work (
    work_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store text NOT NULL CHECK (store IN ('redis', 'files')),
    -- one element per process: its id, whether it is a root, the keys that its variables name
    items jsonb NOT NULL,
    item_count integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    -- kept for a while: a failover may bring back what was removed just before it
    finished_at timestamptz,
    last_error text
);

CREATE INDEX IF NOT EXISTS interim_work_open ON interim_work (store, next_attempt_at) WHERE finished_at IS NULL;

CREATE TABLE IF NOT EXISTS interim_candidate (
    store text NOT NULL CHECK (store IN ('redis', 'files')),
    name text NOT NULL,
    shape text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store, name)
);

CREATE TABLE IF NOT EXISTS interim_total (
    figure text NOT NULL,
    place text NOT NULL,
    amount bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (figure, place)
)
