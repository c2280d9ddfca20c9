-- Which reading of its reports a day has posted, what people booked by hand, and further cycles of a dispute.

-- +goose Up
-- Readings of a day's reports are numbered, later ones higher; 0 is one of before. settlement_entries says of a row which reading took it for
-- its day, and which one showed it last; a day that never posted the row leaves it to the next one that shows it.
ALTER TABLE settlements ADD COLUMN reading BIGINT NOT NULL DEFAULT 0; -- the last that was read to its end
ALTER TABLE settlements ADD COLUMN posted_reading BIGINT NOT NULL DEFAULT 0; -- the last whose run ended as posted
ALTER TABLE settlement_postings ADD COLUMN reading BIGINT NOT NULL DEFAULT 0; -- that it was planned from
ALTER TABLE settlement_postings ADD COLUMN by_hand TEXT NOT NULL DEFAULT ''; -- JSON, where people booked the journal; the invoice's is in its document
ALTER TABLE settlement_entries ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE settlement_entries ADD COLUMN taken BIGINT NOT NULL DEFAULT 0;
ALTER TABLE settlement_entries ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;

ALTER TABLE chargebacks ADD COLUMN cycle INTEGER NOT NULL DEFAULT 1; -- 2: disputed again, or decided otherwise, after it had ended
ALTER TABLE chargebacks ADD COLUMN ended_at BIGINT NOT NULL DEFAULT 0; -- by the clock of who told the outcome; 0: not told

-- +goose Down
ALTER TABLE chargebacks DROP COLUMN ended_at;
ALTER TABLE chargebacks DROP COLUMN cycle;
ALTER TABLE settlement_entries DROP COLUMN seen;
ALTER TABLE settlement_entries DROP COLUMN taken;
ALTER TABLE settlement_entries DROP COLUMN currency;
ALTER TABLE settlement_postings DROP COLUMN by_hand;
ALTER TABLE settlement_postings DROP COLUMN reading;
ALTER TABLE settlements DROP COLUMN posted_reading;
ALTER TABLE settlements DROP COLUMN reading;
