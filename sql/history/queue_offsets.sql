SELECT
    topic,
    position
FROM history_queue_offset
WHERE consumer_group = %(reader_group)s
