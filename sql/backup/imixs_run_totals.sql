-- Sums over all runs of each operation, and the end of the last good one.
SELECT
    operation,
    count(*) AS runs,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    extract(EPOCH FROM max(ended_at) FILTER (WHERE status = 'completed')) AS last_success,
    (
        SELECT jsonb_object_agg(counted.name, counted.total)
        FROM (
            SELECT
                n.key AS name,
                sum(n.value::numeric) AS total
            FROM imixs_run AS r, jsonb_each_text(r.numbers) AS n
            WHERE r.space = %(space)s AND r.operation = imixs_run.operation
            GROUP BY n.key
        ) AS counted
    ) AS numbers
FROM imixs_run
WHERE space = %(space)s
GROUP BY operation
ORDER BY operation
