-- How many process instances the filters pick. Keys of the filters: see process_where_fn_v1.
CREATE OR REPLACE FUNCTION process_count_fn_v1(filters jsonb)
RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path FROM CURRENT
AS $body$
DECLARE
    picked bigint;
BEGIN
    EXECUTE
        'SELECT count(DISTINCT p.processinstanceid) FROM processinstancelog AS p WHERE '
        || process_where_fn_v1(filters)
    INTO picked
    USING filters;
    RETURN picked;
END
$body$;
