SELECT
    topic,
    position
FROM history_queue_offset
WHERE consumer_group = %(group)s
