INSERT INTO history_erased_entity (kind, entity_id)
SELECT
    'process' AS kind,
    entity_id
FROM unnest(%(ids)s::text[]) AS given (entity_id)
ON CONFLICT (kind, entity_id) DO NOTHING
