-- Fingerprint of the given tables of the session's schema: names, types and order of their columns, and what refers to
-- them with which action on delete. Cheap enough to be asked for every batch.
SELECT encode(sha256(convert_to(coalesce(string_agg(f.line, E'\n' ORDER BY f.line), ''), 'UTF8')), 'hex')
FROM (
    SELECT
        concat_ws(
            ' ', 'column', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull
        )
    FROM pg_class AS c
    INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
    WHERE
        c.relnamespace = to_regnamespace(quote_ident(current_schema()))
        AND c.relname = ANY(%(tables)s)
        AND a.attnum > 0
        AND NOT a.attisdropped
    UNION ALL
    SELECT concat_ws(' ', 'reference', k.conrelid::regclass, c.relname, k.confdeltype)
    FROM pg_class AS c
    INNER JOIN pg_constraint AS k ON c.oid = k.confrelid AND k.contype = 'f'
    WHERE
        c.relnamespace = to_regnamespace(quote_ident(current_schema()))
        AND c.relname = ANY(%(tables)s)
) AS f (line)
