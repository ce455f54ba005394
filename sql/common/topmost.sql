-- Of the selected instances, those that no other selected instance contains: a selected descendant moves with the
-- tree of its topmost selected ancestor. In a cycle everybody is everybody's ancestor; the smallest id stands for it.
-- Index: processinstancelog(processinstanceid).
WITH RECURSIVE selected (id) AS (
    SELECT DISTINCT s.id
    FROM unnest(%(selected)s::bigint[]) AS s (id)
    WHERE s.id > 0
),

climb (id, ancestor) AS (
    SELECT
        selected.id,
        selected.id AS ancestor
    FROM selected
    UNION
    SELECT
        climb.id,
        p.parentprocessinstanceid
    FROM climb
    INNER JOIN processinstancelog AS p ON climb.ancestor = p.processinstanceid
    WHERE p.parentprocessinstanceid > 0
),

above (id, ancestor) AS (
    SELECT
        climb.id,
        climb.ancestor
    FROM climb
    INNER JOIN selected ON climb.ancestor = selected.id
    WHERE climb.id <> climb.ancestor
)

SELECT selected.id
FROM selected
WHERE
    NOT EXISTS (
        SELECT
        FROM above AS a
        LEFT JOIN above AS back ON a.ancestor = back.id AND a.id = back.ancestor
        WHERE a.id = selected.id AND (back.id IS NULL OR a.ancestor < a.id)
    )
ORDER BY selected.id
