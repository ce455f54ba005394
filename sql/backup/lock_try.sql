-- Try to take the operation lock of this schema. The key is the schema's name, so that two archives in one database
-- do not hold each other up.
SELECT
    pg_try_advisory_lock(1634952293, hashtext(current_schema())) AS taken,
    pg_backend_pid() AS backend
