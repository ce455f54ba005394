-- The one primary that this backup schema serves. The key admits a single row.
CREATE TABLE IF NOT EXISTS archival_pairing (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    system_identifier text NOT NULL,
    database_oid bigint NOT NULL,
    database_name text NOT NULL,
    schema_name text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
)
