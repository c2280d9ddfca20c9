package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// ChargebackOutcome is how a dispute ended.
type ChargebackOutcome string

// The outcomes.
const (
	ChargebackOpen ChargebackOutcome = ""
	ChargebackWon  ChargebackOutcome = "won"
	ChargebackLost ChargebackOutcome = "lost"
)

// ChargebackRecord is a dispute: the read side of its workflow. Amounts are never negative.
type ChargebackRecord struct {
	CaseID        string
	OrderID       string // "": no order of ours is known
	TransactionID string // of the gateway, that settled
	Amount        canonical.Money
	Fee           canonical.Money
	Reason        string            // the scheme's code
	Retrieval     bool              // a request for copies: no money has moved
	Outcome       ChargebackOutcome // of its last cycle
	Cycle         int               // 1; more where it was disputed again, or decided otherwise, after it had ended
	OpenedAt      time.Time
	EndedAt       time.Time        // by who told the outcome; zero: open, or not told
	RespondBy     time.Time        // zero: none is set
	Notes         []ChargebackNote // not in lists
	UpdatedAt     time.Time
}

// ChargebackNote is what happened in a dispute.
type ChargebackNote struct {
	Key   string // within the case: a note that is added twice is there once
	At    time.Time
	Note  string // "opened", "reminded", "overdue", "won", "lost"
	Actor string
}

// RecordChargeback brings a dispute forward, in one transaction on the locked payment: the case, its note, what of the payment is charged
// back, the order with its timeline and audit, and the notices that tell of it. What is disputed or lost counts as charged back, what is won
// does not any more; retrievals never do. A note whose key is there already changes nothing at all. An outcome stays, but for that of a
// later cycle.
func (s *Store) RecordChargeback(ctx context.Context, record ChargebackRecord, note ChargebackNote, progress *Progress, action *Action,
	notices ...Notice,
) error {
	err := s.db.transact(ctx, func(q queryer) error {
		payment, err := s.lockDisputed(ctx, q, record.OrderID)
		if err != nil {
			return err
		}
		added, err := s.addChargebackNote(ctx, q, record.CaseID, note)
		if err != nil || !added {
			return err
		}
		if err := s.saveChargeback(ctx, q, record); err != nil {
			return err
		}
		if err := s.followDispute(ctx, q, payment, record.OrderID, progress); err != nil {
			return err
		}
		if action != nil {
			done := *action
			done.OrderID = record.OrderID
			if err := s.operations.recordAction(ctx, q, done); err != nil {
				return err
			}
		}
		return s.addNotices(ctx, q, notices)
	})
	return failed(err, "record chargeback", record.CaseID)
}

// lockDisputed locks the payment behind a dispute; nil where there is none.
func (s *Store) lockDisputed(ctx context.Context, q queryer, orderID string) (*paymentRow, error) {
	var row paymentRow
	err := q.get(ctx, &row, `SELECT `+paymentColumns+` FROM payments p WHERE p.order_id = ?`+q.dialect.forUpdate, orderID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &row, failed(err, "lock payment of order", orderID)
}

func (s *Store) addChargebackNote(ctx context.Context, q queryer, caseID string, note ChargebackNote) (added bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("make note id: %w", err)
	}
	at := s.now()
	if !note.At.IsZero() {
		at = toInstant(note.At)
	}
	inserted, err := q.exec(ctx, `INSERT INTO chargeback_notes (case_id, note_key, id, at, note, actor) VALUES `+in(6)+`
		ON CONFLICT (case_id, note_key) DO NOTHING`, caseID, note.Key, id.String(), at, redact(note.Note), redact(note.Actor))
	return inserted == 1, err
}

// saveChargeback stores the case as it is told now; what is not told any more stays as it was, and so does the outcome of a cycle.
func (s *Store) saveChargeback(ctx context.Context, q queryer, c ChargebackRecord) error {
	if c.Amount.Amount.IsNegative() || c.Fee.Amount.IsNegative() {
		return refuse(fault.Value, CodeAmountInvalid, "the amounts of a dispute are never negative")
	}
	now := s.now()
	opened := now
	if !c.OpenedAt.IsZero() {
		opened = toInstant(c.OpenedAt)
	}
	const ends = `(excluded.cycle > chargebacks.cycle OR excluded.cycle = chargebacks.cycle AND chargebacks.outcome = '')`
	_, err := q.exec(ctx, `INSERT INTO chargebacks (`+chargebackColumns+`) VALUES `+in(15)+`
		ON CONFLICT (case_id) DO UPDATE SET
			order_id = CASE WHEN chargebacks.order_id = '' THEN excluded.order_id ELSE chargebacks.order_id END,
			transaction_id = CASE WHEN excluded.transaction_id = '' THEN chargebacks.transaction_id ELSE excluded.transaction_id END,
			currency = excluded.currency, amount = excluded.amount,
			fee_currency = CASE WHEN excluded.fee_currency = '' THEN chargebacks.fee_currency ELSE excluded.fee_currency END,
			fee = CASE WHEN excluded.fee_currency = '' THEN chargebacks.fee ELSE excluded.fee END,
			reason = CASE WHEN excluded.reason = '' THEN chargebacks.reason ELSE excluded.reason END,
			retrieval = excluded.retrieval,
			outcome = CASE WHEN `+ends+` THEN excluded.outcome ELSE chargebacks.outcome END,
			ended_at = CASE WHEN `+ends+` THEN excluded.ended_at ELSE chargebacks.ended_at END,
			cycle = CASE WHEN excluded.cycle > chargebacks.cycle THEN excluded.cycle ELSE chargebacks.cycle END,
			respond_by = CASE WHEN excluded.respond_by = 0 THEN chargebacks.respond_by ELSE excluded.respond_by END,
			updated_at = excluded.updated_at`,
		c.CaseID, c.OrderID, redact(c.TransactionID), c.Amount.Currency, c.Amount.Amount, c.Fee.Currency, c.Fee.Amount, redact(c.Reason),
		c.Retrieval, c.Outcome, opened, toInstant(c.RespondBy), now, max(c.Cycle, 1), toInstant(c.EndedAt))
	return err
}

// followDispute sums up what of the payment its disputes have taken, and brings payment and order behind that.
func (s *Store) followDispute(ctx context.Context, q queryer, payment *paymentRow, orderID string, progress *Progress) error {
	if payment == nil {
		if progress == nil || orderID == "" {
			return nil
		}
		return s.addEvents(ctx, q, orderID, progress.Events)
	}
	var taken []struct {
		Amount   decimal.Decimal `db:"amount"`
		Currency string          `db:"currency"`
	}
	err := q.list(ctx, &taken, `SELECT amount, currency FROM chargebacks WHERE order_id = ? AND NOT retrieval AND outcome <> 'won'`, orderID)
	if err != nil {
		return err
	}
	sum := decimal.Zero
	for _, one := range taken {
		if one.Currency != payment.Currency {
			one.Amount = payment.Captured // not to be compared: nothing is paid back on top of it
		}
		sum = sum.Add(one.Amount)
	}
	if payment.ChargedBack.Equal(sum) {
		return s.savePayment(ctx, q, *payment, progress)
	}
	payment.ChargedBack = sum
	if sum.IsPositive() {
		payment.Status = canonical.PaymentChargedBack
	} else {
		payment.Status = payment.undisputed()
	}
	return s.savePayment(ctx, q, *payment, progress)
}

// undisputed is the status that a payment has without any dispute.
func (p paymentRow) undisputed() canonical.PaymentStatus {
	switch {
	case p.Refunded.IsPositive():
		return p.afterRefund()
	case p.SettledOn != "":
		return canonical.PaymentSettled
	default:
		return canonical.PaymentCaptured
	}
}

// Chargeback gives a dispute with its notes, ErrNotFound if there is none of the case.
func (s *Store) Chargeback(ctx context.Context, caseID string) (ChargebackRecord, error) {
	var row chargebackRow
	err := s.db.read().get(ctx, &row, `SELECT `+chargebackColumns+` FROM chargebacks WHERE case_id = ?`, caseID)
	if err := found(err, "chargeback", caseID); err != nil {
		return ChargebackRecord{}, err
	}
	record := row.record()
	var notes []struct {
		Key   string  `db:"note_key"`
		At    instant `db:"at"`
		Note  string  `db:"note"`
		Actor string  `db:"actor"`
	}
	err = s.db.read().list(ctx, &notes, `SELECT note_key, at, note, actor FROM chargeback_notes WHERE case_id = ? ORDER BY at, id`, caseID)
	if err != nil {
		return ChargebackRecord{}, failed(err, "read notes of chargeback", caseID)
	}
	for _, note := range notes {
		record.Notes = append(record.Notes, ChargebackNote{Key: note.Key, At: note.At.time(), Note: note.Note, Actor: note.Actor})
	}
	return record, nil
}

// ChargebackFilter says which disputes a list holds. Zero fields don't narrow it.
type ChargebackFilter struct {
	OrderID  string
	Outcome  *ChargebackOutcome // ChargebackOpen: those that have not ended
	From, To time.Time          // opened at or after, and before
	Limit    int                // default 50, at most 500
	Cursor   string             // of the page before
}

// Chargebacks lists disputes without their notes, the latest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Chargebacks(ctx context.Context, filter ChargebackFilter) (page []ChargebackRecord, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []chargebackRow
	err = s.db.read().list(ctx, &rows, `SELECT `+chargebackColumns+` FROM chargebacks`+where.text()+`
		ORDER BY opened_at DESC, case_id DESC LIMIT ?`, append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list chargebacks: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].OpenedAt, rows[limit-1].CaseID)
	}
	page = make([]ChargebackRecord, 0, len(rows))
	for _, row := range rows {
		page = append(page, row.record())
	}
	return page, next, nil
}

func (f ChargebackFilter) conditions() (conditions, error) {
	var where conditions
	if f.OrderID != "" {
		where.add(`order_id = ?`, f.OrderID)
	}
	if f.Outcome != nil {
		where.add(`outcome = ?`, *f.Outcome)
	}
	where.between(`opened_at`, f.From, f.To)
	if f.Cursor != "" {
		at, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(opened_at < ? OR (opened_at = ? AND case_id < ?))`, at, at, id)
	}
	return where, nil
}

// between keeps a time at or after one, and before another; zero bounds nothing.
func (c *conditions) between(column string, from, before time.Time) {
	if !from.IsZero() {
		c.add(column+` >= ?`, toInstant(from))
	}
	if !before.IsZero() {
		c.add(column+` < ?`, toInstant(before))
	}
}

const chargebackColumns = `case_id, order_id, transaction_id, currency, amount, fee_currency, fee, reason, retrieval, outcome, opened_at,
	respond_by, updated_at, cycle, ended_at`

// chargebackRow is a dispute as the table has it.
type chargebackRow struct {
	CaseID        string            `db:"case_id"`
	OrderID       string            `db:"order_id"`
	TransactionID string            `db:"transaction_id"`
	Currency      string            `db:"currency"`
	Amount        decimal.Decimal   `db:"amount"`
	FeeCurrency   string            `db:"fee_currency"`
	Fee           decimal.Decimal   `db:"fee"`
	Reason        string            `db:"reason"`
	Retrieval     bool              `db:"retrieval"`
	Outcome       ChargebackOutcome `db:"outcome"`
	OpenedAt      instant           `db:"opened_at"`
	RespondBy     instant           `db:"respond_by"`
	UpdatedAt     instant           `db:"updated_at"`
	Cycle         int               `db:"cycle"`
	EndedAt       instant           `db:"ended_at"`
}

func (row chargebackRow) record() ChargebackRecord {
	record := ChargebackRecord{
		CaseID: row.CaseID, OrderID: row.OrderID, TransactionID: row.TransactionID, Amount: canonical.NewMoney(row.Amount, row.Currency),
		Reason: row.Reason, Retrieval: row.Retrieval, Outcome: row.Outcome, Cycle: row.Cycle, OpenedAt: row.OpenedAt.time(),
		EndedAt: row.EndedAt.time(), RespondBy: row.RespondBy.time(), UpdatedAt: row.UpdatedAt.time(),
	}
	if row.FeeCurrency != "" {
		record.Fee = canonical.NewMoney(row.Fee, row.FeeCurrency)
	}
	return record
}
