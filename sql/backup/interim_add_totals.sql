-- Add to the counters, always in the same order: two cleanups at once must not wait for each other.
INSERT INTO interim_total (figure, place, amount)
SELECT
    added.figure,
    added.place,
    added.amount
FROM unnest(%(figures)s::text[], %(places)s::text[], %(amounts)s::bigint[]) AS added (figure, place, amount)
ORDER BY added.figure, added.place
ON CONFLICT (figure, place) DO UPDATE SET amount = interim_total.amount + excluded.amount
