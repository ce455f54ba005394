-- What became of one operation: batches and instances by state, trees that stayed.
SELECT
    count(*) AS batches,
    count(*) FILTER (WHERE b.state = 'planned') AS planned,
    count(*) FILTER (WHERE b.state IN ('copying', 'copied', 'deleting')) AS open,
    count(*) FILTER (WHERE b.state = 'deleted') AS deleted,
    count(*) FILTER (WHERE b.state = 'empty') AS empty,
    count(*) FILTER (WHERE b.state IN ('failed', 'abandoned')) AS failed,
    coalesce(sum(b.row_count) FILTER (WHERE b.state = 'deleted'), 0)::bigint AS rows_moved,
    coalesce(sum(cardinality(b.member_ids)) FILTER (WHERE b.state = 'deleted'), 0)::bigint AS instances_moved,
    coalesce(sum(b.lost_objects) FILTER (WHERE b.state = 'deleted'), 0)::bigint AS lost_objects,
    (
        SELECT count(*)
        FROM archival_tree AS t
        WHERE t.audit_id = %(audit_id)s AND t.outcome = 'skipped'
    ) AS trees_skipped,
    (
        SELECT count(*)
        FROM archival_tree AS t
        WHERE t.audit_id = %(audit_id)s AND t.outcome = 'quarantined'
    ) AS trees_quarantined,
    (
        SELECT count(DISTINCT m.root_id)
        FROM archival_batch AS d
        CROSS JOIN LATERAL unnest(d.member_roots) AS m (root_id)
        WHERE d.audit_id = %(audit_id)s AND d.state = 'deleted'
    ) AS trees_moved
FROM archival_batch AS b
WHERE b.audit_id = %(audit_id)s
