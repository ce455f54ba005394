-- All descendants of each given instance, the instance itself left out: one row per root and descendant. An id
-- reached before for the same root is not followed again, so a cycle of parents ends. UNION without ALL does that
-- at a cost that grows with the number of rows only; a column for the depth would make every lap of a cycle look
-- new. Ids up to 0 mean "none" and are never followed: -1 as a parent would match every instance without parent.
-- Index: processinstancelog (parentprocessinstanceid).
CREATE OR REPLACE FUNCTION process_children_fn_v1(process_instance_ids bigint[])
RETURNS TABLE (root_id bigint, process_instance_id bigint)
LANGUAGE plpgsql
STABLE
SET search_path FROM CURRENT
AS $body$
BEGIN
    RETURN QUERY
    WITH RECURSIVE tree (root, member) AS (
        SELECT given.id, given.id
        FROM unnest(process_instance_ids) AS given (id)
        WHERE given.id > 0
        UNION
        SELECT tree.root, child.processinstanceid
        FROM tree
        INNER JOIN processinstancelog AS child ON child.parentprocessinstanceid = tree.member
        WHERE child.processinstanceid > 0
    )
    SELECT tree.root, tree.member
    FROM tree
    WHERE tree.member <> tree.root
    ORDER BY tree.root, tree.member;
END
$body$;
