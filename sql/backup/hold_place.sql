-- Place a hold. The same may be held twice, for two reasons; each is released on its own.
INSERT INTO archival_hold (engine, kind, value, reason, placed_by)
VALUES (%(engine)s, %(kind)s, %(value)s, %(reason)s, %(placed_by)s)
RETURNING
    hold_id, engine, kind, value, reason, placed_by, placed_at, release_reason, released_by, released_at
