-- Valid indexes of the session's schema: the columns they begin with and what they leave out.
SELECT
    c.relname::text AS "table",
    x.relname::text AS name,
    coalesce(a.attname::text, '') AS "leading",
    i.indisunique AS is_unique,
    i.indisprimary AS is_primary,
    pg_get_expr(i.indpred, i.indrelid) AS predicate
FROM pg_index AS i
INNER JOIN pg_class AS c ON i.indrelid = c.oid
INNER JOIN pg_class AS x ON i.indexrelid = x.oid
LEFT JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND a.attnum > 0
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
    AND i.indisvalid
ORDER BY c.relname, x.relname
