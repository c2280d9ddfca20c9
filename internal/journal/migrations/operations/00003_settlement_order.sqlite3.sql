-- SQLite compares byte by byte by itself.

-- +goose Up
CREATE INDEX operations_due ON operations (outside_id) WHERE settles AND settled_on = '';
CREATE INDEX operations_settled ON operations (settled_on, outside_id) WHERE settled_on <> '';

-- +goose Down
DROP INDEX operations_settled;
DROP INDEX operations_due;
