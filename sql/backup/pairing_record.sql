-- Record the primary where none is recorded yet; an earlier record stays.
INSERT INTO archival_pairing (system_identifier, database_oid, database_name, schema_name)
VALUES (%(system_identifier)s, %(database_oid)s, %(database)s, %(schema)s)
ON CONFLICT (only_row) DO NOTHING
