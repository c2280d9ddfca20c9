package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
)

// Settling is what matching a settlement day asks of the journal: a settlement.Journal.
type Settling struct {
	store   *Store
	gateway string
	since   instant
}

var _ settlement.Journal = Settling{}

// Settling gives the operations of a gateway ("cybersource") that settlement reports have to show: captures and sales that were not voided,
// and refunds. Those that were taken before since and have not settled are left out, as lost long ago and told of many times; zero leaves
// none out.
func (s *Store) Settling(gateway string, since time.Time) Settling {
	return Settling{store: s, gateway: gateway, since: toInstant(since)}
}

// Operations streams the merchant's operations that are not settled, and those that were settled on the date, by transaction id. An
// operation that names no merchant belongs to any. It holds one page of rows, whatever there is; nothing needs to be closed.
func (j Settling) Operations(ctx context.Context, merchantID, date string) (settlement.Operations, error) {
	return &settlingStream{
		due:     operationPages{ctx: ctx, of: j, condition: `settled_on = '' AND taken_at >= ? AND `, args: []any{j.since}, merchant: merchantID},
		settled: operationPages{ctx: ctx, of: j, condition: `settled_on = ? AND `, args: []any{date}, merchant: merchantID},
	}, nil
}

// Find gives the operations of transactions, settled or not. One that was voided settles nothing, and is not there.
func (j Settling) Find(ctx context.Context, transactionIDs []string) ([]settlement.Operation, error) {
	var list []settlement.Operation
	for chunk := range slices.Chunk(transactionIDs, rowsPerStatement) {
		var where conditions
		where.add(`system = ? AND settles AND effect <> '' AND outside_id <> ''`, j.gateway) // as its index says
		where.addList(`outside_id IN `, chunk)
		var rows []settlingRow
		if err := j.store.db.read().list(ctx, &rows, `SELECT `+settlingColumns+` FROM operations`+where.text(), where.args...); err != nil {
			return nil, fmt.Errorf("find operations of transactions: %w", err)
		}
		for _, row := range rows {
			list = append(list, row.operation())
		}
	}
	return list, nil
}

// heldEntry tells whether the day that took an entry holds it: its money is in the ledger, or may still be posted, by that day. It is held
// by a day that is in progress, and whose last reading showed it; and by one that has posted it, and not taken it out since. A day that
// was given up holds only what it had posted before.
var heldEntry = func() string {
	var inProgress []string
	for _, state := range settlement.DayStates() {
		if state.InProgress() {
			inProgress = append(inProgress, "'"+string(state)+"'")
		}
	}
	const (
		day     = ` FROM settlements s WHERE s.merchant = settlement_entries.merchant AND s.date = settlement_entries.date`
		posting = ` FROM settlement_postings p WHERE p.merchant = settlement_entries.merchant AND p.date = settlement_entries.date
			AND p.currency = settlement_entries.currency AND p.reading`
	)
	return `(NOT EXISTS (SELECT 1` + day + `) OR EXISTS (SELECT 1` + day + ` AND (
		s.state IN (` + strings.Join(inProgress, ", ") + `) AND settlement_entries.seen >= s.reading
		OR (settlement_entries.taken <= s.posted_reading OR EXISTS (SELECT 1` + posting + ` >= settlement_entries.taken))
			AND settlement_entries.seen >= s.posted_reading AND NOT EXISTS (SELECT 1` + posting + ` > settlement_entries.seen))))`
}()

// Booked gives, for those of the keys that a day has taken and holds, the day. What a day released that was given up, or whose reports do not
// show it any more, is anybody's.
func (j Settling) Booked(ctx context.Context, entries []string) (map[string]string, error) {
	booked := make(map[string]string, len(entries))
	for chunk := range slices.Chunk(entries, rowsPerStatement) {
		var where conditions
		where.addList(`entry IN `, chunk)
		where.add(heldEntry)
		var rows []struct {
			Entry string `db:"entry"`
			Date  string `db:"date"`
		}
		if err := j.store.db.read().list(ctx, &rows, `SELECT entry, date FROM settlement_entries`+where.text(), where.args...); err != nil {
			return nil, fmt.Errorf("find booked entries: %w", err)
		}
		for _, row := range rows {
			booked[row.Entry] = row.Date
		}
	}
	return booked, nil
}

// settlingStream merges two ordered streams, each by an index of its own: what was settled years ago costs nothing.
type settlingStream struct {
	due, settled operationPages
}

// Next gives the operation with the lowest transaction id, io.EOF after the last.
func (s *settlingStream) Next() (settlement.Operation, error) {
	due, errDue := s.due.head()
	settled, errSettled := s.settled.head()
	switch {
	case errDue != nil:
		return settlement.Operation{}, errDue
	case errSettled != nil:
		return settlement.Operation{}, errSettled
	case due == nil && settled == nil:
		return settlement.Operation{}, io.EOF
	case settled == nil || due != nil && due.TransactionID < settled.TransactionID:
		s.due.taken()
		return due.operation(), nil
	case due != nil && due.TransactionID == settled.TransactionID:
		s.due.taken() // settled between the two reads
		fallthrough
	default:
		s.settled.taken()
		return settled.operation(), nil
	}
}

// rowsPerStatement keeps the number of parameters far below both databases' limits.
const rowsPerStatement = 500

// streamPage is how many operations a stream holds.
const streamPage = 2000

// operationPages reads operations page by page, each beginning after the last row of the one before: no connection is held, and no
// snapshot kept, while the reader works on a page.
type operationPages struct {
	ctx       context.Context // of one matching: settlement.Operations.Next has no parameter for it
	of        Settling
	condition string
	args      []any
	merchant  string

	page  []settlingRow
	after string
	begun bool
	ended bool
}

// head gives the next row without taking it, nil after the last.
func (p *operationPages) head() (*settlingRow, error) {
	if len(p.page) == 0 && !p.ended {
		if err := p.read(); err != nil {
			return nil, err
		}
	}
	if len(p.page) == 0 {
		return nil, nil
	}
	return &p.page[0], nil
}

func (p *operationPages) taken() { p.page = p.page[1:] }

func (p *operationPages) read() error {
	store := p.of.store
	binary := store.db.dialect.binary
	args := append(slices.Clone(p.args), p.of.gateway, p.merchant)
	from := ``
	if p.begun {
		from, args = ` AND outside_id`+binary+` > ?`, append(args, p.after)
	}
	rows, err := store.settlingRows(p.ctx, `SELECT `+settlingColumns+` FROM operations WHERE settles AND `+p.condition+
		`system = ? AND (merchant = ? OR merchant = '')`+from+` ORDER BY outside_id`+binary+` LIMIT ?`, append(args, streamPage)...)
	if err != nil {
		return fmt.Errorf("read operations that settle: %w", err)
	}
	p.page, p.begun, p.ended = rows, true, len(rows) < streamPage
	if len(rows) > 0 {
		p.after = rows[len(rows)-1].TransactionID
	}
	return nil
}

// settlingRows reads a page without reflection: there may be a million rows to a day.
func (s *Store) settlingRows(ctx context.Context, query string, args ...any) (page []settlingRow, err error) {
	q := s.db.read()
	rows, err := q.QueryxContext(ctx, q.Rebind(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	page = make([]settlingRow, 0, streamPage)
	for rows.Next() {
		var r settlingRow
		err := rows.Scan(&r.Key, &r.OrderID, &r.TransactionID, &r.Reference, &r.Effect, &r.Moved, &r.Currency, &r.TakenAt, &r.SettledOn)
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

const settlingColumns = `operation_key, order_id, outside_id, reference, effect, moved, currency, taken_at, settled_on`

// settlingRow is what of an operation settles.
type settlingRow struct {
	Key           string          `db:"operation_key"`
	OrderID       string          `db:"order_id"`
	TransactionID string          `db:"outside_id"`
	Reference     string          `db:"reference"`
	Effect        Effect          `db:"effect"`
	Moved         decimal.Decimal `db:"moved"`
	Currency      string          `db:"currency"`
	TakenAt       instant         `db:"taken_at"`
	SettledOn     string          `db:"settled_on"`
}

func (r *settlingRow) operation() settlement.Operation {
	kind := settlement.Capture
	if r.Effect == EffectRefund {
		kind = settlement.Refund
	}
	return settlement.Operation{
		Key: r.Key, OrderID: r.OrderID, TransactionID: r.TransactionID, Reference: r.Reference, Kind: kind,
		Amount: canonical.NewMoney(r.Moved, r.Currency), At: r.TakenAt.time(), SettledOn: r.SettledOn,
	}
}

// ErrTaken tells that another day has taken a row meanwhile.
var ErrTaken = errors.New("another day has taken a row of the page meanwhile")

// MarkSettled records what a day takes: its operations are settled, its entries booked, each page in one transaction. A payment whose
// captures have all settled is settled, and its order follows. An operation that another day has taken, or an entry that another day holds, is
// ErrTaken, and the page is left unmarked: it was taken since the journal was asked, and must not count twice. Marking the same again changes
// nothing but the reading that showed it last; that of a worker which was given up, and works on, is none.
func (s *Store) MarkSettled(ctx context.Context, merchant, date string, reading Reading, marks []settlement.Mark) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return fmt.Errorf("settlement date %q has to be YYYY-MM-DD", date)
	}
	for page := range slices.Chunk(marks, rowsPerStatement) {
		err := s.db.transact(ctx, func(q queryer) error {
			if err := s.bookEntries(ctx, q, merchant, date, reading, page); err != nil {
				return err
			}
			return s.settleOperations(ctx, q, date, page)
		})
		if err != nil {
			return fmt.Errorf("mark settled on %s: %w", date, err)
		}
	}
	return nil
}

func (s *Store) bookEntries(ctx context.Context, q queryer, merchant, date string, reading Reading, marks []settlement.Mark) error {
	var values []string
	var args []any
	told := map[string]bool{} // a statement takes each once
	for _, mark := range marks {
		if mark.Entry != "" && !told[mark.Entry] {
			told[mark.Entry] = true
			values, args = append(values, in(6)), append(args, mark.Entry, merchant, date, mark.Amount.Currency, reading, reading)
		}
	}
	if len(values) == 0 {
		return nil
	}
	const own = `settlement_entries.merchant = excluded.merchant AND settlement_entries.date = excluded.date`
	marked, err := q.exec(ctx, `INSERT INTO settlement_entries (entry, merchant, date, currency, taken, seen) VALUES `+strings.Join(values, ", ")+`
		ON CONFLICT (entry) DO UPDATE SET merchant = excluded.merchant, date = excluded.date, currency = excluded.currency,
			seen = CASE WHEN `+own+` AND settlement_entries.seen > excluded.seen THEN settlement_entries.seen ELSE excluded.seen END,
			taken = CASE WHEN `+own+` AND `+heldEntry+` THEN settlement_entries.taken ELSE excluded.taken END
		WHERE `+own+` OR NOT `+heldEntry, args...)
	if err == nil && marked != int64(len(values)) {
		err = ErrTaken
	}
	return err
}

// settleOperations locks the payments first, as everything does that moves money, in one order for all. Statements name their rows by key
// and never by a day, so that they take as long on a day of a million rows as on one of a thousand.
func (s *Store) settleOperations(ctx context.Context, q queryer, date string, marks []settlement.Mark) error {
	operations := map[string][]string{} // by batch
	var ids []string
	for _, mark := range marks {
		if mark.Operation != "" {
			operations[mark.BatchID] = append(operations[mark.BatchID], mark.Operation)
			ids = append(ids, mark.OrderID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	of := ofOrders(slices.Compact(ids))
	var payments []settlingPayment
	err := q.list(ctx, &payments, `SELECT order_id, status, settled_on, batch_id FROM payments WHERE `+of.condition+` ORDER BY order_id`+
		q.dialect.forUpdate, of.args...)
	if err != nil {
		return fmt.Errorf("lock payments: %w", err)
	}
	changed := int64(0)
	for batch, keys := range operations {
		var where conditions
		where.addList(`operation_key IN `, keys)
		where.add(`settles AND settled_on = ''`)
		settled, err := q.exec(ctx, `UPDATE operations SET settled_on = ?, batch_id = ?`+where.text(), append([]any{date, batch}, where.args...)...)
		if err != nil {
			return err
		}
		if settled < int64(len(keys)) {
			if err := leftToUs(ctx, q, date, keys); err != nil {
				return err
			}
		}
		changed += settled
	}
	if changed == 0 {
		return nil
	}
	return s.settlePayments(ctx, q, of, payments)
}

// leftToUs refuses operations of which another day has taken one.
func leftToUs(ctx context.Context, q queryer, date string, keys []string) error {
	var where conditions
	where.addList(`operation_key IN `, keys)
	where.add(`settles AND settled_on NOT IN ('', ?)`, date)
	var taken int
	if err := q.get(ctx, &taken, `SELECT count(*) FROM operations`+where.text(), where.args...); err != nil {
		return err
	}
	if taken > 0 {
		return ErrTaken
	}
	return nil
}

// orderSet picks the rows of some orders.
type orderSet struct {
	condition string
	args      []any
}

func ofOrders(orders []string) orderSet {
	set := orderSet{condition: `order_id IN ` + in(len(orders))}
	for _, id := range orders {
		set.args = append(set.args, id)
	}
	return set
}

// with puts the orders between other arguments.
func (o orderSet) with(before []any, after ...any) []any { return slices.Concat(before, o.args, after) }

// settlingPayment is what of a payment its settlement changes.
type settlingPayment struct {
	OrderID   string                  `db:"order_id"`
	Status    canonical.PaymentStatus `db:"status"`
	SettledOn string                  `db:"settled_on"`
	BatchID   string                  `db:"batch_id"`
}

// settlePayments brings the payments behind a page of marks up to their captures, and their orders.
func (s *Store) settlePayments(ctx context.Context, q queryer, of orderSet, payments []settlingPayment) error {
	var captures []settlingPayment
	err := q.list(ctx, &captures, `SELECT order_id, settled_on, batch_id FROM operations WHERE `+of.condition+` AND settles AND effect IN ('sale', 'capture')`,
		of.args...)
	if err != nil {
		return fmt.Errorf("read captures: %w", err)
	}
	byOrder := map[string][]settlingPayment{}
	for _, capture := range captures {
		byOrder[capture.OrderID] = append(byOrder[capture.OrderID], capture)
	}
	orders := map[settlingPayment][]string{} // that become what the key says
	for _, payment := range payments {
		if becomes := payment.after(byOrder[payment.OrderID]); becomes != payment {
			becomes.OrderID = ""
			orders[becomes] = append(orders[becomes], payment.OrderID)
		}
	}
	now := s.now()
	for becomes, ids := range orders {
		of := ofOrders(ids)
		_, err := q.exec(ctx, `UPDATE payments SET status = ?, settled_on = ?, batch_id = ?, updated_at = ? WHERE `+of.condition,
			of.with([]any{becomes.Status, becomes.SettledOn, becomes.BatchID, now})...)
		if err != nil {
			return fmt.Errorf("settle payments: %w", err)
		}
		if becomes.Status != canonical.PaymentSettled {
			continue
		}
		_, err = q.exec(ctx, `UPDATE orders SET payment_status = ?, updated_at = ? WHERE `+of.condition+` AND payment_status = ?`,
			of.with([]any{becomes.Status, now}, canonical.PaymentCaptured)...)
		if err != nil {
			return fmt.Errorf("settle orders: %w", err)
		}
	}
	return nil
}

// after is the payment once its captures have settled as they have: on the day of the last of them and, where that is all of them and nothing
// has gone back, settled.
func (p settlingPayment) after(captures []settlingPayment) settlingPayment {
	all := len(captures) > 0
	for _, capture := range captures {
		all = all && capture.SettledOn != ""
		if capture.SettledOn > p.SettledOn {
			p.SettledOn, p.BatchID = capture.SettledOn, capture.BatchID
		}
	}
	if all && p.Status == canonical.PaymentCaptured {
		p.Status = canonical.PaymentSettled
	}
	return p
}

// SettledOrder is an order whose captures have all settled, the last of them on the day asked for.
type SettledOrder struct {
	OrderID       string
	Erp           string // where it is booked
	SalesOrder    string // in the ERP
	Invoice       string
	TransactionID string          // of its last capture
	Amount        canonical.Money // captured
}

// SettledOrders gives a page of the orders that a day has settled, by order id, those that are refunded or charged back since left out.
// cursor is what the page before gave, "" for the first; next is "" after the last.
func (s *Store) SettledOrders(ctx context.Context, merchant, date, cursor string, limit int) (page []SettledOrder, next string, err error) {
	limit = pageSize(limit)
	var rows []struct {
		OrderID        string          `db:"order_id"`
		Erp            string          `db:"erp"`
		ErpOrderNumber string          `db:"erp_order_number"`
		ErpInvoice     string          `db:"erp_invoice"`
		TransactionID  string          `db:"capture_id"`
		Captured       decimal.Decimal `db:"captured"`
		Currency       string          `db:"currency"`
	}
	err = s.db.read().list(ctx, &rows, `SELECT p.order_id, o.erp, o.erp_order_number, o.erp_invoice, p.capture_id, p.captured, p.currency
		FROM payments p JOIN orders o ON o.order_id = p.order_id WHERE p.settled_on = ? AND p.status = ? AND p.order_id > ? AND NOT EXISTS
			(SELECT 1 FROM operations x WHERE x.order_id = p.order_id AND x.outside_id = p.capture_id AND x.merchant NOT IN ('', ?))
		ORDER BY p.order_id LIMIT ?`, date, canonical.PaymentSettled, cursor, merchant, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("list settled orders of %s: %w", date, err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].OrderID
	}
	for _, row := range rows {
		page = append(page, SettledOrder{
			OrderID: row.OrderID, Erp: row.Erp, SalesOrder: row.ErpOrderNumber, Invoice: row.ErpInvoice, TransactionID: row.TransactionID,
			Amount: canonical.NewMoney(row.Captured, row.Currency),
		})
	}
	return page, next, nil
}
