-- The engine that archives here.
SELECT
    system_identifier,
    database_oid,
    schema,
    table_prefix,
    database
FROM cleanup_archive_engine
