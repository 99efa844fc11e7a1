-- Every notice to a borrower: what became of it, and why (servicing rule 30: every contact is recorded). No text and no
-- address: both are made from `facts` and the vault when it is sent.
CREATE TABLE notices (
    notice_id   text        PRIMARY KEY,               -- partition:position:kind of the event that asked for it
    partition   integer     NOT NULL,
    loan_id     text        NOT NULL,
    borrower_id text        NOT NULL,
    kind        text        NOT NULL,
    purpose     text        NOT NULL,
    facts       jsonb       NOT NULL,                  -- emptied when the borrower is erased
    occurred_at timestamptz NOT NULL,
    not_before  timestamptz,
    state       text        NOT NULL CHECK (
        state IN ('planned', 'sending', 'sent', 'delivered', 'read', 'failed', 'suppressed')),
    channel     text        NOT NULL,
    tone        text        NOT NULL,
    language    text        NOT NULL,
    send_at     timestamptz NOT NULL,                  -- business time: planned for, then sent at
    reason      text        NOT NULL,                  -- why so, or why not at all
    rule        text        NOT NULL,                  -- the dated rule that moved it, if one did
    attempts    integer     NOT NULL DEFAULT 0,        -- on this channel
    trail       jsonb       NOT NULL DEFAULT '[]',     -- what became of it before: [{channel, at, outcome, detail}]
    tried       text[]      NOT NULL DEFAULT '{}',     -- channels that failed for good
    provider_reference text NOT NULL DEFAULT '',
    claimed_at  timestamptz,                           -- real time: whoever sends it has it in hand since
    delivered_at timestamptz,
    read_at     timestamptz
);
CREATE INDEX notices_of_loans ON notices (loan_id, occurred_at, notice_id);
CREATE INDEX notices_of_borrowers ON notices (borrower_id, occurred_at);
CREATE INDEX notices_planned ON notices (send_at) WHERE state = 'planned';
CREATE INDEX notices_waiting ON notices (loan_id) WHERE state = 'planned';
CREATE INDEX notices_in_hand ON notices (claimed_at) WHERE state = 'sending';
GRANT SELECT, INSERT, UPDATE ON notices TO qist_app;

-- What is known of how a borrower may be contacted is read from the log itself: a small index, no second truth.
CREATE INDEX events_of_contact ON events (partition, loan_id, version)
WHERE topic IN ('loan.booked.v1', 'loan.borrower-changed.v1', 'loan.contact-held.v1', 'loan.borrower-erased.v1');
