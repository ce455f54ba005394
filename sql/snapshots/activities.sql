-- Some activity instances. Served by the primary key.
SELECT
    activity.id_,
    activity.parent_act_inst_id_,
    activity.execution_id_,
    activity.act_id_,
    activity.act_name_,
    activity.act_type_,
    activity.start_time_,
    activity.end_time_,
    activity.act_inst_state_,
    activity.task_id_
FROM act_hi_actinst AS activity
WHERE activity.id_ = ANY(%(ids)s)
