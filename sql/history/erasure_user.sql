INSERT INTO history_erased_user (user_fingerprint, erased_at)
VALUES (%(fingerprint)s, %(at)s)
ON CONFLICT (user_fingerprint) DO UPDATE SET erased_at = excluded.erased_at
