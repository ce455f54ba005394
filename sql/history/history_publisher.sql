-- How far the publisher has read each kind of change of an engine.
-- horizon: every transaction of the engine's server below it was over when the last read began.
CREATE TABLE history_cursor (
    source text NOT NULL,
    kind text NOT NULL,
    horizon bigint NOT NULL,
    version bigint NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, kind)
);

-- What was published and may be met again: whatever still runs, and what changed above the horizon.
CREATE TABLE history_published (
    source text NOT NULL,
    kind text NOT NULL,
    entity_id text NOT NULL,
    row_version bigint NOT NULL,
    is_over boolean NOT NULL,
    PRIMARY KEY (source, kind, entity_id)
);
