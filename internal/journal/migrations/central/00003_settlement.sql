-- Settlement days with what they have posted, disputes, shipments, stock, and how far each feed of an ERP was read.

-- +goose Up
ALTER TABLE payments ADD COLUMN settled_on TEXT NOT NULL DEFAULT ''; -- YYYY-MM-DD: the day of its last capture that has settled
ALTER TABLE payments ADD COLUMN batch_id TEXT NOT NULL DEFAULT '';
CREATE INDEX payments_created ON payments (created_at, order_id);
CREATE INDEX payments_status ON payments (status, created_at, order_id);
CREATE INDEX payments_settled ON payments (settled_on, order_id) WHERE settled_on <> '';

CREATE TABLE settlements (
    merchant   TEXT    NOT NULL,
    date       TEXT    NOT NULL, -- YYYY-MM-DD
    state      TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    result     TEXT    NOT NULL, -- JSON of totals; '' before the first run has read the reports
    runs       INTEGER NOT NULL,
    last_run   TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    PRIMARY KEY (merchant, date)
);
CREATE INDEX settlements_date ON settlements (date, merchant);

CREATE TABLE settlement_files (
    merchant   TEXT   NOT NULL,
    date       TEXT   NOT NULL,
    kind       TEXT   NOT NULL, -- "csv", "html"
    content    BYTEA  NOT NULL, -- gzip
    size       BIGINT NOT NULL, -- bytes before
    written_at BIGINT NOT NULL,
    PRIMARY KEY (merchant, date, kind)
);

CREATE TABLE settlement_postings (
    merchant  TEXT    NOT NULL,
    date      TEXT    NOT NULL,
    currency  TEXT    NOT NULL,
    sequence  INTEGER NOT NULL, -- 0: the day's journal, n: its n-th correction
    reference TEXT    NOT NULL, -- of the journal; '' where only an invoice was posted
    entry     TEXT    NOT NULL, -- JSON of the journal
    number    TEXT    NOT NULL, -- the ERP's
    warning   TEXT    NOT NULL,
    invoice   TEXT    NOT NULL, -- our number of the fee invoice
    document  TEXT    NOT NULL, -- JSON of the invoice
    posted_at BIGINT  NOT NULL,
    PRIMARY KEY (merchant, date, currency, sequence)
);
CREATE UNIQUE INDEX settlement_postings_reference ON settlement_postings (reference) WHERE reference <> '';
CREATE UNIQUE INDEX settlement_postings_invoice ON settlement_postings (invoice) WHERE invoice <> '';

CREATE TABLE settlement_entries (
    entry    TEXT NOT NULL PRIMARY KEY, -- key of a fee, dispute or payout that a day has taken
    merchant TEXT NOT NULL,
    date     TEXT NOT NULL
);

CREATE TABLE settlement_figures (
    merchant TEXT NOT NULL,
    currency TEXT NOT NULL,
    date     TEXT NOT NULL,
    figures  TEXT NOT NULL, -- JSON
    PRIMARY KEY (merchant, currency, date)
);

CREATE TABLE chargebacks (
    case_id        TEXT    NOT NULL PRIMARY KEY,
    order_id       TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    amount         TEXT    NOT NULL,
    fee_currency   TEXT    NOT NULL,
    fee            TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    retrieval      BOOLEAN NOT NULL,
    outcome        TEXT    NOT NULL CHECK (outcome IN ('', 'won', 'lost')),
    opened_at      BIGINT  NOT NULL,
    respond_by     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL
);
CREATE INDEX chargebacks_opened ON chargebacks (opened_at, case_id);
CREATE INDEX chargebacks_order ON chargebacks (order_id);

CREATE TABLE chargeback_notes (
    case_id  TEXT   NOT NULL,
    note_key TEXT   NOT NULL,
    id       TEXT   NOT NULL, -- UUIDv7: the order of arrival, where the times are the same
    at       BIGINT NOT NULL,
    note     TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    PRIMARY KEY (case_id, note_key)
);

CREATE TABLE cursors (
    name       TEXT   NOT NULL PRIMARY KEY,
    watermark  BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE shipments (
    order_id    TEXT    NOT NULL,
    number      TEXT    NOT NULL,
    sequence    INTEGER NOT NULL, -- within the order, from 1
    document    TEXT    NOT NULL, -- JSON of the shipment
    currency    TEXT    NOT NULL,
    share       TEXT    NOT NULL, -- what of the order it is worth
    complete    BOOLEAN NOT NULL, -- nothing is left to ship after it
    recorded_at BIGINT  NOT NULL,
    PRIMARY KEY (order_id, number)
);
CREATE UNIQUE INDEX shipments_sequence ON shipments (order_id, sequence);

CREATE TABLE stock (
    erp        TEXT   NOT NULL,
    code       TEXT   NOT NULL,
    warehouse  TEXT   NOT NULL,
    available  TEXT   NOT NULL,
    at         BIGINT NOT NULL, -- by the ERP's clock
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (erp, code, warehouse)
);
CREATE INDEX stock_code ON stock (code);

-- +goose Down
DROP TABLE stock;
DROP TABLE shipments;
DROP TABLE cursors;
DROP TABLE chargeback_notes;
DROP TABLE chargebacks;
DROP TABLE settlement_figures;
DROP TABLE settlement_entries;
DROP TABLE settlement_postings;
DROP TABLE settlement_files;
DROP TABLE settlements;
DROP INDEX payments_settled;
DROP INDEX payments_status;
DROP INDEX payments_created;
ALTER TABLE payments DROP COLUMN batch_id;
ALTER TABLE payments DROP COLUMN settled_on;
