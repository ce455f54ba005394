-- The changes of a process instance's variables without their values. Served by the index on PROC_INST_ID_.
SELECT
    change.id_,
    change.var_inst_id_,
    change.act_inst_id_,
    change.execution_id_,
    coalesce(change.sequence_counter_, 0) AS sequence,
    coalesce(change.rev_, 0) AS revision,
    change.time_,
    change.var_type_,
    (
        change.bytearray_id_ IS NULL AND change.double_ IS NULL AND change.long_ IS NULL
        AND change.text_ IS NULL AND change.text2_ IS NULL
    ) AS is_empty,
    CASE WHEN change.name_ = 'loopCounter' THEN change.long_ END AS counter
FROM act_hi_detail AS change
WHERE
    change.proc_inst_id_ = %(process_instance_id)s
    AND change.type_ = 'VariableUpdate'
    AND change.var_inst_id_ IS NOT NULL
