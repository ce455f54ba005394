-- What looks left behind as of the last sweep, by shape.
SELECT
    store,
    shape,
    count(*) AS found,
    extract(EPOCH FROM now() - min(first_seen_at))::bigint AS oldest_seconds
FROM interim_candidate
GROUP BY store, shape
ORDER BY store, shape
