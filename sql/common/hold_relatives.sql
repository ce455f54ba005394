-- The given instances and their children in this database, each with its parent and with the kind of hold that it
-- meets by itself, if any. A hold on a case counts for what the case has started, too: such instances carry its id in
-- front of their key. Indexes: processinstancelog(processinstanceid), processinstancelog(parentprocessinstanceid).
WITH family (id, parent_id, process_id, process_name, business_key) AS (
    SELECT
        p.processinstanceid,
        p.parentprocessinstanceid,
        p.processid,
        p.processname,
        p.correlationkey
    FROM processinstancelog AS p
    WHERE p.processinstanceid = ANY(%(ids)s::bigint[])
    UNION
    SELECT
        p.processinstanceid,
        p.parentprocessinstanceid,
        p.processid,
        p.processname,
        p.correlationkey
    FROM processinstancelog AS p
    WHERE p.parentprocessinstanceid = ANY(%(ids)s::bigint[]) AND p.processinstanceid > 0
)

SELECT
    f.id,
    CASE WHEN f.parent_id > 0 THEN f.parent_id END AS parent_id,
    CASE
        WHEN f.process_id = ANY(%(definitions)s::text[]) OR f.process_name = ANY(%(definitions)s::text[])
            THEN 'definition'
        WHEN
            f.business_key = ANY(%(business_keys)s::text[])
            OR EXISTS (
                SELECT FROM unnest(%(business_keys)s::text[]) AS held (business_key)
                WHERE starts_with(f.business_key, held.business_key || ':')
            )
            THEN 'business_key'
    END AS held_by
FROM family AS f
