-- Tables of the session's schema on which row-level security applies to the session's role.
SELECT c.relname::text AS name
FROM pg_class AS c
WHERE
    c.relnamespace = to_regnamespace(quote_ident(current_schema()))
    AND c.relkind IN ('r', 'p')
    AND c.relrowsecurity
    AND row_security_active(c.oid)
ORDER BY c.relname
