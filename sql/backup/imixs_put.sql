-- Record a file, or what has become of it.
INSERT INTO imixs_snapshot (
    space,
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
)
VALUES (
    %(space)s,
    %(snapshot_id)s,
    %(document_id)s,
    %(snapshot_ms)s,
    %(place)s,
    %(state)s,
    %(month)s,
    %(path)s,
    %(size)s,
    %(sha256)s,
    %(xml_size)s,
    %(xml_sha256)s,
    %(damaged_at_source)s
)
ON CONFLICT (space, snapshot_id) DO UPDATE
    SET
        place = excluded.place,
        state = excluded.state,
        month = excluded.month,
        path = excluded.path,
        size = excluded.size,
        sha256 = excluded.sha256,
        xml_size = excluded.xml_size,
        xml_sha256 = excluded.xml_sha256,
        damaged_at_source = excluded.damaged_at_source,
        in_manifest = FALSE,
        verified_at = now()
