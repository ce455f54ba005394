-- What became of the jobs that continue tokens: 0 created, 2 done, 3 deleted. Served by the index on
-- PROCESS_INSTANCE_ID_.
SELECT
    log.id_,
    log.act_id_,
    log.execution_id_,
    log.job_id_,
    log.job_state_,
    log.job_def_configuration_,
    log.timestamp_
FROM act_hi_job_log AS log
WHERE
    log.process_instance_id_ = %(process_instance_id)s
    AND log.job_def_type_ = 'async-continuation'
    AND log.job_state_ IN (0, 2, 3)
