-- How many instances of this database meet a hold by themselves, as hold_relatives judges them. One scan at the most.
SELECT count(*) AS instances
FROM processinstancelog AS p
WHERE
    p.processinstanceid::text = ANY(%(instances)s::text[])
    OR p.processid = ANY(%(definitions)s::text[])
    OR p.processname = ANY(%(definitions)s::text[])
    OR p.correlationkey = ANY(%(business_keys)s::text[])
    OR EXISTS (
        SELECT FROM unnest(%(business_keys)s::text[]) AS held (business_key)
        WHERE starts_with(p.correlationkey, held.business_key || ':')
    )
