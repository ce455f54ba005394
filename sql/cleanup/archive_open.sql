-- A page of open units, in the order of their ids. Index: cleanup_archive_unit_open.
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
WHERE state IN ('copying', 'copied', 'deleting') AND unit_id > %(after)s
ORDER BY unit_id
LIMIT %(size)s
