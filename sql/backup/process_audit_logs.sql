-- What happened, for people: one row per step of a batch and per turn of an operation. Append-only.
--
-- Retention: whole audits that nobody needs any more are removed by a session that says so first,
--     SET archival.audit_retention = 'on';
--     DELETE FROM process_audit_logs WHERE audit_id IN (...);
--     RESET archival.audit_retention;
-- An UPDATE or TRUNCATE is refused whatever the session says.
CREATE TABLE IF NOT EXISTS process_audit_logs (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT process_audit_logs_pkey PRIMARY KEY,
    audit_id text NOT NULL,
    audit_type text NOT NULL,
    audit_status text NOT NULL,
    step text NOT NULL,
    batch_number integer,
    total_batches integer,
    total_count bigint,
    processed_count bigint,
    remaining_count bigint,
    skipped_count bigint,
    process_name text,
    deployment_id text,
    filters jsonb,
    process_instance_ids bigint[],
    details jsonb,
    error_code text,
    error_summary text,
    error_resolve text,
    error_message text,
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT process_audit_logs_audit_id_check CHECK (audit_id <> ''),
    CONSTRAINT process_audit_logs_type_check CHECK (audit_type IN ('backup', 'restore', 'delete')),
    CONSTRAINT process_audit_logs_status_check CHECK (
        audit_status IN ('initiated', 'in_progress', 'completed', 'failed', 'cancelled')
    ),
    CONSTRAINT process_audit_logs_step_check CHECK (
        step IN ('initiate', 'count', 'fetch', 'children', 'generate_sql', 'execute', 'delete', 'complete')
    )
);

COMMENT ON TABLE process_audit_logs IS 'Audit of archival, restore and deletion; append-only.';

-- Serves the timeline and the latest row of one audit, and the walk over all audits in process_audit_latest_v1.
CREATE UNIQUE INDEX IF NOT EXISTS process_audit_logs_audit_id_id_idx ON process_audit_logs (audit_id, id);

CREATE OR REPLACE FUNCTION process_audit_guard_fn_v1()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('archival.audit_retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'process_audit_logs is append-only, % is refused', TG_OP
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'For retention, SET archival.audit_retention = ''on'' in the session that deletes.';
END
$body$;

DROP TRIGGER IF EXISTS process_audit_logs_guard ON process_audit_logs;
CREATE TRIGGER process_audit_logs_guard
BEFORE UPDATE OR DELETE OR TRUNCATE ON process_audit_logs
FOR EACH STATEMENT EXECUTE FUNCTION process_audit_guard_fn_v1();

-- The latest row of every audit, with the filters that its first row carries. It walks the index from one audit_id
-- to the next, so its cost grows with the number of audits and not with the number of rows.
CREATE OR REPLACE VIEW process_audit_latest_v1 AS
WITH RECURSIVE audit (audit_id) AS (
    (
        SELECT log.audit_id
        FROM process_audit_logs AS log
        ORDER BY log.audit_id
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT log.audit_id
        FROM process_audit_logs AS log
        WHERE log.audit_id > audit.audit_id
        ORDER BY log.audit_id
        LIMIT 1
    )
    FROM audit
    WHERE audit.audit_id IS NOT NULL
)

SELECT
    latest.id,
    latest.audit_id,
    latest.audit_type,
    latest.audit_status,
    latest.step,
    latest.batch_number,
    latest.total_batches,
    latest.total_count,
    latest.processed_count,
    latest.remaining_count,
    latest.skipped_count,
    latest.process_name,
    latest.deployment_id,
    coalesce(latest.filters, earliest.filters) AS filters,
    latest.process_instance_ids,
    latest.details,
    latest.error_code,
    latest.error_summary,
    latest.error_resolve,
    latest.error_message,
    latest.started_at,
    latest.ended_at,
    latest.created_at
FROM audit
CROSS JOIN
    LATERAL (
        SELECT log.*
        FROM process_audit_logs AS log
        WHERE log.audit_id = audit.audit_id
        ORDER BY log.id DESC
        LIMIT 1
    ) AS latest
CROSS JOIN LATERAL (
    SELECT log.filters
    FROM process_audit_logs AS log
    WHERE log.audit_id = audit.audit_id
    ORDER BY log.id
    LIMIT 1
) AS earliest;
