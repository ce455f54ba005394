-- Index: bpm_hp__end_time__i. Rows without start and end are what late events left behind.
DELETE FROM bpm_history_process
WHERE process_instance_id IN (
    SELECT process_instance_id
    FROM bpm_history_process
    WHERE
        end_time < %(limit)s
        OR (
            end_time IS NULL AND start_time IS NULL
            AND %(version)s > (SELECT max(version) FROM unnest(versions) AS known (version))
        )
    ORDER BY end_time
    LIMIT %(rows)s
)
