-- One page of the process instances that the filters pick, each id once, in order of id. Pages count from 1; a
-- page_size of null gives all. Keys of the filters: see process_where_fn_v1.
CREATE OR REPLACE FUNCTION process_find_fn_v1(filters jsonb, page_size integer, page_number integer)
RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path FROM CURRENT
AS $body$
BEGIN
    RETURN QUERY EXECUTE
        'SELECT DISTINCT p.processinstanceid FROM processinstancelog AS p WHERE '
        || process_where_fn_v1(filters)
        || ' ORDER BY p.processinstanceid LIMIT $2 OFFSET $3'
    USING filters, page_size, (page_number::bigint - 1) * page_size;
END
$body$;
