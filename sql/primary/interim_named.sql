-- Which of these values a start variable of a running process has. The engine keeps live variables in a form that SQL
-- cannot read, so the log of variables answers. A join: a list of values would be compared one by one once the plan is
-- kept.
SELECT DISTINCT v.value
FROM unnest(%(keys)s::text[]) AS asked (key)
INNER JOIN variableinstancelog AS v ON asked.key = v.value AND v.variableid = ANY(%(variables)s)
WHERE
    EXISTS (
        SELECT FROM processinstanceinfo AS i
        WHERE i.instanceid = v.processinstanceid
    )
    OR EXISTS (
        SELECT FROM processinstancelog AS p
        WHERE p.processinstanceid = v.processinstanceid AND p.status IN (0, 1, 4)
    )
