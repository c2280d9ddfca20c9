-- One schema for both dialects. Times are microseconds since 1970 in UTC (0: never), amounts are decimals as text (exact in
-- both; sums are made in Go under the row lock), and BYTEA columns hold what the key ring has sealed.

-- +goose Up
CREATE TABLE operations (
    operation_key TEXT    NOT NULL PRIMARY KEY,
    system        TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    effect        TEXT    NOT NULL, -- what it does to the payment; '' where it is none of a payment
    order_id      TEXT    NOT NULL,
    input_hash    TEXT    NOT NULL,
    reference     TEXT    NOT NULL,
    guard         TEXT    NOT NULL,
    amount        TEXT    NOT NULL,
    currency      TEXT    NOT NULL,
    request       BYTEA   NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('intent', 'unknown', 'succeeded', 'refused', 'absent')),
    outside_id    TEXT    NOT NULL DEFAULT '',
    outcome       BYTEA,
    detail        BYTEA,
    sends         INTEGER NOT NULL CHECK (sends >= 0),
    first_sent_at BIGINT  NOT NULL,
    last_sent_at  BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL
);
CREATE INDEX operations_order ON operations (order_id);
-- No transaction of the gateway serves two operations, and no document of the ERP two operations of one kind (an ERP may
-- number its orders and its invoices alike).
CREATE UNIQUE INDEX operations_outside ON operations (system, kind, outside_id) WHERE outside_id <> '';
CREATE UNIQUE INDEX operations_payment_outside ON operations (system, outside_id) WHERE outside_id <> '' AND effect <> '';
CREATE INDEX operations_open ON operations (last_sent_at) WHERE state IN ('intent', 'unknown');

CREATE TABLE calls (
    id             TEXT    NOT NULL PRIMARY KEY, -- UUIDv7
    at             BIGINT  NOT NULL,
    system         TEXT    NOT NULL,
    method         TEXT    NOT NULL,
    route          TEXT    NOT NULL,
    status         INTEGER NOT NULL,
    duration       BIGINT  NOT NULL, -- microseconds
    correlation_id TEXT    NOT NULL,
    operation_key  TEXT    NOT NULL,
    order_id       TEXT    NOT NULL,
    error          TEXT    NOT NULL
);
CREATE INDEX calls_order ON calls (order_id, at);

CREATE TABLE actions (
    id       TEXT   NOT NULL PRIMARY KEY, -- UUIDv7
    at       BIGINT NOT NULL,
    order_id TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    document BYTEA  NOT NULL -- reason and detail
);
CREATE INDEX actions_order ON actions (order_id, at);

-- +goose Down
DROP TABLE actions;
DROP TABLE calls;
DROP TABLE operations;
