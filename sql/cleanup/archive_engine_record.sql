-- The first engine that archives here is the only one.
INSERT INTO cleanup_archive_engine (system_identifier, database_oid, database, schema, table_prefix)
VALUES (%(system_identifier)s, %(database_oid)s, %(database)s, %(schema)s, %(table_prefix)s)
ON CONFLICT (only_row) DO NOTHING
