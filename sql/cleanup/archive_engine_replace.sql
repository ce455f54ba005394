-- Another engine from now on: the same one on a rebuilt server. Nothing checks that the archived rows came from it.
UPDATE cleanup_archive_engine
SET
    system_identifier = %(system_identifier)s,
    database_oid = %(database_oid)s,
    database = %(database)s,
    schema = %(schema)s,
    table_prefix = %(table_prefix)s,
    recorded_at = now()
