-- The engine that archives here.
SELECT
    system_identifier,
    database_oid,
    database,
    schema,
    table_prefix
FROM cleanup_archive_engine
