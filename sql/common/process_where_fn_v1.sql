-- The WHERE text of a selection over "processinstancelog p", made of the given keys only, so that the planner
-- sees no predicate that is not needed. The text holds no value of the filters: values are read from $1, the
-- filters themselves, which the caller binds with EXECUTE ... USING.
--
-- Keys (dates are wall-clock times of the engine, without time zone):
--   piids, processName, status (code), deploymentId,
--   endedBefore (end date, or start date of an instance that has none), endedFrom, endedTo (exclusive),
--   taskName, taskStatus, taskAssignee (all on one task), processVariables [{name, value}] (current values, all).
-- An unknown key is an error: ignoring a misspelt filter would select too much.
CREATE OR REPLACE FUNCTION process_where_fn_v1(filters jsonb)
RETURNS text
LANGUAGE plpgsql
IMMUTABLE
SET search_path FROM CURRENT
AS $body$
DECLARE
    task_keys CONSTANT text[] := ARRAY['taskName', 'taskStatus', 'taskAssignee'];
    known_keys CONSTANT text[] := task_keys || ARRAY[
        'piids', 'processName', 'status', 'deploymentId', 'endedBefore', 'endedFrom', 'endedTo', 'processVariables'
    ];
    ids_text CONSTANT text := ' AND t.processinstanceid = ANY (process_piids_fn_v1($1))';
    unknown_keys text;
    instance_text text;
    task_text text;
    audit_task_text text;
    variable_text text;
BEGIN
    SELECT string_agg(given.key, ', ') INTO unknown_keys
    FROM jsonb_object_keys(filters) AS given (key)
    WHERE given.key <> ALL (known_keys);
    IF filters IS NULL OR unknown_keys IS NOT NULL THEN
        RAISE EXCEPTION 'unknown filter: %', coalesce(unknown_keys, 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Known filters: ' || array_to_string(known_keys, ', ');
    END IF;

    SELECT string_agg(rule.predicate, ' AND ' ORDER BY rule.key) INTO instance_text
    FROM (
        VALUES
        ('piids', 'p.processinstanceid = ANY (process_piids_fn_v1($1))'),
        ('processName', 'p.processname = ($1 ->> ''processName'')'),
        ('status', 'p.status = ($1 ->> ''status'')::integer'),
        ('deploymentId', 'p.externalid = ($1 ->> ''deploymentId'')'),
        (
            'endedBefore',
            '(p.end_date < ($1 ->> ''endedBefore'')::timestamp'
            || ' OR (p.end_date IS NULL AND p.start_date < ($1 ->> ''endedBefore'')::timestamp))'
        ),
        ('endedFrom', 'p.end_date >= ($1 ->> ''endedFrom'')::timestamp'),
        ('endedTo', 'p.end_date < ($1 ->> ''endedTo'')::timestamp')
    ) AS rule (key, predicate)
    WHERE filters ? rule.key;

    -- The engine removes a task when its instance ends; its audit row stays. Given ids are repeated inside, because
    -- the planner does not carry them through the UNION.
    IF filters ?| task_keys THEN
        SELECT
            string_agg(format('t.%I = ($1 ->> %L)', rule.task_column, rule.key), ' AND '),
            string_agg(format('t.%I = ($1 ->> %L)', rule.audit_column, rule.key), ' AND ')
        INTO task_text, audit_task_text
        FROM (
            VALUES
            ('taskName', 'name', 'name'),
            ('taskStatus', 'status', 'status'),
            ('taskAssignee', 'actualowner_id', 'actualowner')
        ) AS rule (key, task_column, audit_column)
        WHERE filters ? rule.key;
        IF filters ? 'piids' THEN
            task_text := task_text || ids_text;
            audit_task_text := audit_task_text || ids_text;
        END IF;
        task_text := format(
            'p.processinstanceid IN (SELECT t.processinstanceid FROM task AS t WHERE %s'
            ' UNION ALL SELECT t.processinstanceid FROM audittaskimpl AS t WHERE %s)',
            task_text, audit_task_text
        );
    END IF;

    -- The current value of a variable is its row with the greatest id.
    IF filters ? 'processVariables' THEN
        SELECT string_agg(
            format(
                'EXISTS (SELECT FROM variableinstancelog AS v WHERE v.processinstanceid = p.processinstanceid'
                ' AND v.variableid = ($1 #>> ''{processVariables,%1$s,name}'')'
                ' AND v.value = ($1 #>> ''{processVariables,%1$s,value}'')'
                ' AND NOT EXISTS (SELECT FROM variableinstancelog AS newer'
                ' WHERE newer.processinstanceid = v.processinstanceid AND newer.variableid = v.variableid'
                ' AND newer.id > v.id))',
                place
            ),
            ' AND '
        ) INTO variable_text
        FROM generate_series(0, jsonb_array_length(filters -> 'processVariables') - 1) AS place;
    END IF;

    -- Ids up to 0 mean "no instance" in the engine's tables; a selection never starts from one.
    RETURN concat_ws(' AND ', 'p.processinstanceid > 0', instance_text, task_text, variable_text);
END
$body$;
