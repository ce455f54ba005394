-- The instances of hierarchies, and whether one of them keeps its hierarchy. A called instance of before 7.10 names no
-- root; the activity that called it names it, along an index.
WITH RECURSIVE members (root_, id_) AS (
    SELECT
        coalesce(p.root_proc_inst_id_, p.id_) AS root_,
        p.id_
    FROM {act_hi_procinst} AS p
    WHERE p.root_proc_inst_id_ = ANY(%(roots)s) OR (p.id_ = ANY(%(roots)s) AND p.root_proc_inst_id_ IS NULL)
    UNION
    SELECT
        m.root_,
        c.id_
    FROM members AS m
    INNER JOIN {act_hi_procinst} AS o ON m.id_ = o.id_ AND o.root_proc_inst_id_ IS NULL
    INNER JOIN {act_hi_actinst} AS a ON m.id_ = a.proc_inst_id_ AND a.call_proc_inst_id_ IS NOT NULL
    INNER JOIN {act_hi_procinst} AS c ON a.call_proc_inst_id_ = c.id_ AND c.root_proc_inst_id_ IS NULL
)

SELECT
    m.root_,
    m.id_,
    EXISTS (
        SELECT 1
        FROM {act_ru_execution} AS e
        WHERE e.proc_inst_id_ = m.id_
    )
    OR coalesce(
        m.id_ = ANY(%(held_instances)s)
        OR p.business_key_ = ANY(%(held_keys)s)
        OR p.proc_def_key_ = ANY(%(held_definitions)s),
        FALSE
    ) AS kept
FROM members AS m
INNER JOIN {act_hi_procinst} AS p ON m.id_ = p.id_
WHERE
    m.id_ <> m.root_
    OR EXISTS (
        SELECT 1
        FROM {act_ru_execution} AS e
        WHERE e.proc_inst_id_ = m.id_
    )
