-- Documents that were issued: what each is made from, and the hash of its bytes. The bytes are made again from the
-- events when they are asked for, so that no personal data is kept here.
CREATE TABLE document_letterheads (
    letterhead text  PRIMARY KEY,              -- SHA-256 of the facts
    facts      jsonb NOT NULL                  -- who lent, as documents said it then
);
CREATE TABLE documents (
    partition      integer     NOT NULL,
    loan_id        text        NOT NULL,
    document_id    text        NOT NULL,       -- kind, the loan's version, days, language, templates: the whole recipe
    kind           text        NOT NULL,
    called_by      text        NOT NULL,       -- the event that called for it, or who asked
    issued_at      timestamptz NOT NULL,       -- business time
    letterhead     text        NOT NULL REFERENCES document_letterheads,
    vault_version  integer     NOT NULL,       -- of the borrower's facts; 0 = there were none
    sha256         text        NOT NULL,       -- of the bytes
    bytes          integer     NOT NULL,
    figures_sha256 text        NOT NULL,       -- of the figures, without personal data
    renderer       text        NOT NULL,
    flaw           text        NOT NULL DEFAULT '',  -- why it could not be made; then it has no hash
    PRIMARY KEY (partition, loan_id, document_id)
);
CREATE TABLE document_positions (
    partition integer PRIMARY KEY,
    position  bigint  NOT NULL                 -- what events up to here call for is made
);
GRANT SELECT, INSERT ON document_letterheads TO qist_app;
GRANT SELECT, INSERT, UPDATE ON documents, document_positions TO qist_app;
