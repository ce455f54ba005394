-- Stores one snapshot, unless it is there already, or its process instance has gone meanwhile.
INSERT INTO stored_snapshot (
    process_instance_id, process_definition_id, process_definition_key, activity_instance_id, activity_id, loop_index,
    boundary, activity_time, path, refusal
)
SELECT
    instance.id_,
    %(process_definition_id)s,
    %(process_definition_key)s,
    %(activity_instance_id)s,
    %(activity_id)s,
    %(loop_index)s,
    %(boundary)s,
    %(activity_time)s,
    %(path)s,
    %(refusal)s
FROM act_hi_procinst AS instance
WHERE instance.id_ = %(process_instance_id)s
ON CONFLICT ON CONSTRAINT stored_snapshot_once DO NOTHING
RETURNING id
