-- Metrics of tasks by their age. Index: act_ru_task_meter_log(timestamp_).
SELECT m.id_
FROM {act_ru_task_meter_log} AS m
WHERE m.timestamp_ <= %(now)s::timestamp - make_interval(days => %(metric_days)s)
ORDER BY m.timestamp_
LIMIT %(size)s
FOR UPDATE OF m SKIP LOCKED
