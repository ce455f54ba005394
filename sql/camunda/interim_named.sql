-- Which of these values a variable of a running process has, whatever the name of the variable. A join: a list of
-- values would be compared one by one once the plan is kept.
SELECT DISTINCT v.text_
FROM unnest(%(keys)s::text[]) AS asked (key)
INNER JOIN act_ru_variable AS v ON asked.key = v.text_
