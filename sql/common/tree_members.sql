-- The trees of the given roots: every root with all its recursive children. UNION ends cycles; ids <= 0 never join.
-- Index: processinstancelog(parentprocessinstanceid).
WITH RECURSIVE tree (root_id, process_instance_id) AS (
    SELECT
        r.id AS root_id,
        r.id AS process_instance_id
    FROM unnest(%(roots)s::bigint[]) AS r (id)
    WHERE r.id > 0
    UNION
    SELECT
        t.root_id,
        p.processinstanceid
    FROM tree AS t
    INNER JOIN processinstancelog AS p ON t.process_instance_id = p.parentprocessinstanceid
    WHERE p.processinstanceid > 0 AND t.process_instance_id > 0
)

SELECT
    tree.root_id,
    tree.process_instance_id
FROM tree
ORDER BY tree.root_id, tree.process_instance_id
