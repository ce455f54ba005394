-- The topics of an installation without Kafka. Positions of one topic become visible in their order: who writes to a
-- topic holds its advisory lock until the commit.
CREATE TABLE history_queue (
    position bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    key text,
    value bytea,
    headers jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, position)
);

CREATE INDEX history_queue__created_at__i ON history_queue (created_at);

CREATE TABLE history_queue_offset (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (consumer_group, topic)
);
