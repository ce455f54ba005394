-- Add to the counters.
INSERT INTO interim_total (figure, place, amount)
SELECT
    added.figure,
    added.place,
    added.amount
FROM unnest(%(figures)s::text[], %(places)s::text[], %(amounts)s::bigint[]) AS added (figure, place, amount)
ON CONFLICT (figure, place) DO UPDATE SET amount = interim_total.amount + excluded.amount
