-- Wait for our turn to launch an operation; freed with the transaction. Not the operation lock: this one is held for
-- the moment between looking whether anything is at work and putting a run into the queue.
SELECT pg_advisory_xact_lock(1634952294, hashtext(current_schema()))
