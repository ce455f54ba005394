-- Rows that an operation has moved, by table.
SELECT
    r.key AS "table",
    sum(r.value::bigint)::bigint AS moved
FROM archival_batch AS b
CROSS JOIN LATERAL jsonb_each_text(coalesce(b.table_rows, '{}')) AS r (key, value)
WHERE b.audit_id = %(audit_id)s AND b.state = 'deleted'
GROUP BY r.key
ORDER BY r.key
