-- Owners of large objects whose rights the session's role does not have: it could neither read nor unlink those.
SELECT pg_get_userbyid(o.lomowner)::text AS owner
FROM (SELECT DISTINCT m.lomowner FROM pg_largeobject_metadata AS m) AS o
WHERE
    NOT pg_has_role(o.lomowner, 'USAGE')
    AND NOT current_setting('lo_compat_privileges')::boolean
ORDER BY 1
