-- Which of the correlation keys are taken, and by which instance. Index: correlationkeyinfo(name).
SELECT
    c.name,
    c.processinstanceid
FROM correlationkeyinfo AS c
WHERE c.name = ANY(%(names)s::text[])
