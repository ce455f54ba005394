-- Session mappings of the given instances: by instance id as text, and by case id; the owner must be the instance's
-- deployment, because other deployments use the same texts. Index: contextmappinginfo(context_id).
SELECT m.mappingid AS key
FROM processinstancelog AS p
INNER JOIN contextmappinginfo AS m
    ON p.processinstanceid::text = m.context_id AND p.externalid = m.owner_id
WHERE p.processinstanceid = ANY((SELECT k.keys FROM keys_process AS k)::bigint[])
UNION
SELECT m.mappingid AS key
FROM processinstancelog AS p
INNER JOIN contextmappinginfo AS m
    ON p.correlationkey = m.context_id AND p.externalid = m.owner_id
WHERE
    p.processinstanceid = ANY((SELECT k.keys FROM keys_process AS k)::bigint[])
    AND p.processtype = 2
