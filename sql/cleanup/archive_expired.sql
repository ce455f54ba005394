-- A page of units that the backup has held alone since before a moment, oldest first; those with a problem wait for a
-- person. Index: cleanup_archive_unit_archived.
SELECT
    changed_at,
    unit_id
FROM cleanup_archive_unit
WHERE
    operation = 'backup'
    AND state = 'deleted'
    AND problem IS NULL
    AND changed_at < %(before)s
    AND (changed_at, unit_id) > (%(after)s, %(unit)s)
ORDER BY changed_at, unit_id
LIMIT %(size)s
