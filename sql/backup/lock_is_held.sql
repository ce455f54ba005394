-- Whether the given backend still holds the operation lock of this schema.
SELECT EXISTS(
    SELECT
    FROM pg_locks AS l
    WHERE
        l.locktype = 'advisory'
        AND l.granted
        AND l.pid = %(backend)s
        AND l.database = (
            SELECT d.oid FROM pg_database AS d
            WHERE d.datname = current_database()
        )
        AND l.classid = 1634952293::oid
        AND l.objid::bigint = hashtext(current_schema())::bigint & 4294967295
) AS held
