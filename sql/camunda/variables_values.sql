-- The values of some changes; bytes only as far as they fit, but always their size and digest. Served by primary keys.
SELECT
    change.id_,
    change.var_type_,
    change.text_,
    change.text2_,
    change.long_,
    change.double_,
    octet_length(content.bytes_) AS size,
    encode(sha256(content.bytes_), 'hex') AS digest,
    CASE WHEN octet_length(content.bytes_) <= %(inline_bytes)s THEN content.bytes_ END AS bytes,
    change.bytearray_id_ IS NOT NULL AND content.id_ IS NULL AS lost
FROM act_hi_detail AS change
LEFT JOIN act_ge_bytearray AS content ON change.bytearray_id_ = content.id_
WHERE change.id_ = ANY(%(ids)s)
