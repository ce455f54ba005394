-- Messages of the table transport that name the user. JSON is searched as text first: most messages do not match.
DELETE FROM history_queue
WHERE
    position(convert_to(%(user)s, 'UTF8') IN value) > 0
    AND (
        position(convert_to('"startUserId":' || to_json(%(user)s::text)::text, 'UTF8') IN value) > 0
        OR position(convert_to('"assignee":' || to_json(%(user)s::text)::text, 'UTF8') IN value) > 0
    )
