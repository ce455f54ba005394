-- Dead rows of the given tables and of the large objects, with an estimate of the bytes they hold: the dead share of
-- the table's size. The server's counters lag behind, so what this operation has deleted counts where it is more.
WITH dead ("table", relid, dead_rows, live_rows) AS (
    SELECT
        s.relname,
        s.relid,
        greatest(s.n_dead_tup, coalesce(m.moved, 0)),
        s.n_live_tup
    FROM pg_stat_all_tables AS s
    LEFT JOIN unnest(%(moved_tables)s::text[], %(moved)s::bigint[]) AS m (name, moved) ON s.relname = m.name
    WHERE
        (s.schemaname = current_schema() AND s.relname = ANY(%(tables)s))
        OR s.relid = 'pg_catalog.pg_largeobject'::regclass
)

SELECT
    d."table",
    d.dead_rows AS "deadRows",
    (pg_table_size(d.relid) * (d.dead_rows::numeric / greatest(d.dead_rows + d.live_rows, 1)))::bigint
        AS "reclaimableBytes"
FROM dead AS d
ORDER BY 3 DESC, 1
