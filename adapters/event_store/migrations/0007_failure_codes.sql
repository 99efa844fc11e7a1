-- The lender's own words on failure codes, each a version of the mapping. Nothing is edited: a newer row goes first,
-- and every failed debit says by which version it was decided.
CREATE TABLE failure_codes (
    number        integer     PRIMARY KEY CHECK (number > 0),
    rail          text        NOT NULL CHECK (rail <> ''),
    code          text        NOT NULL CHECK (code <> ''),
    class         text        NOT NULL CHECK (class IN ('soft', 'hard', 'technical')),
    action        text        NOT NULL,
    meaning       text        NOT NULL CHECK (meaning <> ''),
    charge_bounce boolean     NOT NULL,
    classified_by text        NOT NULL CHECK (classified_by <> ''),
    classified_at timestamptz NOT NULL
);
GRANT SELECT, INSERT ON failure_codes TO qist_app;
