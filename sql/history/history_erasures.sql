-- What must not come back when old events are read again. No user is named: the fingerprint is one-way.
CREATE TABLE history_erased_user (
    user_fingerprint bytea PRIMARY KEY,
    erased_at timestamp NOT NULL
);

CREATE TABLE history_erased_entity (
    kind text NOT NULL,
    entity_id text NOT NULL,
    PRIMARY KEY (kind, entity_id)
);
