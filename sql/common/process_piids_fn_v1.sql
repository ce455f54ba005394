-- The ids of filters->'piids' as an array. IMMUTABLE, so that the planner sees the ids themselves and can
-- choose between the index on processinstanceid and a hash of the ids.
CREATE OR REPLACE FUNCTION process_piids_fn_v1(filters jsonb)
RETURNS bigint[]
LANGUAGE plpgsql
IMMUTABLE
SET search_path FROM CURRENT
AS $body$
BEGIN
    RETURN ARRAY(SELECT jsonb_array_elements_text(filters -> 'piids')::bigint);
END
$body$;
