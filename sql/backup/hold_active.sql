-- The holds of one engine that stand now.
SELECT
    h.kind,
    h.value
FROM archival_hold AS h
WHERE h.engine = %(engine)s AND h.released_at IS NULL
