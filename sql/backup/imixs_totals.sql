-- What a space holds, for the metrics and for the UI.
SELECT
    count(*) FILTER (WHERE place = 'current') AS documents,
    count(*) FILTER (WHERE place = 'history') AS older_snapshots,
    count(*) FILTER (WHERE state = 'damaged') AS damaged,
    count(*) FILTER (WHERE state = 'missing') AS missing,
    coalesce(sum(size), 0)::bigint AS bytes,
    extract(EPOCH FROM min(verified_at)) AS oldest_verification
FROM imixs_snapshot
WHERE space = %(space)s AND place <> 'incoming'
