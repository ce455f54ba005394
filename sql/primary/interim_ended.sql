-- A page of ended processes, in the order of their end. Uses the index on end_date. The row version says whether the
-- reading before can have seen the row: an end may be committed long after the time that it carries.
SELECT
    p.processinstanceid::text AS process_id,
    p.end_date::text AS ended_at,
    coalesce(p.parentprocessinstanceid, 0) <= 0 AS is_root,
    (
        SELECT array_agg(DISTINCT ARRAY[v.variableid, v.value]::text[])
        FROM variableinstancelog AS v
        WHERE
            v.processinstanceid = p.processinstanceid AND v.variableid = ANY(%(variables)s) AND v.value IS NOT NULL
    ) AS named
FROM processinstancelog AS p
WHERE
    p.end_date >= %(ended_at)s::timestamp
    AND (p.end_date, p.processinstanceid) > (
        %(ended_at)s::timestamp, coalesce(nullif(%(process_id)s, ''), '-1')::bigint
    )
    AND p.status IN (2, 3)
    AND (%(horizon)s::text IS NULL OR age(p.xmin) <= age(%(horizon)s::text::xid8::xid))
ORDER BY p.end_date, p.processinstanceid
LIMIT %(page)s
