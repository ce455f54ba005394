-- A page of units that the backup holds alone and that a restore asks for: by an instance of the hierarchy, by business
-- key or process definition key of any of its instances, by the run that archived it.
-- Indexes: cleanup_archive_unit_members, cleanup_archive_unit_run.
WITH named AS (
    SELECT m.unit_id
    FROM cleanup_archive_unit AS m
    WHERE m.members && %(instances)s::text[]
    UNION
    SELECT m.unit_id
    FROM cleanup_archive_unit AS m
    WHERE m.run_id = ANY(%(runs)s)
    UNION
    SELECT m.unit_id
    FROM camunda_act_hi_procinst AS p
    INNER JOIN cleanup_archive_unit AS m ON m.members @> ARRAY[p.id_::text]
    WHERE p.business_key_ = ANY(%(business_keys)s) OR p.proc_def_key_ = ANY(%(definitions)s)
)

SELECT
    u.unit_id,
    u.kind,
    u.operation,
    u.state,
    u.run_id,
    u.members,
    u.row_ids,
    u.engine_transaction,
    u.problem
FROM cleanup_archive_unit AS u
WHERE
    u.operation = 'backup'
    AND u.state = 'deleted'
    AND u.unit_id > %(after)s
    AND (%(everything)s OR u.unit_id IN (SELECT n.unit_id FROM named AS n))
ORDER BY u.unit_id
LIMIT %(size)s
