-- The variables of a process instance, each from its creation on. Served by the index on PROC_INST_ID_.
SELECT
    variable.id_,
    variable.name_,
    variable.execution_id_,
    variable.act_inst_id_,
    variable.task_id_,
    coalesce(variable.state_ = 'DELETED', FALSE) AS deleted,
    variable.var_type_
FROM act_hi_varinst AS variable
WHERE variable.proc_inst_id_ = %(process_instance_id)s
