-- A page of ended processes, in the order of their end. Uses the index on end_time_. The row version says whether the
-- reading before can have seen the row: an end may be committed long after the time that it carries.
SELECT
    p.proc_inst_id_ AS process_id,
    p.end_time_::text AS ended_at,
    coalesce(p.root_proc_inst_id_ = p.proc_inst_id_, p.super_process_instance_id_ IS NULL) AS is_root,
    (
        SELECT array_agg(DISTINCT ARRAY[v.name_, v.text_]::text[])
        FROM act_hi_varinst AS v
        WHERE v.proc_inst_id_ = p.proc_inst_id_ AND v.name_ = ANY(%(variables)s) AND v.text_ IS NOT NULL
    ) AS named
FROM act_hi_procinst AS p
WHERE
    p.end_time_ >= %(ended_at)s::timestamp
    AND (p.end_time_, p.proc_inst_id_) > (%(ended_at)s::timestamp, %(process_id)s)
    AND p.state_ IN ('COMPLETED', 'EXTERNALLY_TERMINATED', 'INTERNALLY_TERMINATED')
    AND (%(horizon)s::text IS NULL OR age(p.xmin) <= age(%(horizon)s::text::xid8::xid))
ORDER BY p.end_time_, p.proc_inst_id_
LIMIT %(page)s
