-- What was asked of each gateway and what it answered: a crash between a call and its record ends in an enquiry.
CREATE TABLE gateway_calls (
    instruction_id text PRIMARY KEY,
    gateway        text        NOT NULL,
    kind           text        NOT NULL,
    loan_id        text        NOT NULL,
    amount_paise   bigint      NOT NULL,
    order_body     jsonb       NOT NULL,
    correlation_id text        NOT NULL DEFAULT '',
    state          text        NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'sending', 'sent', 'unknown', 'answered', 'withdrawn', 'held')),
    outcome        text        NOT NULL DEFAULT '' CHECK (outcome IN ('', 'succeeded', 'failed', 'reversed')),
    withdrawal     boolean     NOT NULL DEFAULT false,
    knocked        boolean     NOT NULL DEFAULT false,
    old            boolean     NOT NULL DEFAULT false,
    turns          integer     NOT NULL DEFAULT 0,
    presented      integer     NOT NULL DEFAULT 0,
    looks          integer     NOT NULL DEFAULT 0,
    answer         jsonb,
    note           text        NOT NULL DEFAULT '',
    requested_at   timestamptz NOT NULL DEFAULT now(),
    presented_at   timestamptz,
    answered_at    timestamptz,
    next_at        timestamptz DEFAULT now()
);
CREATE INDEX gateway_calls_due ON gateway_calls (gateway, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX gateway_calls_open ON gateway_calls (gateway, state) WHERE state <> 'answered';

-- What is to be told, written with the answer that it follows from, and sent after the commit.
CREATE TABLE gateway_outcomes (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ce_id          text        NOT NULL UNIQUE,
    gateway        text        NOT NULL,
    topic          text        NOT NULL,
    type           text        NOT NULL,
    loan_id        text        NOT NULL,
    body           bytea       NOT NULL,
    at             timestamptz NOT NULL,
    correlation_id text        NOT NULL DEFAULT '',
    published_at   timestamptz
);
CREATE INDEX gateway_outcomes_unpublished ON gateway_outcomes (gateway, id) WHERE published_at IS NULL;

-- Calls of vendors that were taken, by their own event id. What a webhook held is forgotten once it is understood.
CREATE TABLE gateway_webhooks (
    gateway     text        NOT NULL,
    event_id    text        NOT NULL,
    body        bytea,
    note        text        NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT now(),
    handled_at  timestamptz,
    PRIMARY KEY (gateway, event_id)
);
CREATE INDEX gateway_webhooks_waiting ON gateway_webhooks (gateway, received_at) WHERE handled_at IS NULL;

-- Files that were read, by their content and by their own reference.
CREATE TABLE gateway_files (
    gateway   text        NOT NULL,
    sha256    text        NOT NULL,
    reference text        NOT NULL,
    name      text        NOT NULL,
    state     text        NOT NULL CHECK (state IN ('taken', 'refused')),
    problem   text        NOT NULL DEFAULT '',
    lines     integer     NOT NULL,
    set_aside integer     NOT NULL,
    read_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, sha256)
);

-- What could not be understood, with the place where it stood.
CREATE TABLE gateway_set_aside (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway  text        NOT NULL,
    source   text        NOT NULL,
    line     integer     NOT NULL,
    reason   text        NOT NULL,
    content  text        NOT NULL DEFAULT '',
    at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (gateway, source, line)
);
GRANT SELECT, INSERT, UPDATE ON gateway_calls, gateway_outcomes, gateway_webhooks, gateway_files, gateway_set_aside
TO qist_app;
