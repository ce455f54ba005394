-- Foreign keys that point at a table of the session's schema, whatever schema they come from.
SELECT
    k.conname AS name,
    CASE
        WHEN child.relnamespace = parent.relnamespace THEN child.relname
        ELSE child.relnamespace::regnamespace || '.' || quote_ident(child.relname)
    END AS "table",
    parent.relname AS "references",
    k.confdeltype::text AS deletes
FROM pg_constraint AS k
INNER JOIN pg_class AS child ON k.conrelid = child.oid
INNER JOIN pg_class AS parent ON k.confrelid = parent.oid
WHERE
    k.contype = 'f'
    AND parent.relnamespace = to_regnamespace(quote_ident(current_schema()))
ORDER BY 2, 1
