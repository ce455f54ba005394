-- How many of some changes history still has.
SELECT count(*)
FROM act_hi_detail AS change
WHERE change.id_ = ANY(%(ids)s)
