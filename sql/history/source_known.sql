SELECT h.id_
FROM act_hi_procinst AS h
WHERE h.id_ = ANY(%(ids)s::text[])
