-- Archived hierarchies of which an instance is on hold: by its id, which the ledger has, by its business key or by its
-- process definition key.
SELECT u.unit_id
FROM cleanup_archive_unit AS u
WHERE
    u.unit_id = ANY(%(units)s)
    AND (
        u.members && %(instances)s::text[]
        OR EXISTS (
            SELECT 1
            FROM camunda_act_hi_procinst AS p
            WHERE
                p.id_ = ANY(u.members)
                AND (p.business_key_ = ANY(%(business_keys)s) OR p.proc_def_key_ = ANY(%(definitions)s))
        )
    )
