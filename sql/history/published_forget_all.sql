DELETE FROM history_published
WHERE source = %(source)s AND kind = %(kind)s
