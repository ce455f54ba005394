-- The next read starts at the horizon: what is over and was written below it is not met again.
DELETE FROM history_published
WHERE source = %(source)s AND kind = %(kind)s AND is_over AND row_version < %(horizon)s
