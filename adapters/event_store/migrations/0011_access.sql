-- Who may come in. Of a key only the hash is kept; revoked ones stay, since events name them.
CREATE TABLE api_keys (
    key_id       text        PRIMARY KEY,
    name         text        NOT NULL CHECK (name <> ''),
    secret_hash  bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    roles        text[]      NOT NULL CHECK (cardinality(roles) > 0),
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    last_used_at timestamptz,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (lower(name)) WHERE revoked_at IS NULL;
GRANT SELECT, INSERT ON api_keys TO qist_app;
GRANT UPDATE (revoked_at, revoked_by, last_used_at) ON api_keys TO qist_app;

-- Browsers that are signed in, and links that sign in once.
CREATE TABLE sessions (
    token_hash bytea       PRIMARY KEY,
    subject    text        NOT NULL,
    name       text        NOT NULL,
    roles      text[]      NOT NULL,
    key_id     text        REFERENCES api_keys,
    began_at   timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (expires_at);
CREATE TABLE sign_in_links (
    token_hash bytea       PRIMARY KEY,
    key_id     text        NOT NULL REFERENCES api_keys,
    expires_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON sessions, sign_in_links TO qist_app;

-- Commands that a second person decides on. `body` is what is sent once they approve.
CREATE TABLE approvals (
    command_id        text        PRIMARY KEY,
    loan_id           text        NOT NULL,
    type              text        NOT NULL,
    body              jsonb       NOT NULL,
    at_stake_paise    bigint      NOT NULL,
    requested_by      text        NOT NULL,
    requester_subject text        NOT NULL,
    requested_at      timestamptz NOT NULL,
    lapses_at         timestamptz NOT NULL,
    decision          text        CHECK (decision IN ('approved', 'declined')),
    decided_by        text,
    decider_subject   text        CHECK (decider_subject <> requester_subject),
    decided_at        timestamptz,
    note              text        NOT NULL DEFAULT '',
    CHECK ((decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL))
);
CREATE INDEX approvals_open ON approvals (requested_at, command_id) WHERE decision IS NULL;
CREATE INDEX approvals_by_time ON approvals (requested_at, command_id);
CREATE INDEX approvals_by_loan ON approvals (loan_id, requested_at);
GRANT SELECT, INSERT ON approvals TO qist_app;
GRANT UPDATE (decision, decided_by, decider_subject, decided_at, note) ON approvals TO qist_app;

-- Who read what about whom. The application adds, and can neither change nor remove.
CREATE TABLE access_log (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    who         text        NOT NULL,
    subject     text        NOT NULL,
    what        text        NOT NULL,
    loan_id     text,
    borrower_id text,
    detail      jsonb       NOT NULL
);
CREATE INDEX access_log_by_loan ON access_log (loan_id, number) WHERE loan_id IS NOT NULL;
CREATE INDEX access_log_by_who ON access_log (who, number);
CREATE INDEX access_log_by_time ON access_log USING brin (at);
GRANT SELECT, INSERT ON access_log TO qist_app;
