-- Whether this engine has ever done anything: an empty one is more likely the wrong one.
SELECT EXISTS (SELECT FROM act_hi_procinst) OR EXISTS (SELECT FROM act_ru_execution)
