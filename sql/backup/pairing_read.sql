-- The recorded primary: none or one row.
SELECT
    p.system_identifier,
    p.database_oid,
    p.database_name AS "database",
    p.schema_name AS "schema",
    p.recorded_at
FROM archival_pairing AS p
