package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// RefundRecord is a refund as the API shows it: the read side of its workflow.
type RefundRecord struct {
	OrderID, RefundID string
	BodyHash          string // of the request: the same id with another body is refused
	Origin            string // who asked: "shop", "operator", "erp", "review"
	Actor             string
	Reason            string // sealed at rest
	CreditMemo        string // of origin erp: the memo that asks for it
	Currency          string
	Amount            decimal.Decimal // of the breakdown
	Breakdown         canonical.RefundBreakdown
	Restock           bool
	Cancels           bool // the order was not confirmed yet: it is cancelled in place of a refund
	Status            canonical.RefundStatus
	Way               string // how the money goes back, once it is planned
	TransactionID     string // of the refund, void or reversal at the gateway
	ErpCreditMemo     string // the ERP's number of the credit memo that we made
	ErpRefund         string // reference of the refund or reversal in AR
	Why               string // why it was refused
	CreatedAt         time.Time
	UpdatedAt         time.Time
	StartedAt         *time.Time // nil: its workflow was not started yet
}

// TakeRefund stores a new refund, of status received where it says none, with the breakdown that apportion makes of what earlier
// refunds have left: all those of the order that were not refused. It runs on the locked payment row, so that of racing requests
// each sees the ones before. Where no money was asked for yet apportion gets a zero Payment, and the order is locked in its
// stead. An error of apportion is returned as it is, and nothing is stored. The same id and body hash give the stored refund and
// created=false; another hash is ErrRefundDiffers. apportion may run more than once and must not use the store.
func (s *Store) TakeRefund(ctx context.Context, refund RefundRecord,
	apportion func(earlier []canonical.RefundBreakdown, p Payment) (canonical.RefundBreakdown, error),
) (stored RefundRecord, created bool, err error) {
	err = s.db.transact(ctx, func(q queryer) error {
		stored, created = RefundRecord{}, false
		payment, err := s.lockMoney(ctx, q, refund.OrderID)
		if err != nil {
			return err
		}
		refunds, err := s.refundsOf(ctx, q, refund.OrderID)
		if err != nil {
			return err
		}
		for _, other := range refunds {
			if other.RefundID == refund.RefundID {
				stored = other
				return stored.same(refund)
			}
		}
		breakdown, err := apportion(reservedBy(refunds), payment)
		if err != nil {
			return err
		}
		stored, created = s.newRefund(refund, breakdown, payment), true
		return s.insertRefund(ctx, q, stored)
	})
	if err != nil {
		return stored, false, err
	}
	return stored, created, nil
}

// same tells whether a refund is the one that was stored.
func (r RefundRecord) same(asked RefundRecord) error {
	if r.BodyHash != asked.BodyHash {
		return fmt.Errorf("refund %q of order %q: %w", asked.RefundID, asked.OrderID, ErrRefundDiffers)
	}
	return nil
}

// LeftAfter is what one more refund may take, on the locked payment that TakeRefund gives: of the captured money, what is not charged back, and
// what no refund before has taken or is about to take. An operation of the gateway that no refund knows of counts too.
func (p Payment) LeftAfter(earlier []canonical.RefundBreakdown) decimal.Decimal {
	left := p.Captured.Sub(p.ChargedBack)
	for _, refund := range earlier {
		left = left.Sub(refund.Total)
	}
	return decimal.Max(decimal.Min(left, p.Refundable), decimal.Zero)
}

// reservedBy gives what refunds take or may still take.
func reservedBy(refunds []RefundRecord) []canonical.RefundBreakdown {
	var taken []canonical.RefundBreakdown
	for _, refund := range refunds {
		if refund.Status != canonical.RefundRefused {
			taken = append(taken, refund.Breakdown)
		}
	}
	return taken
}

// lockMoney locks the payment of an order, or the order where it has none yet, and gives the payment.
func (s *Store) lockMoney(ctx context.Context, q queryer, orderID string) (Payment, error) {
	var row paymentRow
	err := q.get(ctx, &row, `SELECT `+paymentColumns+` FROM payments p WHERE p.order_id = ?`+q.dialect.forUpdate, orderID)
	if errors.Is(err, sql.ErrNoRows) {
		return Payment{}, s.lockOrder(ctx, q, orderID)
	}
	if err != nil {
		return Payment{}, failed(err, "lock payment of order", orderID)
	}
	open, err := s.reservations(ctx, q, Operation{OrderID: orderID})
	if err != nil {
		return Payment{}, err
	}
	return row.payment(sum(open)), nil
}

// lockOrder locks an order's row, ErrNotFound if there is none.
func (s *Store) lockOrder(ctx context.Context, q queryer, orderID string) error {
	var locked string
	err := q.get(ctx, &locked, `SELECT order_id FROM orders WHERE order_id = ?`+q.dialect.forUpdate, orderID)
	return found(err, "order", orderID)
}

func (s *Store) newRefund(refund RefundRecord, breakdown canonical.RefundBreakdown, payment Payment) RefundRecord {
	now := s.now().time()
	refund.Breakdown, refund.Amount, refund.StartedAt = breakdown, breakdown.Total, nil
	if refund.Currency == "" {
		refund.Currency = payment.Currency
	}
	if refund.Status == "" {
		refund.Status = canonical.RefundReceived
	}
	refund.Why = redact(refund.Why)
	refund.CreatedAt, refund.UpdatedAt = now, now
	return refund
}

func (s *Store) insertRefund(ctx context.Context, q queryer, r RefundRecord) error {
	reason, err := s.seal([]byte(r.Reason), "refunds", "reason", refundPlace(r.OrderID, r.RefundID))
	if err != nil {
		return err
	}
	breakdown, err := json.Marshal(r.Breakdown)
	if err != nil {
		return failed(err, "encode refund", r.RefundID)
	}
	_, err = q.exec(ctx, `INSERT INTO refunds (`+refundColumns+`) VALUES `+in(21), r.OrderID, r.RefundID, r.BodyHash, r.Origin,
		r.Actor, reason, r.CreditMemo, r.Currency, r.Amount, string(breakdown), r.Restock, r.Cancels, r.Status, r.Way,
		r.TransactionID, r.ErpCreditMemo, r.ErpRefund, r.Why, toInstant(r.CreatedAt), toInstant(r.UpdatedAt), 0)
	return failed(err, "take refund", r.RefundID)
}

// refundPlace names a refund's row for the seal.
func refundPlace(orderID, refundID string) string { return orderID + "/" + refundID }

// Refund gives a refund, ErrNotFound if there is none.
func (s *Store) Refund(ctx context.Context, orderID, refundID string) (RefundRecord, error) {
	var row refundRow
	err := s.db.read().get(ctx, &row, `SELECT `+refundColumns+` FROM refunds WHERE order_id = ? AND refund_id = ?`, orderID, refundID)
	if err := found(err, "refund", refundPlace(orderID, refundID)); err != nil {
		return RefundRecord{}, err
	}
	return s.refund(row)
}

// Refunds gives the refunds of an order, oldest first.
func (s *Store) Refunds(ctx context.Context, orderID string) ([]RefundRecord, error) {
	return s.refundsOf(ctx, s.db.read(), orderID)
}

func (s *Store) refundsOf(ctx context.Context, q queryer, orderID string) ([]RefundRecord, error) {
	var rows []refundRow
	err := q.list(ctx, &rows, `SELECT `+refundColumns+` FROM refunds WHERE order_id = ? ORDER BY created_at, refund_id`, orderID)
	if err != nil {
		return nil, failed(err, "read refunds of order", orderID)
	}
	return convert(rows, s.refund)
}

// MarkRefundStarted records that the refund's workflow runs.
func (s *Store) MarkRefundStarted(ctx context.Context, orderID, refundID string) error {
	changed, err := s.db.write().exec(ctx, `UPDATE refunds SET started_at = CASE WHEN started_at = 0 THEN ? ELSE started_at END
		WHERE order_id = ? AND refund_id = ?`, s.now(), orderID, refundID)
	if err != nil {
		return failed(err, "mark started refund", refundPlace(orderID, refundID))
	}
	return s.exists(changed, "refund", refundPlace(orderID, refundID))
}

// UnstartedRefunds gives refunds that were taken longer ago than a duration and whose workflow was not started, oldest first. One that cancels
// its order has none, and is given once the order has ended: those of orders that take their time hold up nobody. One that can't be opened
// is logged and left out, for the same reason.
func (s *Store) UnstartedRefunds(ctx context.Context, olderThan time.Duration, limit int) ([]RefundRecord, error) {
	ended := []any{
		canonical.OrderConfirmed, canonical.OrderShipped, canonical.OrderDeclined, canonical.OrderRejected, canonical.OrderCancelled,
		canonical.OrderCompensated,
	}
	args := append([]any{toInstant(s.clock().Add(-olderThan))}, ended...)
	var rows []refundRow
	err := s.db.read().list(ctx, &rows, `SELECT `+refundColumns+` FROM refunds WHERE started_at = 0 AND created_at <= ? AND (NOT cancels OR
		EXISTS (SELECT 1 FROM orders o WHERE o.order_id = refunds.order_id AND o.status IN `+in(len(ended))+`))
		ORDER BY created_at, order_id, refund_id LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read unstarted refunds: %w", err)
	}
	return readable(ctx, s.journal, rows, s.refund), nil
}

// RefundProgress is a step of a refund's workflow for its read model. Empty fields leave what is stored.
type RefundProgress struct {
	OrderID, RefundID        string
	Status                   canonical.RefundStatus
	Way, TransactionID       string
	ErpCreditMemo, ErpRefund string
	Why                      string
}

// RecordRefund brings a refund's read model forward, and with it the order's, its timeline and the notices that tell of it, in one
// transaction. A refund that has ended keeps its status. Recording the same progress again changes nothing.
func (s *Store) RecordRefund(ctx context.Context, refund RefundProgress, progress *Progress, notices ...Notice) error {
	return s.db.transact(ctx, func(q queryer) error {
		changed, err := q.exec(ctx, `UPDATE refunds SET
			status = CASE WHEN status IN ('completed', 'refused') THEN status ELSE COALESCE(?, status) END,
			way = COALESCE(?, way), transaction_id = COALESCE(?, transaction_id), erp_credit_memo = COALESCE(?, erp_credit_memo),
			erp_refund = COALESCE(?, erp_refund), why = COALESCE(?, why), updated_at = ? WHERE order_id = ? AND refund_id = ?`,
			orNull(string(refund.Status)), orNull(refund.Way), orNull(refund.TransactionID), orNull(refund.ErpCreditMemo),
			orNull(refund.ErpRefund), orNull(redact(refund.Why)), s.now(), refund.OrderID, refund.RefundID)
		if err != nil {
			return failed(err, "record refund", refundPlace(refund.OrderID, refund.RefundID))
		}
		if err := s.exists(changed, "refund", refundPlace(refund.OrderID, refund.RefundID)); err != nil {
			return err
		}
		if progress != nil {
			step := *progress
			step.OrderID = refund.OrderID
			if err := s.recordProgress(ctx, q, step); err != nil {
				return err
			}
		}
		return s.addNotices(ctx, q, notices)
	})
}

const refundColumns = `order_id, refund_id, body_hash, origin, actor, reason, credit_memo, currency, amount, breakdown, restock,
	cancels, status, way, transaction_id, erp_credit_memo, erp_refund, why, created_at, updated_at, started_at`

// refundRow is a refund as the table has it.
type refundRow struct {
	OrderID       string                 `db:"order_id"`
	RefundID      string                 `db:"refund_id"`
	BodyHash      string                 `db:"body_hash"`
	Origin        string                 `db:"origin"`
	Actor         string                 `db:"actor"`
	Reason        []byte                 `db:"reason"`
	CreditMemo    string                 `db:"credit_memo"`
	Currency      string                 `db:"currency"`
	Amount        decimal.Decimal        `db:"amount"`
	Breakdown     string                 `db:"breakdown"`
	Restock       bool                   `db:"restock"`
	Cancels       bool                   `db:"cancels"`
	Status        canonical.RefundStatus `db:"status"`
	Way           string                 `db:"way"`
	TransactionID string                 `db:"transaction_id"`
	ErpCreditMemo string                 `db:"erp_credit_memo"`
	ErpRefund     string                 `db:"erp_refund"`
	Why           string                 `db:"why"`
	CreatedAt     instant                `db:"created_at"`
	UpdatedAt     instant                `db:"updated_at"`
	StartedAt     instant                `db:"started_at"`
}

func (s *Store) refund(row refundRow) (RefundRecord, error) {
	reason, err := s.unseal(row.Reason, "refunds", "reason", refundPlace(row.OrderID, row.RefundID))
	if err != nil {
		return RefundRecord{}, err
	}
	record := RefundRecord{
		OrderID: row.OrderID, RefundID: row.RefundID, BodyHash: row.BodyHash, Origin: row.Origin, Actor: row.Actor,
		Reason: string(reason), CreditMemo: row.CreditMemo, Currency: row.Currency, Amount: row.Amount, Restock: row.Restock,
		Cancels: row.Cancels, Status: row.Status, Way: row.Way, TransactionID: row.TransactionID, ErpCreditMemo: row.ErpCreditMemo,
		ErpRefund: row.ErpRefund, Why: row.Why, CreatedAt: row.CreatedAt.time(), UpdatedAt: row.UpdatedAt.time(),
	}
	if err := json.Unmarshal([]byte(row.Breakdown), &record.Breakdown); err != nil {
		return RefundRecord{}, failed(err, "read refund", refundPlace(row.OrderID, row.RefundID))
	}
	if row.StartedAt != 0 {
		started := row.StartedAt.time()
		record.StartedAt = &started
	}
	return record, nil
}
