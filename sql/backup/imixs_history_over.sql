-- Files of the history that are one too many for their document, or too old.
SELECT
    snapshot_id,
    path
FROM (
    SELECT
        snapshot_id,
        path,
        place,
        snapshot_ms,
        row_number() OVER (PARTITION BY document_id ORDER BY snapshot_ms DESC) AS rank
    FROM imixs_snapshot
    WHERE space = %(space)s AND document_id = ANY(%(document_ids)s)
) AS ranked
WHERE
    place = 'history'
    AND (rank > %(history)s OR (%(older_ms)s::bigint IS NOT NULL AND snapshot_ms < %(older_ms)s))
