-- Dead rows of the given tables, and of the large objects, with an estimate of the bytes they hold: the dead share of the
-- table's size. Counters of the statistics collector lag behind by a moment.
SELECT
    s.relname AS "table",
    s.n_dead_tup AS "deadRows",
    (
        pg_table_size(s.relid) * (s.n_dead_tup::numeric / greatest(s.n_dead_tup + s.n_live_tup, 1))
    )::bigint AS "reclaimableBytes"
FROM pg_stat_all_tables AS s
WHERE
    (s.schemaname = current_schema() AND s.relname = ANY(%(tables)s))
    OR s.relid = 'pg_catalog.pg_largeobject'::regclass
ORDER BY 3 DESC, 1
