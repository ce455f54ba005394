-- Last value of each sequence of the session's schema, and whether the role may see it. A sequence that has not been
-- used counts from one before its start.
SELECT
    s.sequencename::text AS name,
    has_sequence_privilege(
        quote_ident(s.schemaname) || '.' || quote_ident(s.sequencename), 'SELECT, USAGE'
    ) AS readable,
    coalesce(s.last_value, s.start_value - 1) AS last_value
FROM pg_sequences AS s
WHERE s.schemaname = current_schema() AND s.sequencename = ANY(%(names)s::text[])
