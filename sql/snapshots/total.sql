-- How many stored snapshots match; what is null does not matter.
SELECT count(*)
FROM stored_snapshot AS snapshot
WHERE
    (%(key)s::text IS NULL OR snapshot.process_definition_key = %(key)s)
    AND (%(activity_id)s::text IS NULL OR snapshot.activity_id = %(activity_id)s)
    AND (%(process_instance_id)s::text IS NULL OR snapshot.process_instance_id = %(process_instance_id)s)
    AND (%(boundary)s::text IS NULL OR snapshot.boundary = %(boundary)s)
