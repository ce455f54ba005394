SELECT
    entity_id,
    row_version
FROM history_published
WHERE source = %(source)s AND kind = %(kind)s AND entity_id = ANY(%(ids)s::text[])
