-- Months with files that their manifest does not list, unless it was written a moment ago.
-- Index: imixs_snapshot_unlisted.
SELECT DISTINCT s.month
FROM imixs_snapshot AS s
LEFT JOIN imixs_manifest AS m ON s.space = m.space AND s.month = m.month
WHERE
    s.space = %(space)s
    AND NOT s.in_manifest
    AND (m.written_at IS NULL OR m.written_at <= now() - make_interval(mins => %(minutes)s))
ORDER BY s.month
