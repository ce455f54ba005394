SELECT greatest(coalesce(max(version), 0) + 1, (extract(EPOCH FROM clock_timestamp()) * 1000000)::bigint) AS version
FROM history_cursor
WHERE source = %(source)s
