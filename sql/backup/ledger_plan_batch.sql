-- Plan one batch; planning the same operation again changes nothing.
INSERT INTO archival_batch (audit_id, wave, batch, root_ids)
VALUES (%(audit_id)s, %(wave)s, %(batch)s, %(root_ids)s::bigint[])
ON CONFLICT (audit_id, batch) DO NOTHING
