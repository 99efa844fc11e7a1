-- Webhook calls that were accepted, for as long as their signature's timestamp is valid: a replay is refused.
CREATE TABLE webhook_calls (
    gateway   text        NOT NULL,
    signature text        NOT NULL,
    called_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, signature)
);
CREATE INDEX webhook_calls_by_time ON webhook_calls (called_at);
GRANT SELECT, INSERT, DELETE ON webhook_calls TO qist_app;

-- The API says whether the database is up to date.
GRANT SELECT ON migrations TO qist_app;
