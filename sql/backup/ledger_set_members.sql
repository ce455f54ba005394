-- The trees of a batch as they stand now; a batch without trees is done.
UPDATE archival_batch
SET
    member_ids = %(member_ids)s::bigint[],
    member_roots = %(member_roots)s::bigint[],
    state = CASE WHEN cardinality(%(member_ids)s::bigint[]) = 0 THEN 'empty' ELSE 'planned' END
WHERE batch_id = %(batch_id)s AND state = 'planned'
