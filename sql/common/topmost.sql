-- Of the selected instances, those that no other selected instance contains: a selected descendant moves with the
-- tree of its topmost selected ancestor. In a cycle everybody is everybody's ancestor; the smallest id stands for it.
-- Looks from above, where each instance is met once: from below, each would meet all its ancestors.
-- Indexes: processinstancelog(parentprocessinstanceid), and for cycles alone (processinstanceid).
WITH RECURSIVE selected (id) AS MATERIALIZED (
    SELECT DISTINCT s.id
    FROM unnest(%(selected)s::bigint[]) AS s (id)
    WHERE s.id > 0
),

below (id) AS (
    SELECT p.processinstanceid
    FROM selected
    INNER JOIN processinstancelog AS p ON selected.id = p.parentprocessinstanceid
    UNION
    SELECT p.processinstanceid
    FROM below
    INNER JOIN processinstancelog AS p ON below.id = p.parentprocessinstanceid
    WHERE below.id > 0
),

top (id) AS MATERIALIZED (
    SELECT selected.id FROM selected
    EXCEPT
    SELECT below.id FROM below
),

contained (id) AS (
    SELECT top.id FROM top
    UNION
    SELECT p.processinstanceid
    FROM contained
    INNER JOIN processinstancelog AS p ON contained.id = p.parentprocessinstanceid
    WHERE contained.id > 0
),

-- Selected, contained in another, and in none of the trees: there is a cycle above it.
circling (id) AS MATERIALIZED (
    SELECT selected.id FROM selected
    EXCEPT
    SELECT contained.id FROM contained
),

climb (id, ancestor) AS (
    SELECT
        circling.id,
        circling.id AS ancestor
    FROM circling
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
    INNER JOIN circling ON climb.ancestor = circling.id
    WHERE climb.id <> climb.ancestor
)

SELECT top.id FROM top
UNION ALL
SELECT circling.id
FROM circling
WHERE
    NOT EXISTS (
        SELECT
        FROM above AS a
        LEFT JOIN above AS back ON a.ancestor = back.id AND a.id = back.ancestor
        WHERE a.id = circling.id AND (back.id IS NULL OR a.ancestor < a.id)
    )
ORDER BY id
