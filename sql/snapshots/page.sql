-- One page of the stored snapshots, newest first; what is null does not matter.
SELECT
    snapshot.id,
    snapshot.process_instance_id,
    snapshot.process_definition_id,
    snapshot.process_definition_key,
    snapshot.activity_instance_id,
    snapshot.activity_id,
    snapshot.loop_index,
    snapshot.boundary,
    snapshot.activity_time,
    snapshot.path,
    snapshot.stored_at,
    snapshot.refusal,
    (
        SELECT count(*)
        FROM stored_variable AS variable
        WHERE variable.snapshot_id = snapshot.id AND variable.listed_as = 'variables'
    ) AS variables
FROM stored_snapshot AS snapshot
WHERE
    (%(id)s::bigint IS NULL OR snapshot.id = %(id)s)
    AND (%(key)s::text IS NULL OR snapshot.process_definition_key = %(key)s)
    AND (%(activity_id)s::text IS NULL OR snapshot.activity_id = %(activity_id)s)
    AND (%(process_instance_id)s::text IS NULL OR snapshot.process_instance_id = %(process_instance_id)s)
    AND (%(boundary)s::text IS NULL OR snapshot.boundary = %(boundary)s)
ORDER BY snapshot.id DESC
LIMIT %(size)s OFFSET %(first)s
