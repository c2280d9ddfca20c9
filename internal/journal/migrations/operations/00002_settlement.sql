-- What of an operation a settlement report has to show, and which one has shown it.

-- +goose Up
ALTER TABLE operations ADD COLUMN merchant TEXT NOT NULL DEFAULT ''; -- '': the only one
ALTER TABLE operations ADD COLUMN related TEXT NOT NULL DEFAULT ''; -- the transaction outside that it follows on: of a void its capture
ALTER TABLE operations ADD COLUMN moved TEXT NOT NULL DEFAULT ''; -- of the amount, once it has succeeded; '' while nothing has
ALTER TABLE operations ADD COLUMN taken_at BIGINT NOT NULL DEFAULT 0; -- when the gateway took it
ALTER TABLE operations ADD COLUMN settles BOOLEAN NOT NULL DEFAULT FALSE; -- money that a report has to show: taken or paid back, not voided
ALTER TABLE operations ADD COLUMN settled_on TEXT NOT NULL DEFAULT ''; -- YYYY-MM-DD
ALTER TABLE operations ADD COLUMN batch_id TEXT NOT NULL DEFAULT '';
CREATE INDEX operations_taken ON operations (taken_at) WHERE moved <> '';

-- Operations of before: all of the amount moved, and what was not voided settles; a sale whose capture ran has no other, and no reversal.
UPDATE operations SET moved = amount, taken_at = last_sent_at WHERE state = 'succeeded' AND effect <> '';
UPDATE operations SET settles = TRUE WHERE state = 'succeeded' AND (effect = 'refund' OR (effect IN ('capture', 'sale') AND NOT EXISTS
    (SELECT 1 FROM operations x WHERE x.order_id = operations.order_id AND x.state = 'succeeded' AND
        (x.effect = 'void_capture' OR (operations.effect = 'sale' AND x.effect IN ('capture', 'reverse'))))));

-- +goose Down
DROP INDEX operations_taken;
ALTER TABLE operations DROP COLUMN batch_id;
ALTER TABLE operations DROP COLUMN settled_on;
ALTER TABLE operations DROP COLUMN settles;
ALTER TABLE operations DROP COLUMN taken_at;
ALTER TABLE operations DROP COLUMN moved;
ALTER TABLE operations DROP COLUMN related;
ALTER TABLE operations DROP COLUMN merchant;
