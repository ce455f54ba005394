SELECT
    t.topic,
    (
        SELECT count(*)
        FROM history_queue AS q
        WHERE
            q.topic = t.topic
            AND q.position > coalesce((
                SELECT o.position
                FROM history_queue_offset AS o
                WHERE o.consumer_group = %(reader_group)s AND o.topic = t.topic
            ), 0)
    ) AS behind
FROM unnest(%(topics)s::text[]) AS t (topic)
