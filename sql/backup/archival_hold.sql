-- Legal holds: what nothing may remove for good until the hold is released. A hold is never deleted, only released.
CREATE TABLE IF NOT EXISTS archival_hold (
    hold_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT archival_hold_pkey PRIMARY KEY,
    engine text NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    release_reason text,
    released_by text,
    released_at timestamptz,
    CONSTRAINT archival_hold_engine_check CHECK (engine IN ('jbpm', 'camunda')),
    CONSTRAINT archival_hold_kind_check CHECK (kind IN ('instance', 'business_key', 'definition')),
    CONSTRAINT archival_hold_texts_check CHECK (value <> '' AND reason <> '' AND placed_by <> ''),
    CONSTRAINT archival_hold_release_check CHECK (
        num_nulls(release_reason, released_by, released_at) IN (0, 3)
    )
);

COMMENT ON TABLE archival_hold IS 'Legal holds; released ones stay as a record.';

CREATE INDEX IF NOT EXISTS archival_hold_active_idx ON archival_hold (engine) WHERE released_at IS NULL;

CREATE OR REPLACE FUNCTION archival_hold_guard_fn_v1()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.released_at IS NULL AND NEW.released_at IS NOT NULL
        AND (NEW.hold_id, NEW.engine, NEW.kind, NEW.value, NEW.reason, NEW.placed_by, NEW.placed_at)
        = (OLD.hold_id, OLD.engine, OLD.kind, OLD.value, OLD.reason, OLD.placed_by, OLD.placed_at)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a legal hold can only be released, % is refused', TG_OP
        USING ERRCODE = 'object_not_in_prerequisite_state';
END
$body$;

DROP TRIGGER IF EXISTS archival_hold_guard ON archival_hold;
CREATE TRIGGER archival_hold_guard
BEFORE UPDATE OR DELETE ON archival_hold
FOR EACH ROW EXECUTE FUNCTION archival_hold_guard_fn_v1();

DROP TRIGGER IF EXISTS archival_hold_guard_all ON archival_hold;
CREATE TRIGGER archival_hold_guard_all
BEFORE TRUNCATE ON archival_hold
FOR EACH STATEMENT EXECUTE FUNCTION archival_hold_guard_fn_v1();

-- Placing and releasing holds stands in the audit, too. The new rule allows all that the old one did, so the rows that
-- are there need no look.
ALTER TABLE process_audit_logs DROP CONSTRAINT process_audit_logs_type_check;
ALTER TABLE process_audit_logs
ADD CONSTRAINT process_audit_logs_type_check CHECK (audit_type IN ('backup', 'restore', 'delete', 'hold')) NOT VALID;
