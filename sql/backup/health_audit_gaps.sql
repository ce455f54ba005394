-- Operations whose audit does not tell their end as the ledger has it.
SELECT
    o.audit_id,
    o.operation,
    o.status,
    o.started_at,
    latest.audit_status
FROM archival_operation AS o
LEFT JOIN LATERAL (
    SELECT log.audit_status
    FROM process_audit_logs AS log
    WHERE log.audit_id = o.audit_id
    ORDER BY log.id DESC
    LIMIT 1
) AS latest ON TRUE
WHERE
    o.started_at > now() - make_interval(days => %(days)s)
    -- the lock's holder is at work: its end is still to be told
    AND o.audit_id IS DISTINCT FROM %(at_work)s
    -- nobody holds the lock for it: what is still in progress has died
    AND (o.status = 'in_progress' OR latest.audit_status IS DISTINCT FROM o.status)
ORDER BY o.started_at
LIMIT %(shown)s
