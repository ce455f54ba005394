-- The variables of one stored snapshot in their order, without values.
SELECT
    variable.listed_as,
    variable.name,
    variable.variable_id,
    variable.change_id,
    variable.owner_kind,
    variable.owner_activity_instance_id,
    variable.owner_activity_id,
    variable.owner_execution_id,
    variable.depth,
    variable.flags
FROM stored_variable AS variable
WHERE variable.snapshot_id = %(id)s
ORDER BY variable.place
