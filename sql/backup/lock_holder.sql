-- Who holds the operation lock of this schema.
SELECT a.application_name
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
WHERE
    l.locktype = 'advisory'
    AND l.granted
    AND l.database = (
        SELECT d.oid FROM pg_database AS d
        WHERE d.datname = current_database()
    )
    AND l.classid = 1634952293::oid
    AND l.objid::bigint = hashtext(current_schema())::bigint & 4294967295
