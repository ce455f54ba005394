-- Index: NAME_; then (PROC_INST_ID_, NAME_, VAR_TYPE_). A variable may have several rows, one per scope and one per
-- life; the newest that lives says the value. What a called process says is the root's as well, unless the root speaks
-- itself.
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
    FROM act_hi_varinst AS h
    WHERE h.name_ = ANY(%(names)s) AND h.proc_inst_id_ IS NOT NULL
),

changed AS (
    SELECT
        h.proc_inst_id_,
        h.name_,
        max(h.root_proc_inst_id_) AS root_id,
        max(h.row_version) AS row_version
    FROM numbered AS h
    WHERE h.row_version >= %(horizon)s
    GROUP BY h.proc_inst_id_, h.name_
),

valued AS (
    SELECT
        c.proc_inst_id_,
        c.name_,
        c.root_id,
        c.row_version,
        v.value
    FROM changed AS c
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n.state_ = 'DELETED' THEN NULL ELSE n.text_ END AS value
        FROM act_hi_varinst AS n
        WHERE n.proc_inst_id_ = c.proc_inst_id_ AND n.name_ = c.name_
        ORDER BY coalesce(n.state_ = 'DELETED', FALSE), n.create_time_ DESC NULLS LAST, n.id_ DESC
        LIMIT 1
    ) AS v
),

said AS (
    SELECT
        s.proc_inst_id_,
        s.name_,
        s.value,
        s.row_version
    FROM valued AS s
    UNION ALL
    (
        SELECT DISTINCT ON (s.root_id, s.name_)
            s.root_id,
            s.name_,
            s.value,
            s.row_version
        FROM valued AS s
        WHERE
            s.root_id <> s.proc_inst_id_ AND s.value IS NOT NULL
            AND NOT EXISTS (
                SELECT 1
                FROM act_hi_varinst AS own
                WHERE own.proc_inst_id_ = s.root_id AND own.name_ = s.name_
            )
        ORDER BY s.root_id ASC, s.name_ ASC, s.row_version DESC, s.proc_inst_id_ DESC
    )
)

SELECT
    s.proc_inst_id_ AS process_instance_id,
    s.name_ AS name,
    s.value,
    s.row_version,
    p.end_time_ IS NOT NULL OR p.id_ IS NULL AS is_over
FROM said AS s
LEFT JOIN act_hi_procinst AS p ON s.proc_inst_id_ = p.proc_inst_id_
WHERE
    (
        %(from)s::timestamp IS NULL
        OR (
            p.start_time_ >= %(from)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
            AND p.start_time_ < %(to)s::timestamp AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s
        )
    )
