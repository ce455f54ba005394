-- Boundaries of activity instances that are wanted and not stored yet, in the order of their times. Served by the
-- indexes on START_TIME_ and END_TIME_.
SELECT
    found.process_instance_id,
    found.activity_instance_id,
    found.boundary,
    found.activity_time
FROM (
    SELECT
        began.proc_inst_id_ AS process_instance_id,
        began.id_ AS activity_instance_id,
        'start' AS boundary,
        began.start_time_ AS activity_time,
        began.proc_def_key_ AS key,
        began.act_id_ AS activity_id
    FROM act_hi_actinst AS began
    WHERE began.start_time_ >= %(since)s AND began.start_time_ < %(until)s
    UNION ALL
    SELECT
        ended.proc_inst_id_ AS process_instance_id,
        ended.id_ AS activity_instance_id,
        'end' AS boundary,
        ended.end_time_ AS activity_time,
        ended.proc_def_key_ AS key,
        ended.act_id_ AS activity_id
    FROM act_hi_actinst AS ended
    WHERE ended.end_time_ >= %(since)s AND ended.end_time_ < %(until)s
) AS found
WHERE
    EXISTS (
        SELECT 1
        FROM unnest(%(keys)s::text[], %(activities)s::text[]) AS wanted (key, activity_id)
        WHERE wanted.key = found.key AND wanted.activity_id IN ('*', found.activity_id)
    )
    AND NOT EXISTS (
        SELECT 1
        FROM stored_snapshot AS snapshot
        WHERE
            snapshot.activity_instance_id = found.activity_instance_id
            AND snapshot.boundary = found.boundary
    )
    AND (found.activity_time, found.activity_instance_id, found.boundary) > (%(time)s, %(id)s, %(boundary)s)
ORDER BY found.activity_time, found.activity_instance_id, found.boundary
LIMIT %(size)s
