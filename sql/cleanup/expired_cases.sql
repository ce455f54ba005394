-- Closed case instances that nothing of runs, by the time to live of their definition. Days are those of the calendar
-- on the engine's wall; a definition without a time to live keeps what is its own.
-- Index: act_hi_caseinst(close_time_), act_ru_case_execution(case_inst_id_).
SELECT c.id_
FROM {act_hi_caseinst} AS c
INNER JOIN {act_re_case_def} AS d ON c.case_def_id_ = d.id_
WHERE
    c.close_time_ <= %(now)s
    AND c.close_time_ + make_interval(days => d.history_ttl_) <= %(now)s
    AND NOT EXISTS (
        SELECT 1
        FROM {act_ru_case_execution} AS e
        WHERE e.case_inst_id_ = c.id_
    )
    AND NOT c.id_ = ANY(%(held_instances)s)
    AND coalesce(NOT c.business_key_ = ANY(%(held_keys)s), TRUE)
ORDER BY c.close_time_
LIMIT %(size)s
FOR UPDATE OF c SKIP LOCKED
