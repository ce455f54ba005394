-- Where a reading begins: what may still be uncommitted, this moment as the engine writes it, and whose database it is.
SELECT
    pg_snapshot_xmin(s.snapshot)::text AS horizon,
    (now() AT TIME ZONE %(time_zone)s)::text AS now,
    d.oid::text || ':' || current_schema()::text AS identity,
    %(before)s::text IS NOT NULL
    AND (pg_snapshot_xmin(s.snapshot)::text::numeric - %(before)s::text::numeric) BETWEEN 0 AND 1000000000 AS follows
FROM pg_database AS d, (SELECT pg_current_snapshot() AS snapshot) AS s
WHERE d.datname = current_database()
