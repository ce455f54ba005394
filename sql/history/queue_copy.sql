COPY history_queue (topic, key, value, headers) FROM STDIN
