-- Release a hold that stands; no row where there is none.
UPDATE archival_hold
SET
    release_reason = %(reason)s,
    released_by = %(released_by)s,
    released_at = clock_timestamp()
WHERE hold_id = %(hold_id)s AND released_at IS NULL
RETURNING
    hold_id, engine, kind, value, reason, placed_by, placed_at, release_reason, released_by, released_at
