-- What all operations together have moved, by kind, and how many there are by state; for monitoring.
SELECT
    o.operation,
    o.status,
    count(*) AS operations,
    coalesce(sum(moved.row_count), 0)::bigint AS row_count,
    coalesce(sum(moved.instance_count), 0)::bigint AS instance_count,
    max(extract(EPOCH FROM o.ended_at))::float8 AS last_end
FROM archival_operation AS o
LEFT JOIN LATERAL (
    SELECT
        sum(b.row_count) AS row_count,
        sum(cardinality(b.member_ids)) AS instance_count
    FROM archival_batch AS b
    WHERE b.audit_id = o.audit_id AND b.state = 'deleted'
) AS moved ON TRUE
GROUP BY o.operation, o.status
