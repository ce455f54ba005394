-- Enabled triggers of the session's schema: their events, and whether they are the engine's guard of large objects.
SELECT
    c.relname::text AS "table",
    t.tgname::text AS name,
    (t.tgtype & 4) <> 0 AS on_insert,
    (t.tgtype & 8) <> 0 AS on_delete,
    position('jbpm_active_clob' IN p.prosrc) > 0 AS is_guard
FROM pg_trigger AS t
INNER JOIN pg_class AS c ON t.tgrelid = c.oid
INNER JOIN pg_proc AS p ON t.tgfoid = p.oid
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND NOT t.tgisinternal
    AND t.tgenabled <> 'D'
ORDER BY c.relname, t.tgname
