-- Every file of one document. Index: imixs_snapshot_document.
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
WHERE space = %(space)s AND document_id = %(document_id)s
ORDER BY snapshot_ms
