package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// The steps of a refund's operation keys.
const (
	stepVoid    = "void"
	stepRefund  = "refund"
	stepReverse = "reverse"
)

// PlanRefund finds the way that the payment's real state leaves for a refund, after what is unknown of the payment is resolved and what was
// done in the gateway's own console is taken over. A refund that has begun keeps its way. The plan's payment has as its CaptureID the capture
// that the money goes back of, the first one where there are several.
func (p *Payments) PlanRefund(ctx context.Context, in PlanRefundInput) (RefundPlan, error) {
	plan, err := p.planRefund(ctx, in)
	return plan, toTemporal(err)
}

func (p *Payments) planRefund(ctx context.Context, in PlanRefundInput) (RefundPlan, error) {
	if !in.Amount.Amount.IsPositive() {
		return RefundPlan{}, &fault.Fault{Kind: fault.Value, System: "tenderline", Code: journal.CodeAmountInvalid, Message: "the amount of a refund must be positive"}
	}
	begun, err := p.begun(ctx, in.OrderID, in.RefundID)
	if err != nil {
		return RefundPlan{}, err
	}
	if begun.way != "" {
		payment, err := p.payment(ctx, in.OrderID)
		if begun.of != "" && begun.way != WayReversal {
			payment.CaptureID = begun.of
		}
		return RefundPlan{Way: begun.way, Payment: payment}, err
	}
	if _, err := p.settled(ctx, in.OrderID); err != nil {
		return RefundPlan{}, err
	}
	payment, view, err := p.reconcile(ctx, in.OrderID)
	if err != nil {
		return RefundPlan{}, err
	}
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return RefundPlan{}, err
	}
	first, _ := oldest(captures)
	plan := RefundPlan{Way: WayNone, Payment: payment.Payment}
	switch {
	case view.crowded != "" && payment.Open:
		return RefundPlan{}, p.waitForRoom(view.crowded)
	case view.crowded != "":
		plan.Refused = view.crowded + ", beyond what can be paid back"
	default:
		plan.Way, plan.Refused, err = p.wayOf(ctx, payment, first, in.Amount, view.batched[first.ID] || begun.tooLate)
	}
	if plan.Way == WayVoid || plan.Way == WayRefund {
		plan.Payment.CaptureID = first.ID
	}
	return plan, err
}

// oldest is the capture that a refund takes from first: the oldest one that has room, else the oldest.
func oldest(captures []journal.Captured) (journal.Captured, bool) {
	for _, capture := range captures {
		if capture.Room().IsPositive() {
			return capture, true
		}
	}
	if len(captures) > 0 {
		return captures[0], true
	}
	return journal.Captured{}, false
}

// begunRefund is what a refund has done or tried before.
type begunRefund struct {
	way     RefundWay // which it is on already; "" for none
	of      string    // the transaction that it first goes against
	tooLate bool      // its void was refused
}

// begun reads from the journal which way a refund has taken. A void that was refused, or a refund that was given up, leaves it open.
func (p *Payments) begun(ctx context.Context, orderID, refundID string) (begunRefund, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return begunRefund{}, err
	}
	var b begunRefund
	for _, stored := range operations {
		if !strings.HasPrefix(stored.Key, refundKeys(orderID, refundID)) {
			continue
		}
		alive := stored.State == journal.OperationSucceeded || !stored.State.Final()
		switch way := wayBy(stored.Effect); {
		case !alive:
			b.tooLate = b.tooLate || way == WayVoid
		case way != "" && b.way != WayVoid: // the reversal after a void is part of it
			if b.way != way {
				b.of = stored.Related
			}
			b.way = way
		}
	}
	return b, nil
}

// wayBy is the way that an operation's effect is part of; "" for an ERP's, and for the time-out forms.
func wayBy(effect journal.Effect) RefundWay {
	switch effect {
	case journal.EffectReverse:
		return WayReversal
	case journal.EffectVoidCapture:
		return WayVoid
	case journal.EffectRefund:
		return WayRefund
	default:
		return ""
	}
}

// refundKeys begins all keys of a refund.
func refundKeys(orderID, refundID string) string { return "refund:" + orderID + "/" + refundID + ":" }

// wayOf decides by what is known; first is the capture that the refund takes from first. refused is "" where money goes back.
func (p *Payments) wayOf(ctx context.Context, payment journal.Payment, first journal.Captured, amount canonical.Money, tooLate bool) (way RefundWay, refused string, err error) {
	hold := held(payment)
	switch {
	case payment.Status == canonical.PaymentHeld:
		return WayNone, "the payment is under review: decide the case first", nil
	case payment.Currency != "" && payment.Currency != amount.Currency:
		return WayNone, fmt.Sprintf("the payment is in %s, not in %s", payment.Currency, amount.Currency), nil
	case payment.Captured.IsPositive() && amount.Amount.GreaterThan(payment.Refundable):
		refused, err = p.whyNot(ctx, payment, amount)
		return WayNone, refused, err
	case payment.Captured.IsPositive():
		whole := amount.Amount.Equal(first.Amount) && first.Room().Equal(first.Amount) && payment.ChargedBack.IsZero()
		if whole && !tooLate && payment.Status != canonical.PaymentSettled {
			return WayVoid, "", nil
		}
		return WayRefund, "", nil
	case hold.IsPositive() && payment.Capturable.Equal(hold) && amount.Amount.Equal(hold):
		return WayReversal, "", nil
	default:
		refused, err = p.whyNot(ctx, payment, amount)
		return WayNone, refused, err
	}
}

// whyNot says what has happened to the money that an amount is asked of, in one sentence.
func (p *Payments) whyNot(ctx context.Context, payment journal.Payment, amount canonical.Money) (string, error) {
	of := func(value decimal.Decimal) canonical.Money { return canonical.NewMoney(value, payment.Currency) }
	var happened []string
	tell := func(value decimal.Decimal, format string) {
		if value.IsPositive() {
			happened = append(happened, fmt.Sprintf(format, of(value)))
		}
	}
	if payment.Captured.IsPositive() {
		tell(payment.Refunded, "%s already refunded")
		tell(payment.ChargedBack, "%s charged back")
		tell(payment.Captured.Sub(payment.Refunded).Sub(payment.ChargedBack).Sub(payment.Refundable), "%s reserved by a refund or void that is still running")
		return fmt.Sprintf("%s asked, %s of the captured %s can be paid back%s", amount, of(payment.Refundable), of(payment.Captured), because(happened)), nil
	}
	voided, err := p.voidedOf(ctx, payment.OrderID)
	if err != nil {
		return "", err
	}
	tell(voided, "the capture of %s was voided")
	hold := held(payment)
	switch {
	case hold.IsPositive() && payment.Capturable.LessThan(hold):
		tell(hold.Sub(payment.Capturable), "%s of the authorization is reserved by a capture or reversal that is still running")
	case hold.IsPositive():
		tell(hold, "%s is authorized and not captured, and a hold is released as a whole")
	default:
		tell(payment.Reversed, "the authorization of %s was reversed")
	}
	return fmt.Sprintf("%s asked, nothing is captured%s", amount, because(happened)), nil
}

func because(happened []string) string {
	if len(happened) == 0 {
		return ""
	}
	return ": " + strings.Join(happened, ", ")
}

// voidedOf sums what of an order was captured and voided.
func (p *Payments) voidedOf(ctx context.Context, orderID string) (decimal.Decimal, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	total := decimal.Zero
	for _, stored := range operations {
		if stored.Effect == journal.EffectVoidCapture && stored.State == journal.OperationSucceeded {
			total = total.Add(stored.Amount.Amount)
		}
	}
	return total, err
}

// voidForRefund cancels a whole capture for a refund. It is too late only once the capture's own record says that nobody, here or in the
// console, has voided it.
func (p *Payments) voidForRefund(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	key, before, done, err := p.attemptOf(ctx, in, stepVoid)
	if done || err != nil {
		return before, err
	}
	payment, view, err := p.current(ctx, in, key)
	if err != nil {
		return Undone{}, err
	}
	target, found, err := p.toVoid(ctx, payment, key)
	switch {
	case err != nil:
		return Undone{}, err
	case !found:
		return p.voidedElsewhere(ctx, in, "")
	case target.Back.IsPositive():
		return Undone{Result: UndoTooLate, Payment: payment.Payment}, nil
	case view.crowded != "":
		return Undone{Result: UndoNothing, Why: view.crowded, Payment: payment.Payment}, nil // another plan
	case !in.Amount.IsZero() && !in.Amount.Equal(canonical.NewMoney(target.Amount, payment.Currency)):
		return Undone{ // the plan was for something else
			Result: UndoNothing, Payment: payment.Payment,
			Why: fmt.Sprintf("%s asked, %s is captured: a capture is voided as a whole", in.Amount, canonical.NewMoney(target.Amount, payment.Currency)),
		}, nil
	}
	op, err := voidOf(in, target, payment.Currency, key)
	if err != nil {
		return Undone{}, err
	}
	crowded := false
	op.fits = func(ctx context.Context) (bool, error) { // a void gives back what the console has refunded a second time
		_, view, err := p.reconcile(ctx, in.OrderID)
		crowded = view.crowded != "" && !view.voided[target.ID]
		return !crowded, err
	}
	outcome, err := p.follow(ctx, op, cybersource.Voided)
	switch {
	case forbidden(err):
		return p.voidedElsewhere(ctx, in, target.ID)
	case crowded && givenUp(err):
		payment, _, err := p.reconcile(ctx, in.OrderID)
		return Undone{Result: UndoNothing, Payment: payment.Payment}, err
	default:
		return p.refundStep(ctx, in, outcome, err)
	}
}

// toVoid is the capture that a refund's void cancels: the one it was begun for, else the oldest that has room.
func (p *Payments) toVoid(ctx context.Context, payment journal.Payment, key string) (journal.Captured, bool, error) {
	captures, err := p.Journal.Captures(ctx, payment.OrderID)
	if err != nil || len(captures) == 0 {
		return journal.Captured{}, false, err
	}
	begun, err := p.Journal.Operations().Get(ctx, key)
	if err == nil {
		return captureOf(begun, payment), true, nil
	}
	if !errors.Is(err, journal.ErrNotFound) {
		return journal.Captured{}, false, err
	}
	first, found := oldest(captures)
	return first, found, nil
}

// current gives the payment with what is unknown of it settled and, for a step that has not begun, what happened at the gateway since the
// plan taken over.
func (p *Payments) current(ctx context.Context, in UndoPaymentInput, key string) (journal.Payment, seen, error) {
	payment, err := p.settled(ctx, in.OrderID)
	if err != nil {
		return payment, seen{}, err
	}
	if _, err := p.Journal.Operations().Get(ctx, key); !errors.Is(err, journal.ErrNotFound) {
		return payment, seen{}, err
	}
	return p.reconcile(ctx, in.OrderID)
}

// voidedElsewhere tells whether a capture (""; whatever was captured) was voided by somebody else, or by us unseen; too late where the
// gateway has it as captured still.
func (p *Payments) voidedElsewhere(ctx context.Context, in UndoPaymentInput, target string) (Undone, error) {
	payment, view, err := p.reconcile(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	if slices.ContainsFunc(captures, func(c journal.Captured) bool { return target == "" || c.ID == target }) {
		return Undone{Result: UndoTooLate, Payment: payment.Payment}, p.stillOpen(payment, view)
	}
	void, found, err := p.lastDone(ctx, in.OrderID, journal.EffectVoidCapture, target)
	switch {
	case err != nil:
		return Undone{}, err
	case !found:
		return Undone{Result: UndoNothing, Payment: payment.Payment}, nil
	case adopted(void.Key):
		return Undone{Result: UndoDone, TransactionID: void.OutsideID, Payment: payment.Payment}, nil
	default:
		return p.refusedFor(ctx, in)
	}
}

// stillOpen: while a void found at the gateway has no room in the journal, nothing is too late.
func (p *Payments) stillOpen(payment journal.Payment, view seen) error {
	if view.crowded != "" && payment.Open {
		return p.waitForRoom(view.crowded)
	}
	return nil
}

// full takes over what happened at the gateway, and tells whether that leaves less than the refund asks for.
func (p *Payments) full(ctx context.Context, in UndoPaymentInput) (Undone, bool, error) {
	payment, view, err := p.reconcile(ctx, in.OrderID)
	switch {
	case err != nil:
		return Undone{}, false, err
	case view.crowded != "" && payment.Open:
		return Undone{}, false, p.waitForRoom(view.crowded)
	case view.crowded != "" || in.Amount.Amount.GreaterThan(payment.Refundable):
		refused, err := p.refusedFor(ctx, in)
		return refused, true, err
	default:
		return Undone{}, false, nil
	}
}

// givenUp tells that an operation is proven absent and closed.
func givenUp(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Conflict && f.System == "tenderline" && f.Code == codeAbsent
}

// reverseForRefund releases the whole hold, for a refund of what was never captured or after the refund's void. A hold of which more than the
// void has left is kept.
func (p *Payments) reverseForRefund(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	key, before, done, err := p.attemptOf(ctx, in, stepReverse)
	if done || err != nil {
		return before, err
	}
	payment, err := p.settled(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	begun, err := p.begun(ctx, in.OrderID, in.RefundID)
	if err != nil {
		return Undone{}, err
	}
	hold := canonical.NewMoney(held(payment), payment.Currency)
	switch {
	case !hold.Amount.IsPositive() && payment.Captured.IsPositive() && begun.way != WayVoid:
		return capturedMeanwhile(payment), nil
	case !hold.Amount.IsPositive():
		return p.releasedElsewhere(ctx, in, payment)
	case begun.way != WayVoid && !in.Amount.IsZero() && !in.Amount.Equal(hold):
		return p.refusedFor(ctx, in)
	}
	stored, err := p.Journal.Operations().Get(ctx, key)
	switch {
	case err == nil:
		hold = stored.Amount
	case !errors.Is(err, journal.ErrNotFound):
		return Undone{}, err
	case begun.way == WayVoid && in.Amount.Amount.IsPositive() && hold.Amount.GreaterThan(in.Amount.Amount):
		return keptForTheRest(payment), nil
	}
	op, err := reversalOf(in, payment, key, hold)
	if err != nil {
		return Undone{}, err
	}
	outcome, err := p.follow(ctx, op, cybersource.Reversed)
	switch {
	case begun.way == WayVoid && !alreadyReversed(err) && indivisible(err):
		return p.restOfVoid(ctx, in, payment, err)
	case forbidden(err):
		return p.reversalForbidden(ctx, in, err)
	case noRoom(err) && begun.way == WayVoid:
		// The money is back already; another process releases the hold, and how that ends is not known yet.
		return Undone{}, p.waitForRoom("the hold is being released")
	default:
		return p.refundStep(ctx, in, outcome, err)
	}
}

// keptForTheRest: the bank holds more than the void has left, for goods that have not gone out yet. A gateway may have released the voided part
// by itself, unseen; a release of ours beside it would be at the cost of those goods. The last shipment releases what is left of all.
func keptForTheRest(payment journal.Payment) Undone {
	return Undone{
		Result: UndoNothing, Payment: payment.Payment,
		Why: fmt.Sprintf("%s is held, some of it for goods that have not left: it is released after the last of them", canonical.NewMoney(held(payment), payment.Currency)),
	}
}

// restOfVoid is what becomes of a hold whose release the gateway refuses after a void.
func (p *Payments) restOfVoid(ctx context.Context, in UndoPaymentInput, before journal.Payment, refusal error) (Undone, error) {
	payment, _, err := p.reconcile(ctx, in.OrderID)
	switch {
	case err != nil:
		return Undone{}, err
	case !held(payment).IsPositive():
		return p.releasedElsewhere(ctx, in, payment)
	case payment.Captured.IsPositive() && before.Captured.IsPositive():
		return leftToTheBank(payment), nil
	default:
		return p.reversalForbidden(ctx, in, refusal)
	}
}

// releasedElsewhere names the reversal where the hold was gone before.
func (p *Payments) releasedElsewhere(ctx context.Context, in UndoPaymentInput, payment journal.Payment) (Undone, error) {
	undone := Undone{Result: UndoNothing, Payment: payment.Payment}
	reversal, found, err := p.lastDone(ctx, in.OrderID, journal.EffectReverse, "")
	if found && adopted(reversal.Key) {
		undone.Result, undone.TransactionID = UndoDone, reversal.OutsideID
	}
	return undone, err
}

// reversalForbidden: the hold was released or captured by somebody else. Where no record shows by whom, the bank let it go.
func (p *Payments) reversalForbidden(ctx context.Context, in UndoPaymentInput, refusal error) (Undone, error) {
	payment, _, err := p.reconcile(ctx, in.OrderID)
	switch {
	case err != nil:
		return Undone{}, err
	case payment.Captured.IsPositive():
		return capturedMeanwhile(payment), nil
	case !held(payment).IsPositive():
		return p.releasedElsewhere(ctx, in, payment)
	case alreadyReversed(refusal):
		return p.undone(ctx, in.OrderID, "", p.noteLapsed(ctx, in.OrderID))
	default:
		return Undone{}, refusal
	}
}

// capturedMeanwhile: there is no hold to release any more, and what was captured has to go back by another way.
func capturedMeanwhile(payment journal.Payment) Undone {
	return Undone{
		Result: UndoNothing, Payment: payment.Payment,
		Why: fmt.Sprintf("%s was captured meanwhile", canonical.NewMoney(payment.Captured, payment.Currency)),
	}
}

// attemptOf gives the key of a refund's step. One refund moves money once: where any attempt has done it, done tells so; while one is not
// known to have ended, that one is carried on, and no other is opened.
func (p *Payments) attemptOf(ctx context.Context, in UndoPaymentInput, step string) (key string, before Undone, done bool, err error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, in.OrderID)
	if err != nil {
		return "", Undone{}, false, err
	}
	key = refundKey(in.OrderID, in.RefundID, step, in.Attempt)
	for _, stored := range operations {
		switch {
		case wayBy(stored.Effect) == "" || !strings.HasPrefix(stored.Key, refundKeys(in.OrderID, in.RefundID)+step+":"):
		case stored.State == journal.OperationSucceeded:
			before, err = p.undone(ctx, in.OrderID, stored.OutsideID, nil)
			return key, before, true, err
		case !stored.State.Final():
			key = stored.Key
		}
	}
	return key, Undone{}, false, nil
}

// lastDone is the order's last operation of an effect that succeeded, of what followed on a transaction where one is named.
func (p *Payments) lastDone(ctx context.Context, orderID string, effect journal.Effect, of string) (last journal.Operation, found bool, err error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	for _, stored := range operations {
		follows := of == "" || stored.Related == "" || stored.Related == of
		if stored.Effect == effect && stored.State == journal.OperationSucceeded && follows {
			last, found = stored, true
		}
	}
	return last, found, err
}

// refundStep ends a step of a refund: a reservation that the journal refuses is an answer.
func (p *Payments) refundStep(ctx context.Context, in UndoPaymentInput, outcome cybersource.Outcome, err error) (Undone, error) {
	if noRoom(err) {
		undone, whyErr := p.refusedFor(ctx, in)
		if code := fault.As(err).Code; code == journal.CodePaymentHeld || code == journal.CodeCurrencyDiffers {
			undone.Why = fault.As(err).Message
		}
		return undone, whyErr
	}
	return p.undone(ctx, in.OrderID, outcome.ID, err)
}

// refusedFor says that nothing goes back, and why.
func (p *Payments) refusedFor(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if errors.Is(err, journal.ErrNotFound) {
		payment, err = journal.Payment{Payment: canonical.Payment{OrderID: in.OrderID, Status: canonical.PaymentNone, Currency: in.Amount.Currency}}, nil
	}
	if err != nil {
		return Undone{}, err
	}
	why, err := p.whyNot(ctx, payment, in.Amount)
	return Undone{Result: UndoRefused, Why: why, Payment: payment.Payment}, err
}
