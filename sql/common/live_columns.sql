-- Columns of every table of the session's schema, in physical order.
SELECT
    c.relname AS "table",
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS sql_type,
    a.attnotnull AS not_null,
    (a.attgenerated <> '' OR a.attidentity <> '') AS generated
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
    AND a.attnum > 0
    AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
