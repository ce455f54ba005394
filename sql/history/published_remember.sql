INSERT INTO history_published (source, kind, entity_id, row_version, is_over)
SELECT
    %(source)s,
    %(kind)s,
    given.entity_id,
    given.row_version,
    given.is_over
FROM unnest(%(ids)s::text[], %(versions)s::bigint[], %(over)s::boolean[]) AS given (entity_id, row_version, is_over)
ON CONFLICT (source, kind, entity_id) DO UPDATE
    SET row_version = excluded.row_version, is_over = excluded.is_over
