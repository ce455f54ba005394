-- The retention of archived history: a unit whose rows were removed from the backup for good stays in the ledger as
-- 'expired', and those that come due are found oldest first.
ALTER TABLE cleanup_archive_unit DROP CONSTRAINT IF EXISTS cleanup_archive_unit_state_check;

ALTER TABLE cleanup_archive_unit ADD CONSTRAINT cleanup_archive_unit_state_check CHECK (
    state IN ('copying', 'copied', 'deleting', 'deleted', 'discarded', 'expired')
);

CREATE INDEX IF NOT EXISTS cleanup_archive_unit_archived ON cleanup_archive_unit (changed_at, unit_id) WHERE (
    operation = 'backup' AND state = 'deleted'
);
