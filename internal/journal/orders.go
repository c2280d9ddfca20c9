package journal

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// OrderRecord is an order as the API shows it: the read side of its workflow.
type OrderRecord struct {
	OrderID, Channel string
	BodyHash         string // of the body as it was posted: the same id with another body is refused
	Input            []byte // the canonical order as JSON, as it is in force: corrected, where it was; sealed at rest; not in lists
	Original         []byte // as it was posted, where Input was corrected since; sealed at rest; not in lists
	Status           canonical.OrderStatus
	PaymentStatus    canonical.PaymentStatus
	Reason           string // why it is where it is, for people
	NeedsAttention   bool
	Currency         string
	Total            decimal.Decimal
	Erp              string
	ErpOrderNumber   string
	ErpInvoice       string
	CustomerCode     string
	GatewayID        string
	ReceivedAt       time.Time // default: now
	UpdatedAt        time.Time
	StartedAt        *time.Time // nil: its workflow was not started yet
}

// TakeOrder stores a new order, of status received where it says none. The same id and body hash give the stored order and
// created=false; another hash is ErrOrderDiffers.
func (s *Store) TakeOrder(ctx context.Context, order OrderRecord) (stored OrderRecord, created bool, err error) {
	input, err := s.seal(required(order.Input), "orders", "input", order.OrderID)
	if err != nil {
		return OrderRecord{}, false, err
	}
	row := s.newOrder(order, input)
	inserted, err := s.db.write().exec(ctx, `INSERT INTO orders (`+orderColumns+`, input, progress_seq, customer_hash) VALUES `+in(20)+`
		ON CONFLICT (order_id) DO NOTHING`,
		row.OrderID, row.Channel, row.BodyHash, row.Status, row.PaymentStatus, row.Reason, row.NeedsAttention, row.Currency, row.Total,
		row.Erp, row.ErpOrderNumber, row.ErpInvoice, row.CustomerCode, row.GatewayID, row.ReceivedAt, row.StartedAt, row.UpdatedAt,
		row.Input, 0, customerHash(order))
	if err != nil {
		return OrderRecord{}, false, failed(err, "take order", order.OrderID)
	}
	if inserted == 1 {
		stored, err := s.order(row)
		return stored, true, err
	}
	stored, err = s.orderFrom(ctx, s.db.write(), order.OrderID)
	if err != nil {
		return OrderRecord{}, false, err
	}
	if stored.BodyHash != order.BodyHash {
		return stored, false, fmt.Errorf("order %q: %w", order.OrderID, ErrOrderDiffers)
	}
	return stored, false, nil
}

func (s *Store) newOrder(order OrderRecord, input []byte) orderRow {
	now := s.now()
	row := orderRow{
		OrderID: order.OrderID, Channel: order.Channel, BodyHash: order.BodyHash, Input: input, Status: canonical.OrderReceived,
		PaymentStatus: canonical.PaymentNone, Reason: order.Reason, NeedsAttention: order.NeedsAttention, Currency: order.Currency,
		Total: order.Total, Erp: order.Erp, ErpOrderNumber: order.ErpOrderNumber, ErpInvoice: order.ErpInvoice,
		CustomerCode: order.CustomerCode, GatewayID: order.GatewayID, ReceivedAt: now, UpdatedAt: now,
	}
	set(&row.Status, order.Status)
	set(&row.PaymentStatus, order.PaymentStatus)
	if !order.ReceivedAt.IsZero() {
		row.ReceivedAt = toInstant(order.ReceivedAt)
	}
	if order.StartedAt != nil {
		row.StartedAt = toInstant(*order.StartedAt)
	}
	return row
}

// customerHash names the customer of an order without telling who it is; "" where the order names none.
func customerHash(order OrderRecord) string {
	var input struct {
		Customer struct {
			ID string `json:"id"`
		} `json:"customer"`
	}
	if json.Unmarshal(order.Input, &input) != nil || input.Customer.ID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(order.Channel + "\x00" + input.Customer.ID))
	return hex.EncodeToString(sum[:])
}

// SaveCorrection makes a corrected order the one in force, keeps the order as it was posted, and notes who corrected what in the audit, in one
// transaction. An action of the same Key changes nothing. nil leaves the order as it is: only something else of it was corrected.
func (s *Store) SaveCorrection(ctx context.Context, orderID string, corrected []byte, action Action) error {
	action.OrderID = orderID
	return s.db.transact(ctx, func(q queryer) error {
		if err := s.lockOrder(ctx, q, orderID); err != nil {
			return err
		}
		added, err := s.operations.addAction(ctx, q, action)
		if err != nil || !added || corrected == nil {
			return err
		}
		return s.replaceInput(ctx, q, orderID, corrected)
	})
}

// replaceInput puts a corrected order in the place of the one in force; the first one is kept.
func (s *Store) replaceInput(ctx context.Context, q queryer, orderID string, corrected []byte) error {
	stored, err := s.orderFrom(ctx, q, orderID)
	if err != nil {
		return err
	}
	original := stored.Original
	if original == nil {
		original = stored.Input
	}
	input, err := s.seal(corrected, "orders", "input", orderID)
	if err != nil {
		return err
	}
	kept, err := s.seal(required(original), "orders", "original", orderID)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, `UPDATE orders SET input = ?, original = ?, customer_hash = ?, updated_at = ? WHERE order_id = ?`, input, kept,
		customerHash(OrderRecord{Channel: stored.Channel, Input: corrected}), s.now(), orderID)
	return failed(err, "correct order", orderID)
}

// MarkStarted records that the order's workflow runs.
func (s *Store) MarkStarted(ctx context.Context, orderID string) error {
	now := s.now()
	changed, err := s.db.write().exec(ctx, `UPDATE orders SET started_at = CASE WHEN started_at = 0 THEN ? ELSE started_at END
		WHERE order_id = ?`, now, orderID)
	if err != nil {
		return failed(err, "mark started order", orderID)
	}
	return s.exists(changed, "order", orderID)
}

// Unstarted gives orders that were taken longer ago than a duration and whose workflow was not started, oldest first. One whose
// input can't be opened is logged and left out, so that it does not hold up the others.
func (s *Store) Unstarted(ctx context.Context, olderThan time.Duration, limit int) ([]OrderRecord, error) {
	var rows []orderRow
	err := s.db.read().list(ctx, &rows, `SELECT `+orderColumns+`, input FROM orders WHERE started_at = 0 AND received_at <= ?
		ORDER BY received_at, order_id LIMIT ?`, toInstant(s.clock().Add(-olderThan)), limit)
	if err != nil {
		return nil, fmt.Errorf("read unstarted orders: %w", err)
	}
	return readable(ctx, s.journal, rows, s.order), nil
}

// Order gives an order with its input, ErrNotFound if there is none.
func (s *Store) Order(ctx context.Context, orderID string) (OrderRecord, error) {
	return s.orderFrom(ctx, s.db.read(), orderID)
}

func (s *Store) orderFrom(ctx context.Context, q queryer, orderID string) (OrderRecord, error) {
	var row orderRow
	err := q.get(ctx, &row, `SELECT `+orderColumns+`, input, original FROM orders WHERE order_id = ?`, orderID)
	if err := found(err, "order", orderID); err != nil {
		return OrderRecord{}, err
	}
	return s.order(row)
}

// OrderFilter says which orders a list holds. Zero fields don't narrow it.
type OrderFilter struct {
	Channels       []string // nil: all; empty: none
	Status         canonical.OrderStatus
	NeedsAttention *bool
	Limit          int    // default 50, at most 500
	Cursor         string // of the page before
}

// Orders lists orders without their input, the latest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Orders(ctx context.Context, filter OrderFilter) (page []OrderRecord, next string, err error) {
	where, err := filter.conditions()
	if err != nil || (filter.Channels != nil && len(filter.Channels) == 0) {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []orderRow
	err = s.db.read().list(ctx, &rows, `SELECT `+orderColumns+` FROM orders`+where.text()+`
		ORDER BY received_at DESC, order_id DESC LIMIT ?`, append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list orders: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].ReceivedAt, rows[limit-1].OrderID)
	}
	page, err = convert(rows, s.order)
	return page, next, err
}

func (f OrderFilter) conditions() (conditions, error) {
	var where conditions
	if len(f.Channels) > 0 {
		where.addList(`channel IN `, f.Channels)
	}
	if f.Status != "" {
		where.add(`status = ?`, f.Status)
	}
	if f.NeedsAttention != nil {
		where.add(map[bool]string{true: `needs_attention`, false: `NOT needs_attention`}[*f.NeedsAttention]) // as its index says
	}
	if f.Cursor != "" {
		at, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(received_at < ? OR (received_at = ? AND order_id < ?))`, at, at, id)
	}
	return where, nil
}

// Progress is a step of an order's workflow for its read model. Zero fields leave what is stored.
type Progress struct {
	OrderID string
	// Seq grows with each progress of an order, over all workflows that report it: the workflow's time in microseconds does. A
	// progress that comes late, with a lower Seq than one recorded before, adds its events and changes nothing else.
	Seq            int64
	Status         canonical.OrderStatus
	PaymentStatus  canonical.PaymentStatus
	Reason         *string
	ErpOrderNumber *string
	ErpInvoice     *string
	CustomerCode   *string
	GatewayID      *string
	NeedsAttention *bool
	Events         []Event
}

// Event is an entry of an order's timeline.
type Event struct {
	Key     string // within the order: an event that is recorded twice is there once
	At      time.Time
	Kind    string
	Summary string // one sentence for a person, without personal data
	Actor   string
	// Detail holds opaque references under the names of DetailNames; others are dropped and logged.
	Detail map[string]string
}

// RecordProgress brings the read model forward, and adds the notices that tell of it. Recording the same progress again changes nothing.
func (s *Store) RecordProgress(ctx context.Context, progress Progress, notices ...Notice) error {
	return s.db.transact(ctx, func(q queryer) error {
		if err := s.recordProgress(ctx, q, progress); err != nil {
			return err
		}
		return s.addNotices(ctx, q, notices)
	})
}

func (s *Store) recordProgress(ctx context.Context, q queryer, progress Progress) error {
	changed, err := s.advance(ctx, q, progress)
	if err != nil {
		return err
	}
	if changed == 0 {
		if err := s.orderExists(ctx, q, progress.OrderID); err != nil {
			return err
		}
	}
	return s.addEvents(ctx, q, progress.OrderID, progress.Events)
}

// follow brings the order behind a payment: its payment status, which is the payment's own whatever the progress says, and
// the progress, if any. An order that the journal does not know, as in an operation without order, is none of its business.
func (s *Store) follow(ctx context.Context, q queryer, orderID string, status canonical.PaymentStatus, progress *Progress) error {
	advanced := int64(0)
	if progress != nil {
		step := *progress
		step.OrderID, step.PaymentStatus = orderID, status
		var err error
		if advanced, err = s.advance(ctx, q, step); err != nil {
			return err
		}
	}
	if advanced == 0 {
		_, err := q.exec(ctx, `UPDATE orders SET payment_status = ?, updated_at = ? WHERE order_id = ?`, status, s.now(), orderID)
		if err != nil {
			return failed(err, "record payment status of order", orderID)
		}
	}
	if progress == nil {
		return nil
	}
	return s.addEvents(ctx, q, orderID, progress.Events)
}

// advance writes the columns of a progress that does not come late.
func (s *Store) advance(ctx context.Context, q queryer, p Progress) (int64, error) {
	reason := p.Reason
	if reason != nil {
		clean := redact(*reason)
		reason = &clean
	}
	changed, err := q.exec(ctx, `UPDATE orders SET progress_seq = ?, status = COALESCE(?, status),
		payment_status = COALESCE(?, payment_status), reason = COALESCE(?, reason),
		erp_order_number = COALESCE(?, erp_order_number), erp_invoice = COALESCE(?, erp_invoice),
		customer_code = COALESCE(?, customer_code), gateway_id = COALESCE(?, gateway_id),
		needs_attention = COALESCE(?, needs_attention), updated_at = ?
		WHERE order_id = ? AND progress_seq <= ?`,
		p.Seq, orNull(string(p.Status)), orNull(string(p.PaymentStatus)), reason, p.ErpOrderNumber, p.ErpInvoice, p.CustomerCode,
		p.GatewayID, p.NeedsAttention, s.now(), p.OrderID, p.Seq)
	return changed, failed(err, "record progress of order", p.OrderID)
}

// addEvents adds to the timeline what is not there yet, in one statement.
func (s *Store) addEvents(ctx context.Context, q queryer, orderID string, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	values := make([]string, 0, len(events))
	args := make([]any, 0, 8*len(events))
	for _, event := range events {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make event id: %w", err)
		}
		detail, err := json.Marshal(s.allowed(ctx, event.Detail))
		if err != nil {
			return fmt.Errorf("encode event detail: %w", err)
		}
		at := s.now()
		if !event.At.IsZero() {
			at = toInstant(event.At)
		}
		values = append(values, in(8))
		args = append(args, orderID, event.Key, id.String(), at, event.Kind, redact(event.Summary), redact(event.Actor), string(detail))
	}
	_, err := q.exec(ctx, `INSERT INTO timeline (order_id, event_key, id, at, kind, summary, actor, detail)
		VALUES `+strings.Join(values, ", ")+` ON CONFLICT (order_id, event_key) DO NOTHING`, args...)
	return failed(err, "add events of order", orderID)
}

// Timeline gives what happened to an order, oldest first.
func (s *Store) Timeline(ctx context.Context, orderID string) ([]Event, error) {
	var rows []struct {
		Key     string  `db:"event_key"`
		At      instant `db:"at"`
		Kind    string  `db:"kind"`
		Summary string  `db:"summary"`
		Actor   string  `db:"actor"`
		Detail  string  `db:"detail"`
	}
	err := s.db.read().list(ctx, &rows, `SELECT event_key, at, kind, summary, actor, detail FROM timeline WHERE order_id = ?
		ORDER BY at, id`, orderID)
	if err != nil {
		return nil, failed(err, "read timeline of order", orderID)
	}
	events := make([]Event, 0, len(rows))
	for _, row := range rows {
		event := Event{Key: row.Key, At: row.At.time(), Kind: row.Kind, Summary: row.Summary, Actor: row.Actor}
		if err := json.Unmarshal([]byte(row.Detail), &event.Detail); err != nil {
			return nil, failed(err, "read timeline of order", orderID)
		}
		events = append(events, event)
	}
	return events, nil
}

const orderColumns = `order_id, channel, body_hash, status, payment_status, reason, needs_attention, currency, total, erp,
	erp_order_number, erp_invoice, customer_code, gateway_id, received_at, started_at, updated_at`

// orderRow is an order as the table has it.
type orderRow struct {
	OrderID        string                  `db:"order_id"`
	Channel        string                  `db:"channel"`
	BodyHash       string                  `db:"body_hash"`
	Input          []byte                  `db:"input"`
	Original       []byte                  `db:"original"`
	Status         canonical.OrderStatus   `db:"status"`
	PaymentStatus  canonical.PaymentStatus `db:"payment_status"`
	Reason         string                  `db:"reason"`
	NeedsAttention bool                    `db:"needs_attention"`
	Currency       string                  `db:"currency"`
	Total          decimal.Decimal         `db:"total"`
	Erp            string                  `db:"erp"`
	ErpOrderNumber string                  `db:"erp_order_number"`
	ErpInvoice     string                  `db:"erp_invoice"`
	CustomerCode   string                  `db:"customer_code"`
	GatewayID      string                  `db:"gateway_id"`
	ReceivedAt     instant                 `db:"received_at"`
	StartedAt      instant                 `db:"started_at"`
	UpdatedAt      instant                 `db:"updated_at"`
}

func (s *Store) order(row orderRow) (OrderRecord, error) {
	input, err := s.unseal(row.Input, "orders", "input", row.OrderID)
	if err != nil {
		return OrderRecord{}, err
	}
	original, err := s.unseal(row.Original, "orders", "original", row.OrderID)
	if err != nil {
		return OrderRecord{}, err
	}
	record := OrderRecord{
		OrderID: row.OrderID, Channel: row.Channel, BodyHash: row.BodyHash, Input: input, Original: original, Status: row.Status,
		PaymentStatus: row.PaymentStatus, Reason: row.Reason, NeedsAttention: row.NeedsAttention, Currency: row.Currency,
		Total: row.Total, Erp: row.Erp, ErpOrderNumber: row.ErpOrderNumber, ErpInvoice: row.ErpInvoice,
		CustomerCode: row.CustomerCode, GatewayID: row.GatewayID, ReceivedAt: row.ReceivedAt.time(), UpdatedAt: row.UpdatedAt.time(),
	}
	if row.StartedAt != 0 {
		started := row.StartedAt.time()
		record.StartedAt = &started
	}
	return record, nil
}

func (s *Store) orderExists(ctx context.Context, q queryer, orderID string) error {
	var count int64
	if err := q.get(ctx, &count, `SELECT count(*) FROM orders WHERE order_id = ?`, orderID); err != nil {
		return failed(err, "read order", orderID)
	}
	return s.exists(count, "order", orderID)
}

// exists turns "no row touched" into ErrNotFound.
func (s *Store) exists(rows int64, what, id string) error {
	if rows == 0 {
		return fmt.Errorf("%s %q: %w", what, id, ErrNotFound)
	}
	return nil
}

// orNull makes NULL of an empty text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// conditions gathers the parts of a WHERE with their arguments.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

func (c *conditions) addList(prefix string, values []string) {
	c.parts = append(c.parts, prefix+in(len(values)))
	for _, value := range values {
		c.args = append(c.args, value)
	}
}

func (c *conditions) text() string {
	if len(c.parts) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(c.parts, ` AND `)
}

const (
	defaultPage = 50
	maxPage     = 500
)

func pageSize(asked int) int {
	if asked <= 0 {
		return defaultPage
	}
	return min(asked, maxPage)
}

// ErrCursor says that the cursor is none that a list gave.
var ErrCursor = errors.New("not a cursor of this list")

// cursor names the last row of a page: time and id, by which lists are sorted.
func cursor(at instant, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(int64(at), 10) + ":" + id))
}

func parseCursor(text string) (at int64, id string, err error) {
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, "", ErrCursor
	}
	before, id, found := strings.Cut(string(plain), ":")
	at, err = strconv.ParseInt(before, 10, 64)
	if err != nil || !found {
		return 0, "", ErrCursor
	}
	return at, id, nil
}
