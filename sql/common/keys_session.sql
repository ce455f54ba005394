-- Sessions that only the given instances map. A session that anybody else maps serves them too and stays.
-- Index: contextmappinginfo(mappingid), contextmappinginfo(ksession_id).
SELECT mine.ksession_id AS key
FROM contextmappinginfo AS mine
WHERE
    mine.mappingid = ANY((SELECT k.keys FROM keys_mapping AS k)::bigint[])
    AND NOT EXISTS (
        SELECT
        FROM contextmappinginfo AS other
        WHERE
            other.ksession_id = mine.ksession_id
            AND other.mappingid <> ALL((SELECT k.keys FROM keys_mapping AS k)::bigint[])
    )
