-- One process instance by its own id or by that of one of its activity instances, with the engine's history level.
-- Served by the primary keys.
SELECT
    instance.id_,
    instance.proc_def_id_,
    instance.proc_def_key_,
    instance.root_proc_inst_id_,
    instance.state_,
    instance.start_time_,
    instance.end_time_,
    instance.removal_time_,
    instance.tenant_id_,
    level.value_
FROM (
    SELECT property.value_
    FROM act_ge_property AS property
    WHERE property.name_ = 'historyLevel'
) AS level
FULL JOIN (
    SELECT found.*
    FROM act_hi_procinst AS found
    WHERE
        found.id_ = coalesce(
            %(process_instance_id)s::text,
            (
                SELECT activity.proc_inst_id_
                FROM act_hi_actinst AS activity
                WHERE activity.id_ = %(activity_instance_id)s::text
            )
        )
) AS instance ON TRUE
