-- What was sent to an engine to put variables back: one row before and one after each request. No values, only names.
CREATE TABLE IF NOT EXISTS variable_restores (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT variable_restores_pkey PRIMARY KEY,
    audit_id text NOT NULL,
    plan_id text NOT NULL,
    process_instance_id text NOT NULL,
    activity_instance_id text NOT NULL,
    operation text NOT NULL,
    audit_status text NOT NULL,
    step_number integer NOT NULL,
    title text NOT NULL,
    method text,
    path text,
    names text[] NOT NULL DEFAULT '{}',
    http_status integer,
    error_code text,
    error_summary text,
    error_resolve text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT variable_restores_status_check CHECK (
        audit_status IN ('initiated', 'in_progress', 'completed', 'failed')
    )
);

COMMENT ON TABLE variable_restores IS 'Audit of variable restores; append-only.';

-- A plan is applied once, whoever tries: the second beginning finds the first.
CREATE UNIQUE INDEX IF NOT EXISTS variable_restores_once_idx ON variable_restores (plan_id)
WHERE audit_status = 'initiated';

CREATE INDEX IF NOT EXISTS variable_restores_audit_idx ON variable_restores (audit_id, id);

CREATE INDEX IF NOT EXISTS variable_restores_instance_idx ON variable_restores (process_instance_id, id);
