-- The role that the engine's large objects belong to: the owner of most of them, else of the engine's root table; no
-- row where the session's role is that role already.
SELECT pg_get_userbyid(r.oid)::text
FROM (
    SELECT
        coalesce(
            (
                SELECT m.lomowner
                FROM pg_largeobject_metadata AS m
                GROUP BY m.lomowner
                ORDER BY count(*) DESC, m.lomowner
                LIMIT 1
            ),
            (
                SELECT c.relowner
                FROM pg_class AS c
                WHERE c.oid = to_regclass('processinstancelog')
            )
        )
) AS r (oid)
WHERE pg_get_userbyid(r.oid) <> current_user
