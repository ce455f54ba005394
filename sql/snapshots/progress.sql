-- How far activity instances were looked at, and when lost snapshots last went.
SELECT
    progress.seen_until,
    progress.swept_at
FROM stored_progress AS progress
