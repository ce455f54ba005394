-- Standalone decisions by the time to live of their definition. Index: act_hi_decinst(eval_time_).
SELECT i.id_
FROM {act_hi_decinst} AS i
INNER JOIN {act_re_decision_def} AS d ON i.dec_def_id_ = d.id_
WHERE
    i.proc_inst_id_ IS NULL
    AND i.root_proc_inst_id_ IS NULL
    AND i.case_inst_id_ IS NULL
    AND i.eval_time_ <= %(now)s
    AND i.eval_time_ + make_interval(days => d.history_ttl_) <= %(now)s
ORDER BY i.eval_time_
LIMIT %(size)s
FOR UPDATE OF i SKIP LOCKED
