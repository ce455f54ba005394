-- Columns of the session's schema whose type is not one of PostgreSQL's own: enumerations, domains, extensions' types.
-- The numbers of such types differ from database to database, and the binary image of a row carries them.
SELECT
    c.relname::text AS "table",
    a.attname::text AS name,
    format_type(a.atttypid, a.atttypmod) AS sql_type
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
    AND a.attnum > 0
    AND NOT a.attisdropped
    AND a.atttypid >= 16384
ORDER BY c.relname, a.attnum
