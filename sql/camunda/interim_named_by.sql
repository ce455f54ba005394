-- Whose start variable has one of these values, ended or not; asked only while something is on hold.
SELECT DISTINCT
    v.text_ AS key,
    v.proc_inst_id_ AS process_id
FROM unnest(%(keys)s::text[]) AS asked (key)
INNER JOIN act_hi_varinst AS v ON asked.key = v.text_ AND v.name_ = ANY(%(variables)s)
WHERE v.proc_inst_id_ IS NOT NULL
