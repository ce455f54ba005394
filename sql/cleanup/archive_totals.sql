-- How many units of each kind stand where.
SELECT
    kind,
    operation,
    state,
    count(*) AS units,
    count(problem) AS with_problem
FROM cleanup_archive_unit
GROUP BY kind, operation, state
ORDER BY kind, operation, state
