-- A reader that was thought dead must not set the group back.
INSERT INTO history_queue_offset AS known (consumer_group, topic, position)
VALUES (%(reader_group)s, %(topic)s, %(position)s)
ON CONFLICT (consumer_group, topic) DO UPDATE SET position = greatest(known.position, excluded.position)
