-- Refunds, reviews that people work with, corrected orders, and the notices that tell people of them.

-- +goose Up
ALTER TABLE orders ADD COLUMN original BYTEA; -- as it was posted, where input was corrected since
ALTER TABLE orders ADD COLUMN customer_hash TEXT NOT NULL DEFAULT ''; -- of channel and customer id; '' for orders of before
CREATE INDEX orders_customer ON orders (customer_hash, received_at, order_id) WHERE customer_hash <> '';

ALTER TABLE attention ADD COLUMN system TEXT NOT NULL DEFAULT ''; -- the one outside that failed
ALTER TABLE attention ADD COLUMN channel TEXT NOT NULL DEFAULT '';
ALTER TABLE attention ADD COLUMN fixes BYTEA;
CREATE INDEX attention_workflow ON attention (workflow_id);

CREATE TABLE refunds (
    order_id        TEXT    NOT NULL,
    refund_id       TEXT    NOT NULL,
    body_hash       TEXT    NOT NULL,
    origin          TEXT    NOT NULL,
    actor           TEXT    NOT NULL,
    reason          BYTEA   NOT NULL,
    credit_memo     TEXT    NOT NULL, -- of the ERP, where it is the origin
    currency        TEXT    NOT NULL,
    amount          TEXT    NOT NULL,
    breakdown       TEXT    NOT NULL, -- JSON: amounts by line
    restock         BOOLEAN NOT NULL,
    cancels         BOOLEAN NOT NULL,
    status          TEXT    NOT NULL,
    way             TEXT    NOT NULL,
    transaction_id  TEXT    NOT NULL,
    erp_credit_memo TEXT    NOT NULL,
    erp_refund      TEXT    NOT NULL,
    why             TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    started_at      BIGINT  NOT NULL,
    PRIMARY KEY (order_id, refund_id)
);
CREATE INDEX refunds_unstarted ON refunds (created_at) WHERE started_at = 0;

CREATE TABLE reviews (
    order_id     TEXT   NOT NULL PRIMARY KEY,
    workflow_id  TEXT   NOT NULL,
    payment_id   TEXT   NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('open', 'decided', 'closed')),
    since        BIGINT NOT NULL,
    reminded_at  BIGINT NOT NULL,
    escalated_at BIGINT NOT NULL,
    deadline     BIGINT NOT NULL,
    by_default   TEXT   NOT NULL, -- what the deadline decides
    currency     TEXT   NOT NULL,
    amount       TEXT   NOT NULL,
    document     BYTEA  NOT NULL, -- what the gateway and the order tell of the risk
    decision     TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    source       TEXT   NOT NULL,
    comment      BYTEA,
    decided_at   BIGINT NOT NULL
);
CREATE INDEX reviews_state ON reviews (state, since, order_id);

CREATE TABLE review_notes (
    order_id TEXT   NOT NULL,
    note_key TEXT   NOT NULL,
    id       TEXT   NOT NULL, -- UUIDv7: the order of arrival, where the times are the same
    at       BIGINT NOT NULL,
    note     TEXT   NOT NULL,
    decision TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    source   TEXT   NOT NULL,
    rule     TEXT   NOT NULL,
    comment  BYTEA,
    PRIMARY KEY (order_id, note_key)
);

CREATE TABLE notices (
    id          TEXT    NOT NULL PRIMARY KEY,
    audience    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    group_key   TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    link        TEXT    NOT NULL,
    document    BYTEA   NOT NULL, -- subject, text and data
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'sent', 'given_up')),
    tries       INTEGER NOT NULL,
    next_try_at BIGINT  NOT NULL,
    last_error  TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);
CREATE INDEX notices_pending ON notices (next_try_at) WHERE state = 'pending';
CREATE INDEX notices_order ON notices (order_id);

-- +goose Down
DROP TABLE notices;
DROP TABLE review_notes;
DROP TABLE reviews;
DROP TABLE refunds;
DROP INDEX attention_workflow;
ALTER TABLE attention DROP COLUMN fixes;
ALTER TABLE attention DROP COLUMN channel;
ALTER TABLE attention DROP COLUMN system;
DROP INDEX orders_customer;
ALTER TABLE orders DROP COLUMN customer_hash;
ALTER TABLE orders DROP COLUMN original;
