-- Which of these processes run, and which belong to a tree that still runs anywhere.
SELECT
    asked.process_id,
    EXISTS(
        SELECT FROM act_ru_execution AS e
        WHERE e.proc_inst_id_ = asked.process_id
    ) AS runs,
    EXISTS(
        SELECT FROM act_ru_execution AS e
        WHERE e.root_proc_inst_id_ = coalesce(
            (
                SELECT h.root_proc_inst_id_ FROM act_hi_procinst AS h
                WHERE h.proc_inst_id_ = asked.process_id
            ),
            asked.process_id
        )
    ) AS tree_runs
FROM unnest(%(process_ids)s::text[]) AS asked (process_id)
