-- Reconciliation: what gateways and banks report, how it compares with the loans, and what people decided about it.
-- The loans' side is a read model (schema `reconciliation`); these tables are the other side, and no log can remake them.

-- How a source's files are to be read.
CREATE TABLE reconciliation_sources (
    name       text PRIMARY KEY,
    mapping    jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL
);

CREATE TABLE reconciliation_files (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text NOT NULL,
    statement     boolean NOT NULL,
    format        text NOT NULL,
    name          text NOT NULL,
    sha256        bytea NOT NULL,
    lines         integer NOT NULL,
    repeated      integer NOT NULL,
    paise         bigint NOT NULL,
    taken_at      timestamptz NOT NULL,
    taken_by      text NOT NULL,
    UNIQUE (source, sha256)
);

CREATE TABLE reconciliation_lines (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id    bigint NOT NULL REFERENCES reconciliation_files,
    source     text NOT NULL,
    statement  boolean NOT NULL,
    entry      text NOT NULL,
    paise      bigint NOT NULL,
    fee_paise  bigint NOT NULL,          -- kept back by the gateway, tax included
    value_on   date NOT NULL,
    refs       text[] NOT NULL,
    settlement text NOT NULL,            -- of a gateway's line: the subject of its batch
    batch      text NOT NULL,            -- and the batch's reference
    told       text NOT NULL DEFAULT '', -- the subject that a person said
    subject    text NOT NULL DEFAULT '', -- where it belongs: follows from refs and told
    loan_id    text NOT NULL DEFAULT '', -- of a line alone: the loan that it names
    UNIQUE (source, entry)
);
CREATE INDEX reconciliation_lines_refs ON reconciliation_lines USING gin (refs);
CREATE INDEX reconciliation_lines_subject ON reconciliation_lines (subject);
CREATE INDEX reconciliation_lines_settlement ON reconciliation_lines (settlement) WHERE NOT statement;
CREATE INDEX reconciliation_lines_batch ON reconciliation_lines (batch) WHERE NOT statement;

-- Each subject as it compares now: made from both sides, and made again whenever one of them moves.
CREATE TABLE reconciliation_items (
    subject           text PRIMARY KEY,
    level             text NOT NULL,
    kind              text NOT NULL,
    state             text NOT NULL,
    loan_id           text NOT NULL,
    source            text NOT NULL,
    reference         text NOT NULL,
    gateway_reference text NOT NULL,
    ours_paise        bigint NOT NULL,
    theirs_paise      bigint NOT NULL,
    ours_on           date,
    theirs_on         date,
    lines             integer NOT NULL,
    since             timestamptz NOT NULL,
    resolution        bigint                -- that holds for these figures
);
CREATE INDEX reconciliation_items_open ON reconciliation_items (since, subject) WHERE state <> 'matched';
CREATE INDEX reconciliation_items_loan ON reconciliation_items (loan_id) WHERE state <> 'matched';

-- What people decided, for good.
CREATE TABLE reconciliation_resolutions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject      text NOT NULL,
    way          text NOT NULL,
    note         text NOT NULL,
    state        text NOT NULL,
    ours_paise   bigint NOT NULL,
    theirs_paise bigint NOT NULL,
    other        text NOT NULL,          -- the loan that it was booked on, the movement that it is the same as
    resolved_at  timestamptz NOT NULL,
    resolved_by  text NOT NULL
);
CREATE INDEX reconciliation_resolutions_subject ON reconciliation_resolutions (subject, id);

-- Messages to the loans; sent at least once, and one id is one message.
CREATE TABLE reconciliation_bookings (
    id       text PRIMARY KEY,
    subject  text NOT NULL,
    type     text NOT NULL,
    loan_id  text NOT NULL,
    body     jsonb NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT now(),
    sent_at  timestamptz
);
CREATE INDEX reconciliation_bookings_unsent ON reconciliation_bookings (made_at) WHERE sent_at IS NULL;
CREATE INDEX reconciliation_bookings_subject ON reconciliation_bookings (subject);

GRANT SELECT, INSERT ON reconciliation_files, reconciliation_resolutions TO qist_app;
GRANT SELECT, INSERT, UPDATE ON reconciliation_sources, reconciliation_lines, reconciliation_bookings TO qist_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON reconciliation_items TO qist_app;
