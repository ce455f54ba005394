-- How many instances the filters selected.
UPDATE archival_operation
SET selected_count = %(selected_count)s
WHERE audit_id = %(audit_id)s
