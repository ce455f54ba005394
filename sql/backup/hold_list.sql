-- Holds in the order in which they were placed; released ones too where they are asked for.
SELECT
    h.hold_id,
    h.engine,
    h.kind,
    h.value,
    h.reason,
    h.placed_by,
    h.placed_at,
    h.release_reason,
    h.released_by,
    h.released_at
FROM archival_hold AS h
WHERE
    (h.released_at IS NULL OR %(released)s)
    AND (h.engine = %(engine)s OR %(engine)s::text IS NULL)
ORDER BY h.hold_id
