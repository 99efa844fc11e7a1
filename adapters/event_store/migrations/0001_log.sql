-- The event log, and everything that is written in the same transaction as its events.
-- All keys start with the partition: a loan's partition is its home for life, and a range of partitions can move
-- to a server of its own.

CREATE TABLE house (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    partitions integer NOT NULL,          -- chosen once; a start with another count is refused
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE events (
    partition      integer     NOT NULL,
    position       bigint      NOT NULL,  -- gapless from 1 per partition, given by the writer: the fence
    loan_id        text        NOT NULL,
    version        integer     NOT NULL,  -- gapless from 1 per loan
    topic          text        NOT NULL,
    state          bytea       NOT NULL,  -- the bytes that were hashed; never re-encoded
    occurred_at    timestamptz NOT NULL,  -- business time
    recorded_at    timestamptz NOT NULL,
    causation_id   text        NOT NULL,  -- the message or task that caused it
    correlation_id text        NOT NULL,
    actor          text        NOT NULL,
    hash           bytea       NOT NULL,  -- SHA-256 over the loan's previous hash and this row
    PRIMARY KEY (partition, position),
    UNIQUE (partition, loan_id, version)
);

-- What the eventsourcing library's own recorder reads. Positions of one partition are one notification log.
CREATE VIEW stock_events AS
SELECT loan_id AS originator_id,
       version AS originator_version,
       topic,
       state,
       (partition::bigint << 40) | position AS notification_id
FROM events;

-- Where each partition's writer stands. A commit moves `position` from what the writer believes: a second fence,
-- for batches without events.
CREATE TABLE partitions (
    partition     integer PRIMARY KEY,
    position      bigint NOT NULL DEFAULT 0,
    owner         text   NOT NULL DEFAULT '',
    published     bigint NOT NULL DEFAULT 0,      -- events up to here are on servicing.loan-events ...
    published_to  text   NOT NULL DEFAULT '',     -- ... of this cluster
    applied       bigint NOT NULL DEFAULT 0,      -- inbound records by what became of them
    repeated      bigint NOT NULL DEFAULT 0,
    parked        bigint NOT NULL DEFAULT 0,
    dead_lettered bigint NOT NULL DEFAULT 0,
    rerouted      bigint NOT NULL DEFAULT 0,
    unparked      bigint NOT NULL DEFAULT 0
);

CREATE TABLE inbound_offsets (
    cluster_id  text    NOT NULL,
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (partition, topic, cluster_id)
);

CREATE TABLE agenda (
    partition integer     NOT NULL,
    loan_id   text        NOT NULL,
    due_at    timestamptz NOT NULL,       -- the earliest thing that time will ask of this loan
    PRIMARY KEY (partition, loan_id)
);
CREATE INDEX agenda_due ON agenda (partition, due_at);

CREATE TABLE snapshots (
    partition integer NOT NULL,
    loan_id   text    NOT NULL,
    version   integer NOT NULL,
    schema    integer NOT NULL,           -- of the state; another number is ignored and rebuilt
    state     bytea   NOT NULL,
    hash      bytea   NOT NULL,           -- the chain's head at that version
    PRIMARY KEY (partition, loan_id)
);

CREATE TABLE command_results (
    partition  integer     NOT NULL,
    command_id text        NOT NULL,
    loan_id    text        NOT NULL,
    type       text        NOT NULL,
    outcome    text        NOT NULL,      -- done, repeated, refused
    refusal    text        NOT NULL DEFAULT '',
    detail     text        NOT NULL DEFAULT '',
    version    integer     NOT NULL DEFAULT 0,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (partition, command_id)
);
CREATE INDEX command_results_by_id ON command_results (command_id);

CREATE TABLE parked (
    partition    integer     NOT NULL,
    loan_id      text        NOT NULL,
    topic        text        NOT NULL,
    source_partition integer NOT NULL,
    source_offset    bigint  NOT NULL,
    cluster_id   text        NOT NULL,
    key          bytea,
    headers      jsonb       NOT NULL,    -- [[name, base64 of the value], ...]
    value        bytea,
    parked_at    timestamptz NOT NULL,
    PRIMARY KEY (partition, cluster_id, topic, source_partition, source_offset)
);
CREATE INDEX parked_by_loan ON parked (partition, loan_id);

CREATE TABLE dead_letters (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    partition    integer     NOT NULL,
    topic        text        NOT NULL,
    source_partition integer NOT NULL,
    source_offset    bigint  NOT NULL,
    cluster_id   text        NOT NULL,
    key          bytea,
    headers      jsonb       NOT NULL,
    value        bytea,
    loan_id      text        NOT NULL DEFAULT '',
    reason       text        NOT NULL,    -- the refusal's phrase
    detail       text        NOT NULL,    -- the sentence, with what to do and the figures
    field        text        NOT NULL DEFAULT '',
    set_aside_at timestamptz NOT NULL,
    published    boolean     NOT NULL DEFAULT false,
    retried_at   timestamptz,
    PRIMARY KEY (partition, cluster_id, topic, source_partition, source_offset)
);
CREATE INDEX dead_letters_unpublished ON dead_letters (partition) WHERE NOT published;
CREATE UNIQUE INDEX dead_letters_by_id ON dead_letters (id);

-- Personal data, outside the events: encrypted with a key per borrower; destroying the key erases the borrower.
CREATE TABLE vault_keys (
    borrower_id text PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    created_at  timestamptz NOT NULL
);
CREATE TABLE vault (
    token       text    NOT NULL,
    version     integer NOT NULL,
    borrower_id text    NOT NULL,
    ciphertext  bytea   NOT NULL,
    stored_at   timestamptz NOT NULL,
    PRIMARY KEY (token, version)
);
CREATE INDEX vault_by_borrower ON vault (borrower_id);

-- The simulated clock of a demo or a soak, when the driver steps it (see docs/decisions).
CREATE TABLE simulated_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    now      timestamptz NOT NULL
);

-- The application's role: it can add to the log and read it, and do nothing else to it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qist_app') THEN
        CREATE ROLE qist_app NOLOGIN;
    END IF;
    -- Whoever sets up also connects: to become the role, a login that is no superuser must be its member.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT qist_app TO %I', current_user);
    END IF;
END $$;
GRANT USAGE, CREATE ON SCHEMA public TO qist_app;
GRANT SELECT, INSERT ON events TO qist_app;
GRANT SELECT ON stock_events, house TO qist_app;
GRANT SELECT, INSERT, UPDATE ON partitions, inbound_offsets, snapshots, command_results, simulated_clock TO qist_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON agenda, parked, dead_letters, vault, vault_keys TO qist_app;
