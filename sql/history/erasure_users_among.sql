SELECT
    user_fingerprint,
    erased_at
FROM history_erased_user
WHERE user_fingerprint = ANY(%(fingerprints)s::bytea[])
