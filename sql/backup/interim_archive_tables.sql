-- Interim data that was kept before it was removed. interim_archive: one row per thing that was kept, a process's part
-- of Redis or a file; interim_archive_piece: its content, encrypted, in pieces. A thing that is kept again is a row
-- more: the newest counts, and nothing that was kept is ever overwritten.
CREATE TABLE IF NOT EXISTS interim_archive (
    entry_id uuid PRIMARY KEY,
    -- the order of keeping, whatever the clock does
    kept_order bigint GENERATED ALWAYS AS IDENTITY,
    process_id text NOT NULL,
    store text NOT NULL CHECK (store IN ('redis', 'files')),
    -- the key of a file; empty for Redis
    name text NOT NULL,
    plain_bytes bigint NOT NULL,
    -- of the encrypted content, all pieces together
    sha256 text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    restored_at timestamptz
);

CREATE INDEX IF NOT EXISTS interim_archive_process ON interim_archive (process_id);
CREATE INDEX IF NOT EXISTS interim_archive_kept_at ON interim_archive (kept_at);

CREATE TABLE IF NOT EXISTS interim_archive_piece (
    entry_id uuid NOT NULL REFERENCES interim_archive (entry_id) ON DELETE CASCADE,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (entry_id, number)
)
