-- Trees whose tasks use a content row that a task or attachment of another tree uses too: content has no foreign key,
-- so nothing else would stop its deletion. The referring columns have no index: one scan each, once per wave, and
-- none at all where the wave has no content. Index: task(processinstanceid).
WITH member (root_id, id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id
    FROM unnest(%(roots)s::bigint[], %(members)s::bigint[]) AS m (root_id, id)
),

mine (root_id, process_instance_id, content_id) AS MATERIALIZED (
    SELECT
        m.root_id,
        m.id,
        used.content_id
    FROM member AS m
    INNER JOIN task AS t ON m.id = t.processinstanceid
    CROSS JOIN
        LATERAL (
            VALUES (t.documentcontentid), (t.outputcontentid), (t.faultcontentid)
            UNION ALL
            SELECT a.attachmentcontentid FROM attachment AS a
            WHERE a.taskdata_attachments_id = t.id
        ) AS used (content_id)
    WHERE used.content_id > 0
),

elsewhere (root_id, process_instance_id) AS (
    SELECT
        mine.root_id,
        mine.process_instance_id
    FROM mine
    INNER JOIN task AS t ON mine.content_id = t.documentcontentid
    LEFT JOIN member AS m ON t.processinstanceid = m.id
    WHERE m.root_id IS DISTINCT FROM mine.root_id
    UNION ALL
    SELECT
        mine.root_id,
        mine.process_instance_id
    FROM mine
    INNER JOIN task AS t ON mine.content_id = t.outputcontentid
    LEFT JOIN member AS m ON t.processinstanceid = m.id
    WHERE m.root_id IS DISTINCT FROM mine.root_id
    UNION ALL
    SELECT
        mine.root_id,
        mine.process_instance_id
    FROM mine
    INNER JOIN task AS t ON mine.content_id = t.faultcontentid
    LEFT JOIN member AS m ON t.processinstanceid = m.id
    WHERE m.root_id IS DISTINCT FROM mine.root_id
    UNION ALL
    SELECT
        mine.root_id,
        mine.process_instance_id
    FROM mine
    INNER JOIN attachment AS a ON mine.content_id = a.attachmentcontentid
    LEFT JOIN task AS t ON a.taskdata_attachments_id = t.id
    LEFT JOIN member AS m ON t.processinstanceid = m.id
    WHERE m.root_id IS DISTINCT FROM mine.root_id
)

SELECT
    elsewhere.root_id,
    'shared_content' AS reason,
    min(elsewhere.process_instance_id) AS process_instance_id
FROM elsewhere
GROUP BY elsewhere.root_id
ORDER BY elsewhere.root_id
