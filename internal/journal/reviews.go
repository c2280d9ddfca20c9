package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// ReviewState says whether people are still to decide.
type ReviewState string

// The states of a review.
const (
	ReviewOpen    ReviewState = "open"
	ReviewDecided ReviewState = "decided"
	ReviewClosed  ReviewState = "closed" // it ended without a decision of its own
)

// Review is a held payment that people decide about, with what they need for it: the read side of its workflow.
type Review struct {
	OrderID, WorkflowID string
	PaymentID           string // gateway transaction that is held
	State               ReviewState
	Since               time.Time
	RemindedAt          time.Time // zero: not yet
	EscalatedAt         time.Time // zero: not yet
	Deadline            time.Time // zero: none
	Default             string    // what the deadline decides
	Amount              canonical.Money
	Risk                ReviewRisk // sealed at rest
	Decision            canonical.FraudDecision
	Actor, Source       string // of the decision
	Comment             string // sealed at rest
	DecidedAt           time.Time
	Notes               []ReviewNoteRecord // oldest first; not in lists
}

// ReviewRisk is what speaks for and against a payment, from the gateway's answer and the order. It holds codes only.
type ReviewRisk struct {
	Score        string              `json:"score,omitempty"` // "0" to "99"
	Factors      []string            `json:"factors,omitempty"`
	Model        string              `json:"model,omitempty"`
	Profile      string              `json:"profile,omitempty"`
	Queue        string              `json:"queue,omitempty"`
	Priority     string              `json:"priority,omitempty"` // "1" to "5"
	Rules        []ReviewRule        `json:"rules,omitempty"`
	InfoCodes    map[string][]string `json:"infoCodes,omitempty"` // "velocity", "address", ... to codes
	AVS          string              `json:"avs,omitempty"`       // address verification code
	CVN          string              `json:"cvn,omitempty"`       // card verification result
	Addresses    string              `json:"addresses,omitempty"` // bill-to and ship-to: "match", "differ", "countries_differ"
	Device       bool                `json:"device,omitempty"`    // the shop told a fingerprint session or an IP address
	MerchantData int                 `json:"merchantData,omitempty"`
}

// ReviewRule is a rule of the gateway that fired.
type ReviewRule struct {
	Name     string `json:"name"`
	Decision string `json:"decision"`
}

// ReviewNoteRecord is something that happened in a review.
type ReviewNoteRecord struct {
	Key      string // within the order: a note that is made twice is there once
	At       time.Time
	Note     string
	Decision canonical.FraudDecision
	Actor    string
	Source   string
	Comment  string // sealed at rest
	Rule     string // which rule decided between opposite decisions
}

// The notes that change a review; any other is only kept.
const (
	noteReminded  = "reminded"
	noteEscalated = "escalated"
	noteDecided   = "decided"
	noteClosed    = "closed"
)

// OpenReview records that people are to decide, in the order's timeline too, and adds the notices that tell them. Opening the review
// of the same payment again changes nothing; another payment of the order opens it anew and keeps the notes.
func (s *Store) OpenReview(ctx context.Context, review Review, notices ...Notice) error {
	document, err := json.Marshal(review.Risk)
	if err != nil {
		return failed(err, "encode review of order", review.OrderID)
	}
	sealed, err := s.seal(document, "reviews", "document", review.OrderID)
	if err != nil {
		return err
	}
	since := s.now()
	if !review.Since.IsZero() {
		since = toInstant(review.Since)
	}
	return s.db.transact(ctx, func(q queryer) error {
		opened, err := q.exec(ctx, `INSERT INTO reviews (`+reviewColumns+`) VALUES `+in(17)+`
			ON CONFLICT (order_id) DO UPDATE SET workflow_id = excluded.workflow_id, payment_id = excluded.payment_id, state = 'open',
				since = excluded.since, reminded_at = 0, escalated_at = 0, deadline = excluded.deadline, by_default = excluded.by_default,
				currency = excluded.currency, amount = excluded.amount, document = excluded.document, decision = '', actor = '',
				source = '', comment = NULL, decided_at = 0
			WHERE reviews.payment_id <> excluded.payment_id`,
			review.OrderID, review.WorkflowID, review.PaymentID, ReviewOpen, since, 0, 0, toInstant(review.Deadline), review.Default,
			review.Amount.Currency, review.Amount.Amount, sealed, "", "", "", nil, 0)
		if err != nil || opened == 0 {
			return failed(err, "open review of order", review.OrderID)
		}
		if err := s.addEvents(ctx, q, review.OrderID, []Event{review.opened()}); err != nil {
			return err
		}
		return s.addNotices(ctx, q, notices)
	})
}

// opened is the line of the order's story that a review begins with.
func (r Review) opened() Event {
	event := Event{
		Key: "review.opened/" + r.PaymentID, At: r.Since, Kind: "review.opened",
		Summary: "A person is to decide about the held payment of " + r.Amount.String(),
		Detail:  map[string]string{"transactionId": r.PaymentID, "workflowId": r.WorkflowID},
	}
	if !r.Deadline.IsZero() {
		event.Detail["deadline"] = r.Deadline.UTC().Format(time.RFC3339)
	}
	return event
}

// NoteReview adds a note to the review of an order, and with it the audit's action, the events of the timeline and the notices, in
// one transaction. A note of the same key changes nothing. An order that was never under review, whose payment was rejected after all,
// gets a closed one, so that what people did about it is seen where they look.
func (s *Store) NoteReview(ctx context.Context, orderID string, note ReviewNoteRecord, action *Action, events []Event, notices ...Notice) error {
	at := s.now()
	if !note.At.IsZero() {
		at = toInstant(note.At)
	}
	return s.db.transact(ctx, func(q queryer) error {
		added, err := s.insertNote(ctx, q, orderID, note, at)
		if err != nil || !added {
			return err
		}
		if err := s.advanceReview(ctx, q, orderID, note, at); err != nil {
			return err
		}
		if action != nil {
			noted := *action
			noted.OrderID = orderID
			if err := s.operations.recordAction(ctx, q, noted); err != nil {
				return err
			}
		}
		if err := s.addEvents(ctx, q, orderID, events); err != nil {
			return err
		}
		return s.addNotices(ctx, q, notices)
	})
}

func (s *Store) insertNote(ctx context.Context, q queryer, orderID string, note ReviewNoteRecord, at instant) (added bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("make note id: %w", err)
	}
	comment, err := s.seal([]byte(note.Comment), "review_notes", "comment", orderID, note.Key)
	if err != nil {
		return false, err
	}
	inserted, err := q.exec(ctx, `INSERT INTO review_notes (order_id, note_key, id, at, note, decision, actor, source, rule, comment)
		VALUES `+in(10)+` ON CONFLICT (order_id, note_key) DO NOTHING`, orderID, note.Key, id.String(), at, note.Note, note.Decision,
		redact(note.Actor), note.Source, redact(note.Rule), comment)
	return inserted == 1, failed(err, "note review of order", orderID)
}

// advanceReview brings the review's row behind a note.
func (s *Store) advanceReview(ctx context.Context, q queryer, orderID string, note ReviewNoteRecord, at instant) error {
	var set string
	var args []any
	switch note.Note {
	case noteReminded:
		set, args = `reminded_at = ?`, []any{at}
	case noteEscalated:
		set, args = `escalated_at = ?`, []any{at}
	case noteDecided:
		comment, err := s.seal([]byte(note.Comment), "reviews", "comment", orderID)
		if err != nil {
			return err
		}
		set = `state = 'decided', decision = ?, actor = ?, source = ?, comment = ?, decided_at = ?`
		args = []any{note.Decision, redact(note.Actor), note.Source, comment, at}
	case noteClosed:
		set = `state = CASE WHEN state = 'open' THEN 'closed' ELSE state END`
	default:
		return s.reviewExists(ctx, q, orderID, at)
	}
	changed, err := q.exec(ctx, `UPDATE reviews SET `+set+` WHERE order_id = ?`, append(args, orderID)...)
	if err != nil {
		return failed(err, "note review of order", orderID)
	}
	return s.exists(changed, "review of order", orderID)
}

// reviewExists makes a closed review where there is none, of the order's payment.
func (s *Store) reviewExists(ctx context.Context, q queryer, orderID string, at instant) error {
	document, err := s.seal([]byte(`{}`), "reviews", "document", orderID)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, `INSERT INTO reviews (`+reviewColumns+`)
		SELECT order_id, '', gateway_id, 'closed', ?, 0, 0, 0, '', currency, total, ?, '', '', '', NULL, 0 FROM orders WHERE order_id = ?
		ON CONFLICT (order_id) DO NOTHING`, at, document, orderID)
	return failed(err, "note review of order", orderID)
}

// Review gives an order's review with its notes, ErrNotFound if there is none.
func (s *Store) Review(ctx context.Context, orderID string) (Review, error) {
	var row reviewRow
	err := s.db.read().get(ctx, &row, `SELECT `+reviewColumns+` FROM reviews WHERE order_id = ?`, orderID)
	if err := found(err, "review of order", orderID); err != nil {
		return Review{}, err
	}
	review, err := s.review(row)
	if err != nil {
		return Review{}, err
	}
	review.Notes, err = s.reviewNotes(ctx, orderID)
	return review, err
}

func (s *Store) reviewNotes(ctx context.Context, orderID string) ([]ReviewNoteRecord, error) {
	var rows []noteRow
	err := s.db.read().list(ctx, &rows, `SELECT order_id, note_key, at, note, decision, actor, source, rule, comment FROM review_notes
		WHERE order_id = ? ORDER BY at, id`, orderID)
	if err != nil {
		return nil, failed(err, "read notes of review of order", orderID)
	}
	return convert(rows, s.note)
}

// ReviewFilter says which reviews a list holds. Zero fields don't narrow it.
type ReviewFilter struct {
	State     ReviewState
	Escalated *bool
	Limit     int    // default 50, at most 500
	Cursor    string // of the page before
}

// Reviews lists reviews without their notes, those that wait longest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Reviews(ctx context.Context, filter ReviewFilter) (page []Review, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []reviewRow
	err = s.db.read().list(ctx, &rows, `SELECT `+reviewColumns+` FROM reviews`+where.text()+` ORDER BY since, order_id LIMIT ?`,
		append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list reviews: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].Since, rows[limit-1].OrderID)
	}
	page = make([]Review, 0, len(rows))
	for _, row := range rows {
		page = append(page, s.listedReview(ctx, row))
	}
	return page, next, nil
}

func (f ReviewFilter) conditions() (conditions, error) {
	var where conditions
	if f.State != "" {
		where.add(`state = ?`, f.State)
	}
	if f.Escalated != nil {
		where.add(map[bool]string{true: `escalated_at > 0`, false: `escalated_at = 0`}[*f.Escalated])
	}
	if f.Cursor != "" {
		since, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(since > ? OR (since = ? AND order_id > ?))`, since, since, id)
	}
	return where, nil
}

const reviewColumns = `order_id, workflow_id, payment_id, state, since, reminded_at, escalated_at, deadline, by_default, currency, amount,
	document, decision, actor, source, comment, decided_at`

// reviewRow is a review as the table has it.
type reviewRow struct {
	OrderID     string                  `db:"order_id"`
	WorkflowID  string                  `db:"workflow_id"`
	PaymentID   string                  `db:"payment_id"`
	State       ReviewState             `db:"state"`
	Since       instant                 `db:"since"`
	RemindedAt  instant                 `db:"reminded_at"`
	EscalatedAt instant                 `db:"escalated_at"`
	Deadline    instant                 `db:"deadline"`
	Default     string                  `db:"by_default"`
	Currency    string                  `db:"currency"`
	Amount      decimal.Decimal         `db:"amount"`
	Document    []byte                  `db:"document"`
	Decision    canonical.FraudDecision `db:"decision"`
	Actor       string                  `db:"actor"`
	Source      string                  `db:"source"`
	Comment     []byte                  `db:"comment"`
	DecidedAt   instant                 `db:"decided_at"`
}

func (s *Store) review(row reviewRow) (Review, error) {
	document, err := s.unseal(row.Document, "reviews", "document", row.OrderID)
	if err != nil {
		return Review{}, err
	}
	comment, err := s.unseal(row.Comment, "reviews", "comment", row.OrderID)
	if err != nil {
		return Review{}, err
	}
	review := row.plain()
	review.Comment = string(comment)
	return review, failed(json.Unmarshal(document, &review.Risk), "read review of order", row.OrderID)
}

// listedReview is review for lists: one whose document can't be opened must not hide, nor hide the others.
func (s *Store) listedReview(ctx context.Context, row reviewRow) Review {
	review, err := s.review(row)
	if err != nil {
		s.log.ErrorContext(ctx, "journal row can't be opened", "error", err)
		return row.plain()
	}
	return review
}

// plain is what of a review is not sealed.
func (row reviewRow) plain() Review {
	return Review{
		OrderID: row.OrderID, WorkflowID: row.WorkflowID, PaymentID: row.PaymentID, State: row.State, Since: row.Since.time(),
		RemindedAt: row.RemindedAt.time(), EscalatedAt: row.EscalatedAt.time(), Deadline: row.Deadline.time(), Default: row.Default,
		Amount: canonical.NewMoney(row.Amount, row.Currency), Decision: row.Decision, Actor: row.Actor, Source: row.Source,
		DecidedAt: row.DecidedAt.time(),
	}
}

// noteRow is a note as the table has it.
type noteRow struct {
	OrderID  string                  `db:"order_id"`
	Key      string                  `db:"note_key"`
	At       instant                 `db:"at"`
	Note     string                  `db:"note"`
	Decision canonical.FraudDecision `db:"decision"`
	Actor    string                  `db:"actor"`
	Source   string                  `db:"source"`
	Rule     string                  `db:"rule"`
	Comment  []byte                  `db:"comment"`
}

func (s *Store) note(row noteRow) (ReviewNoteRecord, error) {
	comment, err := s.unseal(row.Comment, "review_notes", "comment", row.OrderID, row.Key)
	if err != nil {
		return ReviewNoteRecord{}, err
	}
	return ReviewNoteRecord{
		Key: row.Key, At: row.At.time(), Note: row.Note, Decision: row.Decision, Actor: row.Actor, Source: row.Source,
		Comment: string(comment), Rule: row.Rule,
	}, nil
}

// CustomerHistory is what is known of a customer from their other orders.
type CustomerHistory struct {
	Orders                        int
	Confirmed, Declined, Rejected int // by order status; Confirmed with those that were shipped
	Refunded, ChargedBack         int // by payment status; Refunded in part or in full
	First, Last                   time.Time
	Spent                         []canonical.Money // totals of the confirmed ones, by currency
	Recent                        []OrderRecord     // the latest ten, without their input
}

// The most orders that a history counts, and shows.
const (
	longestHistory = 1000
	recentOrders   = 10
)

// CustomerHistory gives the other orders of an order's customer: of the same channel and customer id, the latest thousand. It is empty
// where the order names none.
func (s *Store) CustomerHistory(ctx context.Context, orderID string) (CustomerHistory, error) {
	var hash string
	err := s.db.read().get(ctx, &hash, `SELECT customer_hash FROM orders WHERE order_id = ?`, orderID)
	if err := found(err, "order", orderID); err != nil || hash == "" {
		return CustomerHistory{}, err
	}
	var rows []orderRow
	err = s.db.read().list(ctx, &rows, `SELECT `+orderColumns+` FROM orders WHERE customer_hash = ? AND customer_hash <> ''
		AND order_id <> ? ORDER BY received_at DESC, order_id DESC LIMIT ?`, hash, orderID, longestHistory)
	if err != nil {
		return CustomerHistory{}, failed(err, "read history of the customer of order", orderID)
	}
	orders, err := convert(rows, s.order)
	return historyOf(orders), err
}

// historyOf sums orders up, the latest of which comes first.
func historyOf(orders []OrderRecord) CustomerHistory {
	history := CustomerHistory{Orders: len(orders), Recent: orders[:min(len(orders), recentOrders)]}
	if len(orders) == 0 {
		return history
	}
	history.First, history.Last = orders[len(orders)-1].ReceivedAt, orders[0].ReceivedAt
	for _, order := range orders {
		switch order.Status {
		case canonical.OrderConfirmed, canonical.OrderShipped:
			history.Confirmed++
			history.spend(canonical.NewMoney(order.Total, order.Currency))
		case canonical.OrderDeclined:
			history.Declined++
		case canonical.OrderRejected:
			history.Rejected++
		default: // still running, or taken back
		}
		switch order.PaymentStatus {
		case canonical.PaymentRefunded, canonical.PaymentPartiallyRefunded:
			history.Refunded++
		case canonical.PaymentChargedBack:
			history.ChargedBack++
		default:
		}
	}
	return history
}

// spend adds an amount to the sum of its currency.
func (h *CustomerHistory) spend(amount canonical.Money) {
	for i, sum := range h.Spent {
		if sum.Currency == amount.Currency {
			h.Spent[i].Amount = sum.Amount.Add(amount.Amount)
			return
		}
	}
	h.Spent = append(h.Spent, amount)
}
