-- Free the operation lock of this schema.
SELECT pg_advisory_unlock(1634952293, hashtext(current_schema()))
