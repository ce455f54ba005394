-- Let processes on hold wait by themselves, with others that wait so already as long as there is room: a hold of years
-- must not leave a piece of work for every run. They are looked at again after an hour.
WITH this AS (
    SELECT store
    FROM interim_work
    WHERE work_id = %(work_id)s
),

joined AS (
    UPDATE interim_work AS w
    SET
        items = w.items || %(items)s::jsonb,
        item_count = w.item_count + jsonb_array_length(%(items)s::jsonb)
    WHERE
        w.work_id = (
            SELECT o.work_id
            FROM interim_work AS o
            INNER JOIN this ON o.store = this.store
            WHERE
                o.finished_at IS NULL
                AND o.next_attempt_at > now()
                AND o.last_error = %(on_hold)s
                AND o.work_id <> %(work_id)s
                AND o.item_count + jsonb_array_length(%(items)s::jsonb) <= %(most)s
            ORDER BY o.work_id
            LIMIT 1
            FOR UPDATE OF o SKIP LOCKED
        )
    RETURNING w.work_id
)

INSERT INTO interim_work (store, items, item_count, next_attempt_at, last_error)
SELECT
    this.store,
    %(items)s::jsonb AS items,
    jsonb_array_length(%(items)s::jsonb) AS item_count,
    now() + interval '1 hour' AS next_attempt_at,
    %(on_hold)s AS last_error
FROM this
WHERE NOT EXISTS (SELECT FROM joined)
