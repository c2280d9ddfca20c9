-- +goose Up
CREATE TABLE payments (
    order_id         TEXT   NOT NULL PRIMARY KEY,
    status           TEXT   NOT NULL,
    currency         TEXT   NOT NULL,
    authorization_id TEXT   NOT NULL DEFAULT '',
    capture_id       TEXT   NOT NULL DEFAULT '',
    authorized       TEXT   NOT NULL DEFAULT '0',
    captured         TEXT   NOT NULL DEFAULT '0', -- less what was voided
    reversed         TEXT   NOT NULL DEFAULT '0',
    refunded         TEXT   NOT NULL DEFAULT '0',
    charged_back     TEXT   NOT NULL DEFAULT '0',
    card_type        TEXT   NOT NULL DEFAULT '',
    card_suffix      TEXT   NOT NULL DEFAULT '',
    approval_code    TEXT   NOT NULL DEFAULT '',
    reconciliation   TEXT   NOT NULL DEFAULT '',
    reason           TEXT   NOT NULL DEFAULT '',
    customer_token   TEXT   NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

CREATE TABLE orders (
    order_id         TEXT    NOT NULL PRIMARY KEY,
    channel          TEXT    NOT NULL,
    body_hash        TEXT    NOT NULL,
    input            BYTEA   NOT NULL,
    status           TEXT    NOT NULL,
    payment_status   TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    needs_attention  BOOLEAN NOT NULL,
    currency         TEXT    NOT NULL,
    total            TEXT    NOT NULL,
    erp              TEXT    NOT NULL,
    erp_order_number TEXT    NOT NULL,
    erp_invoice      TEXT    NOT NULL,
    customer_code    TEXT    NOT NULL,
    gateway_id       TEXT    NOT NULL,
    progress_seq     BIGINT  NOT NULL,
    received_at      BIGINT  NOT NULL,
    started_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL
);
CREATE INDEX orders_received ON orders (received_at, order_id);
CREATE INDEX orders_channel ON orders (channel, received_at, order_id);
CREATE INDEX orders_status ON orders (status, received_at, order_id);
CREATE INDEX orders_unstarted ON orders (received_at) WHERE started_at = 0;
CREATE INDEX orders_attention ON orders (received_at, order_id) WHERE needs_attention;

CREATE TABLE timeline (
    order_id  TEXT   NOT NULL,
    event_key TEXT   NOT NULL,
    id        TEXT   NOT NULL, -- UUIDv7: the order of arrival, where the times are the same
    at        BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    summary   TEXT   NOT NULL,
    actor     TEXT   NOT NULL,
    detail    TEXT   NOT NULL, -- JSON object of opaque references
    PRIMARY KEY (order_id, event_key)
);

CREATE TABLE inbox (
    id          TEXT    NOT NULL PRIMARY KEY, -- hash of what makes the event: type, resource, status
    source      TEXT    NOT NULL,
    event_type  TEXT    NOT NULL,
    resource_id TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    body        BYTEA   NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'ignored', 'attention')),
    tries       INTEGER NOT NULL,
    next_try_at BIGINT  NOT NULL,
    last_error  TEXT    NOT NULL,
    received_at BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);
CREATE INDEX inbox_pending ON inbox (next_try_at) WHERE state = 'pending';
CREATE INDEX inbox_state ON inbox (state);
CREATE INDEX inbox_order ON inbox (order_id);

CREATE TABLE attention (
    id          TEXT   NOT NULL PRIMARY KEY,
    order_id    TEXT   NOT NULL,
    workflow_id TEXT   NOT NULL,
    step        TEXT   NOT NULL,
    class       TEXT   NOT NULL,
    document    BYTEA  NOT NULL, -- summary, suggestion, what was sent, what came back
    actions     TEXT   NOT NULL, -- JSON array
    state       TEXT   NOT NULL CHECK (state IN ('open', 'resolved')),
    resolution  TEXT   NOT NULL DEFAULT '',
    actor       TEXT   NOT NULL DEFAULT '',
    reason      BYTEA,
    since       BIGINT NOT NULL,
    deadline    BIGINT NOT NULL,
    resolved_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX attention_order ON attention (order_id);
CREATE INDEX attention_state ON attention (state, since, id);

-- +goose Down
DROP TABLE attention;
DROP TABLE inbox;
DROP TABLE timeline;
DROP TABLE orders;
DROP TABLE payments;
