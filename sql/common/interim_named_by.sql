-- Whose start variable has one of these values, ended or not; asked only while something is on hold.
SELECT DISTINCT
    v.value AS key,
    v.processinstanceid::text AS process_id
FROM unnest(%(keys)s::text[]) AS asked (key)
INNER JOIN variableinstancelog AS v ON asked.key = v.value AND v.variableid = ANY(%(variables)s)
