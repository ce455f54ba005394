-- Identity and state of the server and database behind this session.
SELECT
    (SELECT s.system_identifier FROM pg_control_system() AS s)::text AS system_identifier,
    d.oid::bigint AS database_oid,
    d.datname::text AS "database",
    current_schema()::text AS "schema",
    current_setting('server_version_num')::integer AS version,
    pg_encoding_to_char(d.encoding) AS encoding,
    pg_is_in_recovery() AS in_recovery,
    current_setting('default_transaction_read_only')::boolean AS read_only,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('max_locks_per_transaction')::integer
    * (current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer)
        AS max_locks,
    current_user::text AS "role"
FROM pg_database AS d
WHERE d.datname = current_database()
