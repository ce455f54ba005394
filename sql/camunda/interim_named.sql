-- Which of these values a variable of a running process has, whatever the name of the variable.
SELECT DISTINCT text_
FROM act_ru_variable
WHERE text_ = ANY(%(keys)s)
