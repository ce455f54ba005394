-- Tables of the session's schema whose rows the session's role may lock: FOR UPDATE asks for UPDATE on some column.
SELECT c.relname::text AS name
FROM pg_class AS c
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
    AND has_any_column_privilege(c.oid, 'UPDATE')
ORDER BY c.relname
