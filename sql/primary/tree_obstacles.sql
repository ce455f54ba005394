-- Why a tree may not leave the primary: one row for each tree and reason, with an instance as evidence.
-- Trees and members arrive as two parallel arrays. `before` is the date limit in the engine's wall-clock time, or NULL.
-- Indexes: processinstancelog(processinstanceid), processinstanceinfo(instanceid), contextmappinginfo(context_id),
-- requestinfo(status), task(processinstanceid). workiteminfo has none and holds pending items only: one scan.
WITH RECURSIVE member (root_id, id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id
    FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
),

ancestor (root_id, id) AS (
    SELECT
        p.processinstanceid,
        p.parentprocessinstanceid
    FROM processinstancelog AS p
    WHERE p.processinstanceid = ANY(%(distinct_roots)s::bigint[]) AND p.parentprocessinstanceid > 0
    UNION
    SELECT
        a.root_id,
        p.parentprocessinstanceid
    FROM ancestor AS a
    INNER JOIN processinstancelog AS p ON a.id = p.processinstanceid
    WHERE p.parentprocessinstanceid > 0
),

log (root_id, id, status, age, case_id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id,
        p.status,
        coalesce(p.end_date, p.start_date),
        CASE WHEN p.processtype = 2 THEN p.correlationkey END
    FROM member AS m
    INNER JOIN processinstancelog AS p ON m.id = p.processinstanceid
),

-- Few instances are cases: the look-ups of the others of a case start from these, and from nowhere else.
case_member (root_id, case_id) AS MATERIALIZED (
    SELECT
        log.root_id,
        log.case_id
    FROM log
    WHERE log.case_id IS NOT NULL
),

live_job (id) AS MATERIALIZED (
    SELECT
        coalesce(
            r.processinstanceid,
            CASE WHEN r.businesskey ~ '^[0-9]{1,18}:[0-9]{1,18}$' THEN split_part(r.businesskey, ':', 1)::bigint END
        )
    FROM requestinfo AS r
    WHERE r.status IN ('QUEUED', 'RETRYING', 'RUNNING')
),

obstacle (root_id, reason, id) AS (
    SELECT
        log.root_id,
        'running_member',
        log.id
    FROM log
    WHERE log.status IS NULL OR log.status NOT IN (2, 3)
    UNION ALL
    SELECT
        log.root_id,
        'younger_member',
        log.id
    FROM log
    WHERE
        log.status IN (2, 3)
        AND (log.age IS NULL OR log.age >= %(before)s::timestamp)
        AND %(before)s::timestamp IS NOT NULL
    UNION ALL
    SELECT
        m.root_id,
        'live_state',
        m.id
    FROM member AS m
    INNER JOIN processinstanceinfo AS i ON m.id = i.instanceid
    UNION ALL
    SELECT
        m.root_id,
        'live_state',
        m.id
    FROM member AS m
    INNER JOIN workiteminfo AS w ON m.id = w.processinstanceid
    UNION ALL
    SELECT
        m.root_id,
        'live_state',
        m.id
    FROM member AS m
    INNER JOIN processinstancelog AS p ON m.id = p.processinstanceid
    INNER JOIN contextmappinginfo AS c ON c.context_id = m.id::text AND p.externalid = c.owner_id
    UNION ALL
    SELECT
        m.root_id,
        'queued_job',
        m.id
    FROM member AS m
    INNER JOIN live_job AS j ON m.id = j.id
    UNION ALL
    SELECT
        m.root_id,
        'open_task',
        m.id
    FROM member AS m
    INNER JOIN task AS t ON m.id = t.processinstanceid
    WHERE t.status IS NULL OR t.status NOT IN ('Completed', 'Failed', 'Error', 'Exited', 'Obsolete')
    UNION ALL
    SELECT
        a.root_id,
        'running_ancestor',
        p.processinstanceid
    FROM ancestor AS a
    INNER JOIN processinstancelog AS p ON a.id = p.processinstanceid
    WHERE p.status IS NULL OR p.status NOT IN (2, 3)
    UNION ALL
    SELECT
        log.root_id,
        'case_shared',
        other.processinstanceid
    FROM case_member AS log
    CROSS JOIN
        LATERAL (
            SELECT p.processinstanceid
            FROM processinstancelog AS p
            WHERE p.correlationkey = log.case_id
            OFFSET 0 -- noqa: AM09
        ) AS other
    WHERE
        NOT EXISTS (
            SELECT
            FROM member AS m
            WHERE m.root_id = log.root_id AND m.id = other.processinstanceid
        )
    UNION ALL
    -- Instances that a case started carry its id in front of their key; here only those that run matter.
    SELECT
        log.root_id,
        'case_outside',
        other.processinstanceid
    FROM case_member AS log
    CROSS JOIN
        LATERAL (
            SELECT p.processinstanceid
            FROM processinstancelog AS p
            WHERE p.status IN (0, 1, 4) AND starts_with(p.correlationkey, log.case_id || ':')
            OFFSET 0 -- noqa: AM09
        ) AS other
    WHERE
        NOT EXISTS (
            SELECT
            FROM member AS m
            WHERE m.root_id = log.root_id AND m.id = other.processinstanceid
        )
)

SELECT
    obstacle.root_id,
    obstacle.reason,
    min(obstacle.id) AS process_instance_id
FROM obstacle
GROUP BY obstacle.root_id, obstacle.reason
ORDER BY obstacle.root_id, obstacle.reason
