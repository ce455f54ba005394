-- Those of the given engine sessions that have no row here. Index: sessioninfo(id).
SELECT wanted.id
FROM unnest(%(sessions)s::bigint[]) AS wanted (id)
WHERE NOT EXISTS (
    SELECT FROM sessioninfo AS s
    WHERE s.id = wanted.id
)
