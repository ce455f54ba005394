-- Units by their ids.
SELECT
    unit_id,
    kind,
    operation,
    state,
    run_id,
    members,
    row_ids,
    engine_transaction,
    problem
FROM cleanup_archive_unit
WHERE unit_id = ANY(%(units)s)
ORDER BY unit_id
