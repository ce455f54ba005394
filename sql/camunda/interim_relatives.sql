-- The given instances and the members of trees that they are the roots of, each with its root, or where history of
-- before 7.10 names none with the instance that called it, and with the kind of hold that it meets by itself, if any.
SELECT
    p.proc_inst_id_ AS instance,
    coalesce(p.root_proc_inst_id_, p.super_process_instance_id_) AS parent,
    CASE
        WHEN p.proc_def_key_ = ANY(%(definitions)s::text[]) THEN 'definition'
        WHEN p.business_key_ = ANY(%(business_keys)s::text[]) THEN 'business_key'
    END AS held_by
FROM act_hi_procinst AS p
WHERE
    p.proc_inst_id_ = ANY(%(ids)s::text[])
    OR p.root_proc_inst_id_ = ANY(%(ids)s::text[])
    OR (p.root_proc_inst_id_ IS NULL AND p.super_process_instance_id_ = ANY(%(ids)s::text[]))
