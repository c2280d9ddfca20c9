package sagepro

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// tx is the one transaction of an operation. Locks are taken in the order counter, customer, items by code, document: whoever keeps to it
// meets no deadlock here.
type tx struct {
	querier
	client *Client
	key    string    // of the operation
	now    time.Time // in the site's zone
}

// mutate runs an operation once, however often it is called: its row, named by the idempotency key, is the first of the transaction, and holds
// the answer at its end. A repeat gets that answer; another document under the same key is a Bug. What do refuses leaves nothing behind,
// not even the row, so that it may come again, corrected, under the same key.
func mutate[T any](ctx context.Context, c *Client, key, kind string, document any, do func(context.Context, *tx) (T, error)) (T, error) {
	var answer T
	if key = docKey(key); key == "" {
		return answer, c.bug("a mutation needs an idempotency key")
	}
	hash, err := hashOf(kind, document)
	if err != nil {
		return answer, c.bug("the document can't be hashed")
	}
	err = c.change(outbound.WithOperation(ctx, key), kind, func(ctx context.Context) error {
		return c.transact(ctx, key, func(ctx context.Context, t *tx) error {
			done, err := t.begin(ctx, hash, &answer)
			if err != nil || done {
				return err
			}
			if answer, err = do(ctx, t); err != nil {
				return err
			}
			return t.finish(ctx, &answer)
		})
	})
	if err != nil {
		var none T
		return none, err
	}
	return answer, nil
}

// hashOf is the SHA-256 of an operation's kind and document, which is JSON as it was sent.
func hashOf(kind string, document any) (string, error) {
	body, isDocument := document.(erp.Document)
	bytes := []byte(body.Body)
	if !isDocument {
		var err error
		if bytes, err = json.Marshal(document); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(append([]byte(kind+"\n"), bytes...))
	return hex.EncodeToString(sum[:]), nil
}

// transact runs do in one transaction. Its errors are faults: UnknownOutcome only where the answer of COMMIT was lost.
func (c *Client) transact(ctx context.Context, key string, do func(context.Context, *tx) error) error {
	known, err := c.known(ctx)
	if err != nil {
		return err
	}
	begun, err := c.config.DB.BeginTxx(ctx, &sql.TxOptions{Isolation: isolationOf(c.config.DB, c.dialect)})
	if err != nil {
		return c.failed(err)
	}
	t := &tx{querier: querier{run: begun, site: known, dialect: c.dialect, bind: c.bind}, client: c, key: key, now: c.now()}
	_, err = begun.ExecContext(ctx, c.dialect.session(c.config.LockWait))
	if err == nil {
		err = do(ctx, t)
	}
	if err == nil {
		err = ctx.Err() // a commit that nobody waits for is not sent
	}
	if err != nil {
		_ = begun.Rollback() // a connection that is gone has rolled back by itself
		return c.failed(err)
	}
	if err := begun.Commit(); err != nil {
		return c.commitFailed(err)
	}
	return nil
}

// entityOperation is the entity of operations' rows in cyb_xref.
const entityOperation = "op"

// begin writes the operation's row. done: it was there, and answer is what was answered then.
func (t *tx) begin(ctx context.Context, hash string, answer any) (done bool, err error) {
	held, err := t.claim(ctx, entityOperation, t.key, xref{PayHash: text(hash)})
	if err != nil || held == nil {
		return false, err
	}
	if string(held.PayHash) != hash {
		return false, t.client.refuse(fault.Bug, codeKeyReused, "the idempotency key was used with another document")
	}
	if err := json.Unmarshal([]byte(held.Answer), answer); err != nil {
		return false, t.client.bug("the stored answer of the operation can't be read")
	}
	return true, nil
}

// finish keeps the answer, which it gets a pointer to, in the operation's row, and makes it what a repeat will read there.
func (t *tx) finish(ctx context.Context, answer any) error {
	written, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if err := json.Unmarshal(written, answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return t.setXref(ctx, entityOperation, t.key, row{"answer": string(written)})
}

// insert writes a row: its values, the audit columns that the table has, and something neutral in every other column that must not be NULL
// and has no default.
func (t *tx) insert(ctx context.Context, table string, values row) error {
	names, arguments, err := t.columnsOf(table, merged(t.audit(table), values))
	if err != nil {
		return err
	}
	names, arguments = t.fill(table, names, arguments)
	into, err := t.site.sql("{" + table + "}")
	if err != nil {
		return err
	}
	_, err = t.execPlain(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", into, strings.Join(names, ", "), marks(len(names))), arguments...)
	return err
}

// audit gives the audit columns and an open record lock, as far as the layout has them.
func (t *tx) audit(table string) row {
	values := row{"adduser": t.client.config.User, "adddate": t.now.Format(time.DateOnly), "addtime": t.now.Format(time.TimeOnly), "lckstat": ""}
	for name := range values {
		if _, known := t.site.layout[table][name]; !known || isSide(table) {
			delete(values, name)
		}
	}
	return values
}

// fill adds every column that must not be NULL and that neither the row nor the database fills.
func (t *tx) fill(table string, names []string, arguments []any) ([]string, []any) {
	given := map[string]bool{}
	for _, name := range names {
		given[name] = true
	}
	for _, column := range t.site.required(table) {
		if quoted := t.dialect.quote(column.name); !given[quoted] {
			names, arguments = append(names, quoted), append(arguments, neutral(t.dialect, column))
		}
	}
	return names, arguments
}

// neutral is what a column holds that means nothing.
func neutral(d dialect, column siteColumn) any {
	switch column.stored {
	case kindDecimal, kindInteger:
		return int64(0)
	case kindDate, kindInstant:
		return d.date(d.blankDate())
	case kindFlag:
		return false
	default:
		return ""
	}
}

// update changes the rows of a key and tells how many there were.
func (t *tx) update(ctx context.Context, table string, key, values row) (int64, error) {
	names, arguments, err := t.columnsOf(table, values)
	if err != nil || len(names) == 0 {
		return 0, err
	}
	keys, keyArguments, err := t.columnsOf(table, key)
	if err != nil {
		return 0, err
	}
	if len(keys) != len(key) || len(keys) == 0 {
		return 0, errors.New("an update needs its whole key")
	}
	into, err := t.site.sql("{" + table + "}")
	if err != nil {
		return 0, err
	}
	statement := fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s = ?", into, strings.Join(names, " = ?, "), strings.Join(keys, " = ? AND "))
	return t.execPlain(ctx, statement, append(arguments, keyArguments...)...)
}
