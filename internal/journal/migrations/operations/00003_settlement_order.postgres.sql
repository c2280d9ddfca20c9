-- Reports are merged with operations byte by byte, whatever the language of the database.

-- +goose Up
CREATE INDEX operations_due ON operations (outside_id COLLATE "C") WHERE settles AND settled_on = '';
CREATE INDEX operations_settled ON operations (settled_on, outside_id COLLATE "C") WHERE settled_on <> '';

-- +goose Down
DROP INDEX operations_settled;
DROP INDEX operations_due;
