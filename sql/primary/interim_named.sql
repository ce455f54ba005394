-- Which of these values a start variable of a running process has. The engine keeps live variables in a form that SQL
-- cannot read, so the log of variables answers.
SELECT DISTINCT v.value
FROM variableinstancelog AS v
WHERE
    v.value = ANY(%(keys)s)
    AND v.variableid = ANY(%(variables)s)
    AND (
        EXISTS (
            SELECT FROM processinstanceinfo AS i
            WHERE i.instanceid = v.processinstanceid
        )
        OR EXISTS (
            SELECT FROM processinstancelog AS p
            WHERE p.processinstanceid = v.processinstanceid AND p.status IN (0, 1, 4)
        )
    )
