-- How many units the backup has held alone since before a moment, and how many of them wait for a person.
-- Index: cleanup_archive_unit_archived.
SELECT
    count(*) FILTER (WHERE problem IS NULL) AS expired,
    count(problem) AS with_problem
FROM cleanup_archive_unit
WHERE operation = 'backup' AND state = 'deleted' AND changed_at < %(before)s
