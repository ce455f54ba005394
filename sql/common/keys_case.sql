-- Case ids of the given instances: the correlation key of a case (processtype 2).
-- Index: processinstancelog(processinstanceid).
SELECT p.correlationkey AS key
FROM processinstancelog AS p
WHERE
    p.processinstanceid = ANY((SELECT k.keys FROM keys_process AS k)::bigint[])
    AND p.processtype = 2
    AND p.correlationkey IS NOT NULL
