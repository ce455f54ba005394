-- Sessions that only the given instances map. A session that anybody else maps serves them too and stays;
-- so do the sessions in parameter left_sessions, which others mapped when the instances were copied.
-- Index: contextmappinginfo(mappingid), contextmappinginfo(ksession_id).
SELECT mine.ksession_id AS key
FROM contextmappinginfo AS mine
WHERE
    mine.mappingid = ANY((SELECT k.keys FROM keys_mapping AS k)::bigint[])
    AND mine.ksession_id <> ALL(%(left_sessions)s::bigint[])
    AND NOT EXISTS (
        SELECT
        FROM contextmappinginfo AS other
        WHERE
            other.ksession_id = mine.ksession_id
            AND other.mappingid <> ALL((SELECT k.keys FROM keys_mapping AS k)::bigint[])
    )
