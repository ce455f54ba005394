SELECT horizon
FROM history_cursor
WHERE source = %(source)s AND kind = %(kind)s
