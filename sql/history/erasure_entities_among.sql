SELECT
    kind,
    entity_id
FROM history_erased_entity
WHERE kind = 'process' AND entity_id = ANY(%(process)s::text[])
UNION ALL
SELECT
    kind,
    entity_id
FROM history_erased_entity
WHERE kind = 'task' AND entity_id = ANY(%(task)s::text[])
