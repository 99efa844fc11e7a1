-- A borrower's loans, and how a loan stands, are read from the log itself: two small indexes, no second truth.

-- Immutable in effect: the encoding is named, and a database never changes its own.
CREATE FUNCTION borrower_of(state bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE sql RETURN convert_from(state, 'UTF8')::jsonb ->> 'borrower_id';

CREATE INDEX events_of_borrowers ON events (borrower_of(state)) WHERE topic = 'loan.booked.v1';

CREATE INDEX events_of_standing ON events (partition, loan_id, topic, version DESC)
WHERE topic IN (
    'loan.booked.v1', 'loan.reopened.v1', 'loan.written-off.v1', 'loan.closed.v1',
    'loan.delinquency-changed.v1', 'loan.borrower-standing-changed.v1'
);
