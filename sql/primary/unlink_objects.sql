-- Unlink large objects; one that is gone already is no error, so that a repeat is safe.
SELECT count(lo_unlink(m.oid))
FROM pg_largeobject_metadata AS m
WHERE m.oid = ANY(%(numbers)s::oid[])
