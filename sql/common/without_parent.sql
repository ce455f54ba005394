-- Of the given instances, those whose parent is none or is not in this database.
-- Index: processinstancelog(processinstanceid).
SELECT r.id
FROM unnest(%(roots)s::bigint[]) AS r (id)
WHERE
    NOT EXISTS (
        SELECT
        FROM processinstancelog AS child
        INNER JOIN processinstancelog AS parent ON child.parentprocessinstanceid = parent.processinstanceid
        WHERE
            child.processinstanceid = r.id
            AND child.parentprocessinstanceid > 0
            AND child.parentprocessinstanceid <> child.processinstanceid
    )
ORDER BY r.id
