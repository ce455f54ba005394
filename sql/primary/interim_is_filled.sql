-- Whether this engine has ever done anything: an empty one is more likely the wrong one.
SELECT EXISTS(SELECT FROM processinstancelog)
