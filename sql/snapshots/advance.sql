-- Notes how far activity instances were looked at; never back.
UPDATE stored_progress
SET seen_until = greatest(seen_until, %(until)s)
