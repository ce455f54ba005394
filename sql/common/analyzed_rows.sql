-- Rows of each table of the session's schema when it was last analysed; 0 where it never was.
SELECT
    c.relname,
    greatest(c.reltuples, 0)::double precision AS analyzed
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind IN ('r', 'p')
