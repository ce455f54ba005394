-- The numbers of the removals that have read the holds and not ended yet; see catalogue/holds.py.
SELECT l.objid::bigint::integer AS number
FROM pg_locks AS l
WHERE
    l.locktype = 'advisory'
    AND l.granted
    AND l.mode = 'ExclusiveLock'
    AND l.database = (
        SELECT d.oid FROM pg_database AS d
        WHERE d.datname = current_database()
    )
    AND l.classid = 1634952294::oid
ORDER BY number
