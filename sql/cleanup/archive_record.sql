-- Write down units whose rows the same transaction has copied. A unit that is open, or that the backup holds already,
-- is not taken: the caller counts what was written.
INSERT INTO cleanup_archive_unit AS u (unit_id, kind, operation, state, run_id, members, row_ids)
SELECT
    g.unit_id,
    g.kind,
    'backup' AS operation,
    'copied' AS state,
    %(run_id)s,
    g.members,
    g.row_ids
FROM jsonb_to_recordset(%(units)s::jsonb) AS g (unit_id text, kind text, members text[], row_ids jsonb)
ON CONFLICT (unit_id) DO UPDATE SET
    kind = excluded.kind,
    operation = 'backup',
    state = 'copied',
    run_id = excluded.run_id,
    members = excluded.members,
    row_ids = excluded.row_ids,
    engine_transaction = NULL,
    problem = NULL,
    copied_at = now(),
    changed_at = now()
WHERE u.state IN ('discarded', 'expired') OR (u.operation = 'restore' AND u.state = 'deleted')
