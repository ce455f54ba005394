-- Notes when lost snapshots last went.
UPDATE stored_progress
SET swept_at = %(now)s
