-- Tables of the session's schema with primary key, triggers, size and the rights of the session's role.
SELECT
    c.relname AS name,
    coalesce((
        SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
        INNER JOIN pg_attribute AS a ON i.indrelid = a.attrelid AND k.number = a.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary
    ), '{}') AS primary_key,
    coalesce((
        SELECT array_agg(t.tgname::text ORDER BY t.tgname)
        FROM pg_trigger AS t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
    ), '{}') AS triggers,
    c.relpages AS pages,
    has_table_privilege(c.oid, 'SELECT') AS may_select,
    has_table_privilege(c.oid, 'INSERT') AS may_insert,
    has_table_privilege(c.oid, 'DELETE') AS may_delete
FROM pg_class AS c
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
ORDER BY c.relname
