-- Reads the whole table, as source_process_changes. Tasks outside a process have no activity instance: they are
-- nobody's history.
-- The name of the definition is that of the root process, which is the service that the user knows.
WITH numbered AS (
    SELECT
        h.*,
        -- xmin holds the lower half of the number. No transaction at work is half a circle old, so the upper half is
        -- that of the next number, or the one before. A row frozen a circle ago may be taken once too often.
        CASE
            WHEN h.xmin::text::bigint < mod(%(next_number)s, 4294967296)
                THEN %(next_number)s - mod(%(next_number)s, 4294967296) + h.xmin::text::bigint
            ELSE %(next_number)s - mod(%(next_number)s, 4294967296) - 4294967296 + h.xmin::text::bigint
        END AS row_version
    FROM act_hi_taskinst AS h
)

SELECT
    h.id_ AS id,
    h.row_version,
    h.act_inst_id_ AS activity_instance_id,
    h.task_def_key_ AS task_definition_key,
    h.name_ AS task_definition_name,
    h.proc_inst_id_ AS process_instance_id,
    h.proc_def_id_ AS process_definition_id,
    h.proc_def_key_ AS process_definition_key,
    coalesce(rd.name_, d.name_) AS process_definition_name,
    coalesce(h.root_proc_inst_id_, h.proc_inst_id_) AS root_process_instance_id,
    h.start_time_ AT TIME ZONE %(zone)s AT TIME ZONE 'UTC' AS start_time,
    h.end_time_ AT TIME ZONE %(zone)s AT TIME ZONE 'UTC' AS end_time,
    h.assignee_ AS assignee,
    h.delete_reason_ AS delete_reason
FROM numbered AS h
LEFT JOIN act_re_procdef AS d ON h.proc_def_id_ = d.id_
LEFT JOIN act_hi_procinst AS r ON h.root_proc_inst_id_ = r.proc_inst_id_
LEFT JOIN act_re_procdef AS rd ON r.proc_def_id_ = rd.id_
WHERE
    h.row_version >= %(horizon)s AND h.act_inst_id_ IS NOT NULL
    AND (
        %(from)s::timestamp IS NULL
        OR (
            h.start_time_ >= %(from)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
            AND h.start_time_ < %(to)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
        )
    )
