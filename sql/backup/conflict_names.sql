-- Correlation keys that the given instances bring along.
SELECT
    m.root_id,
    m.id,
    c.name
FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
INNER JOIN correlationkeyinfo AS c ON m.id = c.processinstanceid
ORDER BY m.root_id, m.id
