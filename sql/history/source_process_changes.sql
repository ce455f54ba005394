-- Reads the whole table: nothing indexes the number of the writing transaction.
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
    FROM act_hi_procinst AS h
)

SELECT
    h.id_ AS id,
    h.row_version,
    h.super_process_instance_id_ AS super_process_instance_id,
    h.proc_def_id_ AS process_definition_id,
    h.proc_def_key_ AS process_definition_key,
    d.name_ AS process_definition_name,
    h.business_key_ AS business_key,
    h.start_time_ AT TIME ZONE %(zone)s AT TIME ZONE 'UTC' AS start_time,
    h.end_time_ AT TIME ZONE %(zone)s AT TIME ZONE 'UTC' AS end_time,
    h.start_user_id_ AS start_user_id,
    h.state_ AS state
FROM numbered AS h
LEFT JOIN act_re_procdef AS d ON h.proc_def_id_ = d.id_
WHERE
    h.row_version >= %(horizon)s
    AND (
        %(from)s::timestamp IS NULL
        OR (
            h.start_time_ >= %(from)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
            AND h.start_time_ < %(to)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
        )
    )
