-- A batch that will not be moved: failed, abandoned or empty, with the reason.
UPDATE archival_batch
SET state = %(state)s, error_code = %(error_code)s, error_summary = %(error_summary)s
WHERE batch_id = %(batch_id)s
