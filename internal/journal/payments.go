package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Effect is what an operation does to a payment.
type Effect string

// The effects.
const (
	EffectAuthorize   Effect = "authorize"
	EffectSale        Effect = "sale" // authorization and capture in one request
	EffectCapture     Effect = "capture"
	EffectVoidCapture Effect = "void_capture" // of a capture or a sale: the hold lives again
	EffectReverse     Effect = "reverse"      // releases what of the hold is not captured
	EffectRefund      Effect = "refund"
	// EffectTimeoutReverse and EffectTimeoutVoid undo an operation whose own outcome is unknown. They reserve nothing: the
	// unknown operation keeps its reservation until it is concluded itself (AbsentPayment, once this one has succeeded).
	EffectTimeoutReverse Effect = "timeout_reverse"
	EffectTimeoutVoid    Effect = "timeout_void"
)

// The codes of the faults (Conflict, system "journal") by which BeginPayment refuses.
const (
	CodePaymentHeld       = "PAYMENT_HELD"       // the fraud case is not decided
	CodeAuthorizationLive = "AUTHORIZATION_LIVE" // another authorization or capture is live, or not known to be dead
	CodeNothingAuthorized = "NOTHING_AUTHORIZED"
	CodeNothingUnknown    = "NOTHING_UNKNOWN" // no operation that a time-out form could undo
	CodeExceedsAuthorized = "EXCEEDS_AUTHORIZED"
	CodeExceedsHold       = "EXCEEDS_HOLD"
	CodeExceedsCaptured   = "EXCEEDS_CAPTURED"
	CodeCurrencyDiffers   = "CURRENCY_DIFFERS"
	CodeAmountInvalid     = "AMOUNT_INVALID"
)

// Payment is an order's money with what open operations reserve of it. All amounts are in Currency.
type Payment struct {
	canonical.Payment                 // Authorized is that of the last authorization; Captured is less what was voided; CaptureID is the last one's
	Reversed          decimal.Decimal // of the last authorization
	ChargedBack       decimal.Decimal
	Capturable        decimal.Decimal // authorized - captured - reversed - reserved by captures and reversals
	Refundable        decimal.Decimal // captured - refunded - charged back - reserved by refunds and voids
	Open              bool            // an operation's outcome is not known yet
	SettledOn         string          // YYYY-MM-DD: the day of its last capture that has settled; "" where none has
	BatchID           string          // of that day
	CreatedAt         time.Time
}

// PaymentChange is what an outcome tells of the payment. Empty fields leave what is stored.
type PaymentChange struct {
	// Status; "" lets a success derive it from effect and sums. PaymentHeld marks an authorization or sale under review (a held
	// sale has captured nothing); any other status ends the review.
	Status canonical.PaymentStatus
	// Amount that moved, where it is less than the operation's: partial authorization, or zero for a review before authorization.
	Amount *decimal.Decimal
	// ChargedBack is the sum of all chargebacks of the payment.
	ChargedBack *decimal.Decimal
	// HoldLapsed: what is not captured of the authorization is gone (it expired): it counts as reversed, and so does a payment of which
	// nothing is captured.
	HoldLapsed bool
	// NotCaptured: a sale was authorized, but its capture did not run (partial approval, refused by risk rules).
	NotCaptured bool
	// At is when the gateway took the operation, where it tells; default: when it was last sent.
	At time.Time

	CardType, CardSuffix, ApprovalCode, Reconciliation, Reason, CustomerToken string
}

// BeginPayment is Begin for an operation that moves money, with its reservation, in one transaction on the locked payment. It
// refuses with a fault.Conflict what would pass the limits, counting each operation whose outcome is not known as if it had
// succeeded and as if it had not, whichever is worse. The reservation lasts until the operation is concluded.
func (s *Store) BeginPayment(ctx context.Context, op Operation, effect Effect) (stored Operation, fresh bool, err error) {
	op.Effect = effect
	err = s.db.transact(ctx, func(q queryer) error {
		stored, fresh, err = s.beginPayment(ctx, q, op)
		return err
	})
	if err != nil {
		return stored, false, err
	}
	return stored, fresh, nil
}

func (s *Store) beginPayment(ctx context.Context, q queryer, op Operation) (Operation, bool, error) {
	payment, err := s.lockPayment(ctx, q, op)
	if err != nil {
		return Operation{}, false, err
	}
	operations, err := s.reservations(ctx, q, op)
	if err != nil {
		return Operation{}, false, err
	}
	for _, other := range operations {
		if other.Key == op.Key {
			stored, err := s.operations.same(ctx, q, op)
			return stored, false, err
		}
	}
	if refusal := payment.admit(op, sum(operations)); refusal != nil {
		return Operation{}, false, refusal
	}
	if err := s.admitAgainst(ctx, q, op); err != nil {
		return Operation{}, false, err
	}
	return s.operations.begin(ctx, q, op)
}

// lockPayment locks the payment of an operation; an authorization makes it where there is none.
func (s *Store) lockPayment(ctx context.Context, q queryer, op Operation) (paymentRow, error) {
	if op.Effect == EffectAuthorize || op.Effect == EffectSale {
		now := s.now()
		_, err := q.exec(ctx, `INSERT INTO payments (order_id, status, currency, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (order_id) DO NOTHING`, op.OrderID, canonical.PaymentNone, op.Amount.Currency, now, now)
		if err != nil {
			return paymentRow{}, failed(err, "open payment of order", op.OrderID)
		}
	}
	var row paymentRow
	err := q.get(ctx, &row, `SELECT `+paymentColumns+` FROM payments p WHERE p.order_id = ?`+q.dialect.forUpdate, op.OrderID)
	if errors.Is(err, sql.ErrNoRows) {
		return paymentRow{Currency: op.Amount.Currency}, nil // nothing to lock, and nothing that admits more than an authorization
	}
	return row, failed(err, "lock payment of order", op.OrderID)
}

// reservation is an operation that may still move money, or the one asked for.
type reservation struct {
	Key    string          `db:"operation_key"`
	Effect Effect          `db:"effect"`
	Amount decimal.Decimal `db:"amount"`
}

// reservations reads the open operations of the order, and the one of the key in whatever state.
func (s *Store) reservations(ctx context.Context, q queryer, op Operation) ([]reservation, error) {
	var list []reservation
	err := q.list(ctx, &list, `SELECT operation_key, effect, amount FROM operations
		WHERE operation_key = ? OR (order_id = ? AND effect <> '' AND `+isOpen+`)`, op.Key, op.OrderID)
	return list, failed(err, "read reservations of order", op.OrderID)
}

// reserved are the sums of a payment's open operations.
type reserved struct {
	authorizing, capturing, voiding, reversing, refunding decimal.Decimal
	authorizations, captures, all                         int
}

func sum(open []reservation) reserved {
	r := reserved{all: len(open)}
	for _, o := range open {
		switch o.Effect {
		case EffectAuthorize, EffectSale:
			r.authorizations++
			r.authorizing = r.authorizing.Add(o.Amount)
		case EffectCapture:
			r.captures++
			r.capturing = r.capturing.Add(o.Amount)
		case EffectVoidCapture:
			r.voiding = r.voiding.Add(o.Amount)
		case EffectReverse:
			r.reversing = r.reversing.Add(o.Amount)
		case EffectRefund:
			r.refunding = r.refunding.Add(o.Amount)
		case EffectTimeoutReverse, EffectTimeoutVoid: // the operation that they undo has the reservation
		}
	}
	return r
}

// admit gives the fault that refuses the operation, nil if nothing does.
func (p paymentRow) admit(op Operation, r reserved) error {
	switch {
	case !op.Amount.Amount.IsPositive():
		return refuse(fault.Value, CodeAmountInvalid, "the amount must be positive")
	case op.Amount.Currency != p.Currency:
		return refuse(fault.Conflict, CodeCurrencyDiffers, fmt.Sprintf("the payment is in %s, not in %s", p.Currency, op.Amount.Currency))
	}
	switch op.Effect {
	case EffectAuthorize, EffectSale:
		return p.admitAuthorization(r)
	case EffectTimeoutReverse, EffectTimeoutVoid:
		return admitTimeout(op.Effect, r)
	default:
		return p.admitChange(op, r)
	}
}

// admitAuthorization refuses a second authorization while the first may still hold or have taken the buyer's money.
func (p paymentRow) admitAuthorization(r reserved) error {
	if p.Status == canonical.PaymentHeld {
		return refuse(fault.Conflict, CodePaymentHeld, "the payment is under review")
	}
	if r.all > 0 || p.hold().IsPositive() || p.Captured.IsPositive() {
		return refuse(fault.Conflict, CodeAuthorizationLive, "another authorization of the order is live, or not known to be dead")
	}
	return nil
}

// admitTimeout refuses to undo by time-out where nothing is unknown that the form could undo.
func admitTimeout(effect Effect, r reserved) error {
	if r.authorizations > 0 || (effect == EffectTimeoutVoid && (r.captures > 0 || r.refunding.IsPositive())) {
		return nil
	}
	return refuse(fault.Conflict, CodeNothingUnknown, "no operation of the order is waiting for its outcome")
}

// admitChange holds a capture, void, reversal or refund against the sums.
func (p paymentRow) admitChange(op Operation, r reserved) error {
	if p.Status == canonical.PaymentHeld {
		return refuse(fault.Conflict, CodePaymentHeld, "the payment is under review: decide the case first")
	}
	if !p.Authorized.IsPositive() {
		return refuse(fault.Conflict, CodeNothingAuthorized, "nothing is authorized")
	}
	var limit decimal.Decimal
	var code string
	switch op.Effect {
	case EffectCapture:
		limit, code = p.capturable(r), CodeExceedsAuthorized
	case EffectReverse:
		limit, code = p.capturable(r), CodeExceedsHold
	case EffectVoidCapture, EffectRefund:
		limit, code = p.refundable(r), CodeExceedsCaptured
	default:
		return refuse(fault.Bug, CodeAmountInvalid, fmt.Sprintf("%q is no effect on a payment", op.Effect))
	}
	if op.Amount.Amount.GreaterThan(limit) {
		return refuse(fault.Conflict, code, fmt.Sprintf("%s of %s asked, %s is left", op.Effect, op.Amount,
			canonical.NewMoney(limit, p.Currency)))
	}
	return nil
}

func refuse(kind fault.Kind, code, message string) error {
	return &fault.Fault{Kind: kind, System: "journal", Code: code, Message: message}
}

// SucceedPayment stores the outcome of a payment operation: operation, payment (whose reservation is consumed), order and
// timeline in one transaction. outsideID serves one operation only (ErrOutsideIDTaken). Repeating it changes nothing.
func (s *Store) SucceedPayment(ctx context.Context, key, outsideID string, outcome []byte, change PaymentChange, progress *Progress) error {
	return s.concludePayment(ctx, key, conclusion{OperationSucceeded, outsideID, outcome}, change, progress)
}

// RefusePayment stores the gateway's final no and releases the reservation, as SucceedPayment does.
func (s *Store) RefusePayment(ctx context.Context, key string, outcome []byte, change PaymentChange, progress *Progress) error {
	return s.concludePayment(ctx, key, conclusion{OperationRefused, "", outcome}, change, progress)
}

// AbsentPayment records that the operation is proven not to exist at the gateway and releases the reservation.
func (s *Store) AbsentPayment(ctx context.Context, key string, change PaymentChange, progress *Progress) error {
	return s.concludePayment(ctx, key, conclusion{OperationAbsent, "", nil}, change, progress)
}

// UnknownPayment records that the outcome is not known; the reservation stays, and the order's payment status says so.
func (s *Store) UnknownPayment(ctx context.Context, key, detail string, progress *Progress) error {
	return s.db.transact(ctx, func(q queryer) error {
		row, err := s.lockOperation(ctx, q, key)
		if err != nil {
			return err
		}
		if err := s.operations.unknown(ctx, q, key, detail); err != nil {
			return err
		}
		return s.follow(ctx, q, row.OrderID, canonical.PaymentUnknown, progress)
	})
}

// ChangePayment records what happened to a payment without an operation of ours: a review decided, an authorization expired, the
// payment settled or charged back.
func (s *Store) ChangePayment(ctx context.Context, orderID string, change PaymentChange, progress *Progress) error {
	return s.db.transact(ctx, func(q queryer) error {
		var row paymentRow
		err := q.get(ctx, &row, `SELECT `+paymentColumns+` FROM payments p WHERE p.order_id = ?`+q.dialect.forUpdate, orderID)
		if err := found(err, "payment of order", orderID); err != nil {
			return err
		}
		open, err := s.reservations(ctx, q, Operation{OrderID: orderID})
		if err != nil {
			return err
		}
		if err := row.describe(change, sum(open)); err != nil {
			return err
		}
		return s.savePayment(ctx, q, row, progress)
	})
}

func (s *Store) concludePayment(ctx context.Context, key string, c conclusion, change PaymentChange, progress *Progress) error {
	return s.db.transact(ctx, func(q queryer) error {
		row, err := s.lockOperation(ctx, q, key)
		if err != nil {
			return err
		}
		if row.State.Final() {
			stored := Operation{Key: key, State: row.State, OutsideID: row.OutsideID, Effect: row.Effect}
			return stored.repeats(c, true)
		}
		if err := s.operations.conclude(ctx, q, key, true, c); err != nil {
			return err
		}
		if c.state == OperationSucceeded {
			moved, err := row.apply(c.outsideID, change)
			if err != nil {
				return failed(err, "conclude operation", key)
			}
			if err := s.noteMoved(ctx, q, key, row, moved, change); err != nil {
				return err
			}
		}
		open, err := s.reservations(ctx, q, Operation{OrderID: row.OrderID})
		if err != nil {
			return err
		}
		if err := row.describe(change, sum(open)); err != nil {
			return failed(err, "conclude operation", key)
		}
		return s.savePayment(ctx, q, row.paymentRow, progress)
	})
}

// operationPayment is a payment operation with its payment, both locked.
type operationPayment struct {
	paymentRow
	State     OperationState  `db:"state"`
	Effect    Effect          `db:"effect"`
	OutsideID string          `db:"outside_id"`
	Amount    decimal.Decimal `db:"amount"`
	Related   string          `db:"related"`
}

func (s *Store) lockOperation(ctx context.Context, q queryer, key string) (operationPayment, error) {
	var row operationPayment
	err := q.get(ctx, &row, `SELECT o.state, o.effect, o.outside_id, o.amount, o.related, `+paymentColumns+`
		FROM operations o JOIN payments p ON p.order_id = o.order_id
		WHERE o.operation_key = ? AND o.effect <> ''`+q.dialect.forUpdate, key)
	return row, found(err, "payment operation", key)
}

// apply moves the sums by a success, and tells what moved.
func (row *operationPayment) apply(outsideID string, change PaymentChange) (moved decimal.Decimal, err error) {
	moved = row.Amount
	if change.Amount != nil {
		moved = *change.Amount
	}
	if moved.IsNegative() || moved.GreaterThan(row.Amount) {
		return moved, refuse(fault.Bug, CodeAmountInvalid, fmt.Sprintf("%s of %s can't have moved %s", row.Effect, row.Amount, moved))
	}
	p := &row.paymentRow
	switch row.Effect {
	case EffectAuthorize, EffectSale:
		p.Authorized, p.Captured, p.Reversed = moved, decimal.Zero, decimal.Zero
		p.AuthorizationID, p.CaptureID = outsideID, ""
		p.Status = canonical.PaymentAuthorized
		if takes(row.Effect, change) {
			p.Captured, p.CaptureID, p.Status = moved, outsideID, canonical.PaymentCaptured
		}
	case EffectCapture:
		p.Captured, p.CaptureID, p.Status = p.Captured.Add(moved), outsideID, canonical.PaymentCaptured
		if p.Refunded.IsPositive() {
			p.Status = p.afterRefund()
		}
	case EffectVoidCapture:
		p.Captured = p.Captured.Sub(moved)
		if p.Status = p.afterUndo(canonical.PaymentVoided); p.Captured.IsPositive() && p.Refunded.IsPositive() {
			p.Status = p.afterRefund()
		}
	case EffectReverse:
		p.Reversed = p.Reversed.Add(moved)
		p.Status = p.afterUndo(canonical.PaymentReversed)
	case EffectRefund:
		p.Refunded = p.Refunded.Add(moved)
		p.Status = p.afterRefund()
	case EffectTimeoutReverse, EffectTimeoutVoid: // what they undo never came into the sums
	}
	return moved, nil
}

// takes tells whether a success has captured: a sale that is held, or whose capture did not run, has not.
func takes(effect Effect, change PaymentChange) bool {
	return effect == EffectCapture || effect == EffectSale && change.Status != canonical.PaymentHeld && !change.NotCaptured
}

// noteMoved notes with an operation that has succeeded what a settlement report will have to show of it; a void takes that from what it
// voids.
func (s *Store) noteMoved(ctx context.Context, q queryer, key string, row operationPayment, moved decimal.Decimal, change PaymentChange) error {
	settles := moved.IsPositive() && (takes(row.Effect, change) || row.Effect == EffectRefund)
	_, err := q.exec(ctx, `UPDATE operations SET moved = ?, settles = ?, taken_at = COALESCE(?, last_sent_at) WHERE operation_key = ?`,
		moved, settles, orNever(change.At), key)
	if err != nil || row.Effect != EffectVoidCapture {
		return failed(err, "conclude operation", key)
	}
	return s.noteVoided(ctx, q, row)
}

// noteVoided marks what a void has voided: what it names or, where it names nothing, whatever of the order is captured and not settled.
func (s *Store) noteVoided(ctx context.Context, q queryer, row operationPayment) error {
	_, err := q.exec(ctx, `UPDATE operations SET settles = FALSE WHERE order_id = ? AND settles AND settled_on = '' AND
		(outside_id = ? OR (? = '' AND effect IN ('sale', 'capture')))`, row.OrderID, row.Related, row.Related)
	return failed(err, "note void of order", row.OrderID)
}

// orNever makes NULL of no time.
func orNever(at time.Time) *instant {
	if at.IsZero() {
		return nil
	}
	i := toInstant(at)
	return &i
}

// afterUndo keeps the status of a payment of which something is still captured, whatever was undone of the rest.
func (p paymentRow) afterUndo(undone canonical.PaymentStatus) canonical.PaymentStatus {
	if p.Captured.IsPositive() {
		return p.Status
	}
	return undone
}

func (p paymentRow) afterRefund() canonical.PaymentStatus {
	if p.Refunded.Add(p.ChargedBack).LessThan(p.Captured) {
		return canonical.PaymentPartiallyRefunded
	}
	return canonical.PaymentRefunded
}

// describe takes over what a change tells beside the amount moved.
func (p *paymentRow) describe(change PaymentChange, r reserved) error {
	if change.ChargedBack != nil {
		if change.ChargedBack.IsNegative() {
			return refuse(fault.Bug, CodeAmountInvalid, "charged back a negative amount")
		}
		p.ChargedBack = *change.ChargedBack
	}
	if change.HoldLapsed {
		p.Reversed = p.Reversed.Add(decimal.Max(decimal.Zero, p.capturable(r)))
		p.Status = p.afterUndo(canonical.PaymentReversed)
	}
	switch change.Status {
	case canonical.PaymentVoided, canonical.PaymentReversed: // of one capture, or of what is left of a hold, where there are several
		p.Status = p.afterUndo(change.Status)
	default:
		set(&p.Status, change.Status)
	}
	set(&p.CardType, change.CardType)
	set(&p.CardSuffix, change.CardSuffix)
	set(&p.ApprovalCode, change.ApprovalCode)
	set(&p.Reconciliation, change.Reconciliation)
	set(&p.Reason, redact(change.Reason))
	set(&p.CustomerToken, change.CustomerToken)
	return nil
}

// set overwrites with what is not empty.
func set[T ~string](field *T, value T) {
	if value != "" {
		*field = value
	}
}

// savePayment writes the locked payment, and the order and timeline that follow it.
func (s *Store) savePayment(ctx context.Context, q queryer, p paymentRow, progress *Progress) error {
	_, err := q.exec(ctx, `UPDATE payments SET status = ?, authorization_id = ?, capture_id = ?, authorized = ?, captured = ?,
		reversed = ?, refunded = ?, charged_back = ?, card_type = ?, card_suffix = ?, approval_code = ?, reconciliation = ?,
		reason = ?, customer_token = ?, updated_at = ? WHERE order_id = ?`,
		p.Status, p.AuthorizationID, p.CaptureID, p.Authorized, p.Captured, p.Reversed, p.Refunded, p.ChargedBack, p.CardType,
		p.CardSuffix, p.ApprovalCode, p.Reconciliation, p.Reason, p.CustomerToken, s.now(), p.OrderID)
	if err != nil {
		return failed(err, "save payment of order", p.OrderID)
	}
	return s.follow(ctx, q, p.OrderID, p.Status, progress)
}

// Payment gives an order's money, ErrNotFound where none was ever asked for.
func (s *Store) Payment(ctx context.Context, orderID string) (Payment, error) {
	var row paymentRow
	err := s.db.read().get(ctx, &row, `SELECT `+paymentColumns+` FROM payments p WHERE p.order_id = ?`, orderID)
	if err := found(err, "payment of order", orderID); err != nil {
		return Payment{}, err
	}
	open, err := s.reservations(ctx, s.db.read(), Operation{OrderID: orderID})
	if err != nil {
		return Payment{}, err
	}
	return row.payment(sum(open)), nil
}

const paymentColumns = `p.order_id, p.status, p.currency, p.authorization_id, p.capture_id, p.authorized, p.captured, p.reversed,
	p.refunded, p.charged_back, p.card_type, p.card_suffix, p.approval_code, p.reconciliation, p.reason, p.customer_token,
	p.updated_at, p.created_at, p.settled_on, p.batch_id`

// paymentRow is a payment as the table has it.
type paymentRow struct {
	OrderID         string                  `db:"order_id"`
	Status          canonical.PaymentStatus `db:"status"`
	Currency        string                  `db:"currency"`
	AuthorizationID string                  `db:"authorization_id"`
	CaptureID       string                  `db:"capture_id"`
	Authorized      decimal.Decimal         `db:"authorized"`
	Captured        decimal.Decimal         `db:"captured"`
	Reversed        decimal.Decimal         `db:"reversed"`
	Refunded        decimal.Decimal         `db:"refunded"`
	ChargedBack     decimal.Decimal         `db:"charged_back"`
	CardType        string                  `db:"card_type"`
	CardSuffix      string                  `db:"card_suffix"`
	ApprovalCode    string                  `db:"approval_code"`
	Reconciliation  string                  `db:"reconciliation"`
	Reason          string                  `db:"reason"`
	CustomerToken   string                  `db:"customer_token"`
	UpdatedAt       instant                 `db:"updated_at"`
	CreatedAt       instant                 `db:"created_at"`
	SettledOn       string                  `db:"settled_on"`
	BatchID         string                  `db:"batch_id"`
}

// hold is what of the authorization is neither captured nor reversed.
func (p paymentRow) hold() decimal.Decimal { return p.Authorized.Sub(p.Captured).Sub(p.Reversed) }

// capturable is the part of the hold that no open operation may take.
func (p paymentRow) capturable(r reserved) decimal.Decimal {
	return p.hold().Sub(r.capturing).Sub(r.reversing)
}

// refundable is the part of the captured money that nothing gave back, or may give back.
func (p paymentRow) refundable(r reserved) decimal.Decimal {
	return p.Captured.Sub(p.Refunded).Sub(p.ChargedBack).Sub(r.refunding).Sub(r.voiding)
}

func (p paymentRow) payment(r reserved) Payment {
	return Payment{
		Payment: canonical.Payment{
			OrderID: p.OrderID, Status: p.Status, Currency: p.Currency, AuthorizationID: p.AuthorizationID, CaptureID: p.CaptureID,
			Authorized: p.Authorized, Captured: p.Captured, Refunded: p.Refunded, CardType: p.CardType, CardSuffix: p.CardSuffix,
			ApprovalCode: p.ApprovalCode, Reconciliation: p.Reconciliation, Reason: p.Reason, CustomerToken: p.CustomerToken,
			At: p.UpdatedAt.time(),
		},
		Reversed: p.Reversed, ChargedBack: p.ChargedBack, Open: r.all > 0, SettledOn: p.SettledOn, BatchID: p.BatchID,
		CreatedAt:  p.CreatedAt.time(),
		Capturable: decimal.Max(decimal.Zero, p.capturable(r)), Refundable: decimal.Max(decimal.Zero, p.refundable(r)),
	}
}
