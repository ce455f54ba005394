-- Jobs of the given instances: by instance id or, where a job has none, by business key `instance:work item`.
-- No variant of the schema has an index on either column: one scan, joined by hash.
SELECT
    p.id AS process,
    r.id AS key
FROM requestinfo AS r
INNER JOIN unnest((SELECT k.keys FROM keys_process AS k)::bigint[]) AS p (id)
    ON
        p.id = coalesce(
            r.processinstanceid,
            CASE WHEN r.businesskey ~ '^[0-9]{1,18}:[0-9]{1,18}$' THEN split_part(r.businesskey, ':', 1)::bigint END
        )
