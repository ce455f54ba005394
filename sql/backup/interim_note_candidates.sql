-- Remember what looks left behind; answer since when, in seconds by this server's clock alone.
INSERT INTO interim_candidate (store, name, shape)
SELECT
    %(store)s,
    found.name,
    found.shape
FROM unnest(%(names)s::text[], %(shapes)s::text[]) AS found (name, shape)
ON CONFLICT (store, name) DO UPDATE SET last_seen_at = now()
RETURNING
    name,
    extract(EPOCH FROM now() - first_seen_at)::float AS seconds
