INSERT INTO history_cursor (source, kind, horizon, version)
VALUES (%(source)s, %(kind)s, %(horizon)s, %(version)s)
ON CONFLICT (source, kind) DO UPDATE
    SET horizon = excluded.horizon, version = excluded.version, read_at = excluded.read_at
