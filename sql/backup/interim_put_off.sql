-- Put work off: what is left of it waits longer each time, up to a quarter of an hour.
UPDATE interim_work
SET
    items = %(items)s::jsonb,
    item_count = jsonb_array_length(%(items)s::jsonb),
    attempts = attempts + 1,
    next_attempt_at = now() + least(interval '15 minutes', interval '5 seconds' * power(2, least(attempts, 10))),
    last_error = %(error)s
WHERE work_id = %(work_id)s
