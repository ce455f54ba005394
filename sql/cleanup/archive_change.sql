-- Bring units from one state to the next; a unit in another state is not taken, and the caller counts. The problem of a
-- unit is remembered until it is over.
UPDATE cleanup_archive_unit
SET
    operation = %(operation)s,
    state = %(state)s,
    engine_transaction = %(transaction)s,
    problem = coalesce(%(problem)s, CASE WHEN %(state)s NOT IN ('deleted', 'discarded', 'expired') THEN problem END),
    changed_at = now()
WHERE unit_id = ANY(%(units)s) AND operation = %(old_operation)s AND state = %(old_state)s
