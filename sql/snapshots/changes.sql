-- Some changes of variables without their values. Served by the primary key.
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
WHERE change.id_ = ANY(%(ids)s)
