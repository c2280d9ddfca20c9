package journal

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Captured is one capture of a payment, or the sale that captured it, as long as it is not voided.
type Captured struct {
	ID       string          // its transaction at the gateway
	Key      string          // of its operation
	Sale     bool            // captured in one request with its authorization
	Amount   decimal.Decimal // what was captured
	Back     decimal.Decimal // what of it went back
	Reserved decimal.Decimal // what of it may go back by refunds and voids whose end is not known
}

// Room is what of the capture can still be paid back.
func (c Captured) Room() decimal.Decimal { return c.Amount.Sub(c.Back).Sub(c.Reserved) }

// Captures gives what of an order's payment is captured and not voided, oldest first. Chargebacks are sums of the payment, and no capture's.
func (s *Store) Captures(ctx context.Context, orderID string) ([]Captured, error) {
	return s.captures(ctx, s.db.read(), orderID)
}

func (s *Store) captures(ctx context.Context, q queryer, orderID string) ([]Captured, error) {
	var rows []capturing
	err := q.list(ctx, &rows, `SELECT operation_key, effect, outside_id, related, CASE WHEN moved = '' THEN amount ELSE moved END AS amount, settles
		FROM operations WHERE order_id = ? AND effect IN ('sale', 'capture', 'refund', 'void_capture') AND (settles OR `+isOpen+`)
		ORDER BY taken_at, outside_id, created_at, operation_key`, orderID)
	if err != nil {
		return nil, failed(err, "read captures of order", orderID)
	}
	return attributed(rows), nil
}

// capturing is an operation that takes captured money, or gives it back.
type capturing struct {
	Key       string          `db:"operation_key"`
	Effect    Effect          `db:"effect"`
	OutsideID string          `db:"outside_id"`
	Related   string          `db:"related"`
	Amount    decimal.Decimal `db:"amount"`
	Settles   bool            `db:"settles"` // the money has moved; otherwise its operation is open
}

func (c capturing) takes() bool { return c.Effect == EffectSale || c.Effect == EffectCapture }

// attributed counts what went back against the captures. What names none of them went against the oldest ones: where it was made, there was
// one only, or nobody knows better.
func attributed(rows []capturing) []Captured {
	var list []Captured
	for _, row := range rows {
		if row.takes() && row.Settles {
			list = append(list, Captured{ID: row.OutsideID, Key: row.Key, Sale: row.Effect == EffectSale, Amount: row.Amount})
		}
	}
	var unnamed []capturing
	for _, row := range rows {
		if row.takes() {
			continue
		}
		at := slices.IndexFunc(list, func(c Captured) bool { return c.ID == row.Related })
		if at < 0 {
			unnamed = append(unnamed, row)
			continue
		}
		list[at].count(row.Amount, row.Settles)
	}
	for _, row := range unnamed {
		for i := range list {
			part := decimal.Max(decimal.Zero, decimal.Min(row.Amount, list[i].Room()))
			list[i].count(part, row.Settles)
			row.Amount = row.Amount.Sub(part)
		}
	}
	return list
}

func (c *Captured) count(amount decimal.Decimal, moved bool) {
	if moved {
		c.Back = c.Back.Add(amount)
	} else {
		c.Reserved = c.Reserved.Add(amount)
	}
}

// admitAgainst refuses to give more of one capture back than is left of it: the sums of the payment don't tell that.
func (s *Store) admitAgainst(ctx context.Context, q queryer, op Operation) error {
	if op.Related == "" || op.Effect != EffectRefund && op.Effect != EffectVoidCapture {
		return nil
	}
	list, err := s.captures(ctx, q, op.OrderID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(c Captured) bool { return c.ID == op.Related })
	if at < 0 {
		return nil // a capture that the journal does not know: the sums hold
	}
	if room := list[at].Room(); op.Amount.Amount.GreaterThan(room) {
		return refuse(fault.Conflict, CodeExceedsCaptured, fmt.Sprintf("%s of %s asked, %s of the capture %s is left", op.Effect, op.Amount,
			canonical.NewMoney(room, op.Amount.Currency), op.Related))
	}
	return nil
}

// ReservePayments begins the parts of one movement of money, all in one transaction, so that nothing that races can come between them: all
// of them have their reservation, or none has. None counts as sent (Sends 0): each is sent by the way of an operation that never left.
// Parts whose keys exist stay as they are.
func (s *Store) ReservePayments(ctx context.Context, parts []Operation, effect Effect) error {
	return s.db.transact(ctx, func(q queryer) error {
		for _, op := range parts {
			op.Effect = effect
			_, fresh, err := s.beginPayment(ctx, q, op)
			if err != nil {
				return err
			}
			if !fresh {
				continue
			}
			if err := s.operations.change(ctx, q, op.Key, `sends = 0`); err != nil {
				return err
			}
		}
		return nil
	})
}
