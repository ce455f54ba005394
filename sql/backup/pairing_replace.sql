-- Pair the backup with another primary, whatever was recorded before.
INSERT INTO archival_pairing (system_identifier, database_oid, database_name, schema_name)
VALUES (%(system_identifier)s, %(database_oid)s, %(database)s, %(schema)s)
ON CONFLICT (only_row) DO UPDATE SET
    system_identifier = excluded.system_identifier,
    database_oid = excluded.database_oid,
    database_name = excluded.database_name,
    schema_name = excluded.schema_name,
    recorded_at = now()
