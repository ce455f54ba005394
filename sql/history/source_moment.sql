-- The first statement of a read: its snapshot is that of the whole transaction.
SELECT
    concat_ws(
        '/',
        (SELECT s.system_identifier FROM pg_control_system() AS s),
        (
            SELECT d.oid FROM pg_database AS d
            WHERE d.datname = current_database()
        ),
        current_schema()
    ) AS source,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_number,
    (
        SELECT p.value_::integer FROM act_ge_property AS p
        WHERE p.name_ = 'historyLevel' AND p.value_ ~ '^[0-9]{1,4}$'
    ) AS engine_level
