-- Files to verify, those not looked at for longest first; or the files of one month, for its manifest.
SELECT
    snapshot_id,
    document_id,
    snapshot_ms,
    place,
    state,
    month,
    path,
    size,
    sha256,
    xml_size,
    xml_sha256,
    damaged_at_source
FROM imixs_snapshot
WHERE
    space = %(space)s
    AND place <> 'incoming'
    AND (%(month)s::text IS NULL OR month = %(month)s)
    AND (%(before)s::timestamptz IS NULL OR verified_at < %(before)s)
ORDER BY verified_at, snapshot_id
LIMIT %(limit)s
