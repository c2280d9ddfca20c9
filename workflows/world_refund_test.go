package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// refunds is the part of the world that money takes on its way back.
type refunds struct {
	operations map[string]*operation
	met        bool                       // others have come between
	reserved   decimal.Decimal            // by other requests that are under way
	back       map[string]decimal.Decimal // gone back to the buyer, by refund
	ways       map[string]activities.RefundWay
	memos      map[string]decimal.Decimal // credit memos in the ERP, by refund
	arBack     map[string]decimal.Decimal // paid back in AR, by refund
	tagged     string                     // payment status that the ERP shows
	left       bool                       // the goods have left: nothing is held any more
	progress   []activities.RefundProgressInput
	bookings   []activities.BookRefundInput
	holds      []activities.HoldSalesOrderInput
	taken      []activities.TakeRestInput
	parts      []activities.RefundPart // that the next refund goes back in
	credited   []activities.CreditedPart
	billing
	reads []canonical.OrderStatus // statuses that the read model shows one after the other; then its own
}

func newRefunds() refunds {
	return refunds{
		operations: map[string]*operation{}, back: map[string]decimal.Decimal{}, ways: map[string]activities.RefundWay{},
		memos: map[string]decimal.Decimal{}, arBack: map[string]decimal.Decimal{},
	}
}

// operation is what a journal keeps of one business attempt of a mutation outside.
type operation struct {
	done    bool
	answer  any
	refusal error
	unknown bool
}

// lostAnswer is a failure after the other side has done what was asked.
type lostAnswer struct{ error }

// lost makes a failure one that comes after the deed.
func lost(err error) error { return lostAnswer{err} }

// silent tells that a failure does not say what became of the call.
func silent(err error) bool {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return fault.Kind(application.Type()) == fault.UnknownOutcome
	}
	return true
}

// refusal tells that the other side has said no for good.
func refusal(err error) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && !fault.Kind(application.Type()).Retryable()
}

// operate carries a mutation out once for each attempt, as activities do: what is done is answered from the journal, what was refused stays
// refused, and a new attempt is opened only where the former one was refused.
func operate[O any](ctx context.Context, w *world, series string, attempt int, apply func() (O, error)) (O, error) {
	w.call(ctx)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var none O
	if former, tried := w.operations[fmt.Sprintf("%s:%d", series, attempt-1)]; attempt > 1 && (!tried || former.refusal == nil) {
		return none, w.impossible("%s: attempt %d, but the one before was not refused", series, attempt)
	}
	key := fmt.Sprintf("%s:%d", series, attempt)
	op, begun := w.operations[key]
	if !begun {
		op = &operation{}
		w.operations[key] = op
	}
	if op.refusal != nil {
		return none, op.refusal
	}
	err := w.failure(ctx)
	var late lostAnswer
	switch {
	case op.done && (err == nil || refusal(err)): // the look-up finds it
		answer, _ := op.answer.(O)
		return answer, nil
	case op.done:
		return none, unwrap(err)
	case errors.As(err, &late), err == nil:
		answer, problem := apply()
		if problem != nil {
			return none, problem
		}
		op.done, op.answer = changed(answer), answer
		if err != nil {
			return none, late.error
		}
		return answer, nil
	case refusal(err):
		op.refusal = err
	case silent(err):
		op.unknown = true
	}
	return none, err
}

// changed tells that an answer stands for a change: where there was nothing to do, nothing is kept.
func changed(answer any) bool {
	undone, money := answer.(activities.Undone)
	return !money || undone.Result == activities.UndoDone
}

func unwrap(err error) error {
	var late lostAnswer
	if errors.As(err, &late) {
		return late.error
	}
	return err
}

func series(orderID, refundID, step string) string {
	return "refund:" + orderID + "/" + refundID + ":" + step
}

// net is what of the order stays paid.
func (w *world) net() decimal.Decimal { return w.pay.Captured.Sub(w.pay.Refunded) }

// goBack notes money on its way to the buyer.
func (w *world) goBack(in activities.UndoPaymentInput, way activities.RefundWay, amount decimal.Decimal) error {
	if earlier, twice := w.back[in.RefundID]; twice {
		return w.impossible("refund %s: %s went back already", in.RefundID, earlier)
	}
	if !amount.Equal(in.Amount.Amount) {
		return w.impossible("refund %s of %s: %s would go back by %s", in.RefundID, in.Amount, amount, way)
	}
	w.back[in.RefundID], w.ways[in.RefundID] = amount, way
	return nil
}

func (w *world) undone(in activities.UndoPaymentInput, way string) activities.Undone {
	return activities.Undone{Result: activities.UndoDone, TransactionID: fmt.Sprintf("%s-%s-%d", way, in.RefundID, in.Attempt), Payment: w.pay}
}

func (w *world) voidFor(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	return operate(ctx, w, series(in.OrderID, in.RefundID, "void"), in.Attempt, func() (activities.Undone, error) {
		switch {
		case w.pay.Captured.IsZero():
			return activities.Undone{Result: activities.UndoNothing, Payment: w.pay}, nil
		case w.tooLate:
			return activities.Undone{Result: activities.UndoTooLate, Payment: w.pay}, nil
		case w.pay.Refunded.IsPositive() || w.reserved.IsPositive():
			return activities.Undone{Result: activities.UndoRefused, Why: "a part was refunded already", Payment: w.pay}, nil
		}
		if err := w.goBack(in, activities.WayVoid, w.pay.Captured); err != nil {
			return activities.Undone{}, err
		}
		w.hold, w.pay.Captured, w.pay.Status = w.pay.Captured, decimal.Zero, canonical.PaymentVoided
		return w.undone(in, "void"), nil
	})
}

func (w *world) refundFor(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	return operate(ctx, w, series(in.OrderID, in.RefundID, "refund"), in.Attempt, func() (activities.Undone, error) {
		switch left := w.net().Sub(w.reserved); {
		case w.pay.Captured.IsZero():
			return activities.Undone{Result: activities.UndoNothing, Payment: w.pay}, nil
		case in.Amount.Amount.GreaterThan(left):
			return activities.Undone{Result: activities.UndoRefused, Why: "only " + left.String() + " are left", Payment: w.pay}, nil
		}
		if err := w.goBack(in, activities.WayRefund, in.Amount.Amount); err != nil {
			return activities.Undone{}, err
		}
		w.pay.Refunded = w.pay.Refunded.Add(in.Amount.Amount)
		w.pay.Status = canonical.PaymentPartiallyRefunded
		if w.net().IsZero() {
			w.pay.Status = canonical.PaymentRefunded
		}
		undone := w.undone(in, "refund")
		undone.Parts = w.parts
		return undone, nil
	})
}

func (w *world) reverseFor(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	return operate(ctx, w, series(in.OrderID, in.RefundID, "reverse"), in.Attempt, func() (activities.Undone, error) {
		if w.hold.IsZero() {
			return activities.Undone{Result: activities.UndoNothing, Payment: w.pay}, nil
		}
		if w.ways[in.RefundID] != activities.WayVoid { // else it is what a void leaves
			if err := w.goBack(in, activities.WayReversal, w.hold); err != nil {
				return activities.Undone{}, err
			}
		}
		w.hold, w.pay.Status = decimal.Zero, canonical.PaymentReversed
		return w.undone(in, "reverse"), nil
	})
}

// PlanRefund reads the way from the payment's state.
func (f *fakePayments) PlanRefund(ctx context.Context, in activities.PlanRefundInput) (activities.RefundPlan, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.RefundPlan{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	plan := activities.RefundPlan{Payment: w.pay}
	left := w.net().Sub(w.reserved)
	switch {
	case w.pay.Captured.IsZero() && w.hold.Equal(in.Amount.Amount):
		plan.Way = activities.WayReversal
	case !w.tooLate && w.pay.Refunded.IsZero() && w.reserved.IsZero() && in.Amount.Amount.Equal(w.pay.Captured):
		plan.Way = activities.WayVoid
	case in.Amount.Amount.LessThanOrEqual(left):
		plan.Way = activities.WayRefund
	default:
		plan.Way, plan.Refused = activities.WayNone, "only "+left.String()+" are left to refund"
	}
	return plan, nil
}

func samePart(a, b activities.RefundPart) bool {
	return a.Amount.Equal(b.Amount) && a.TransactionID == b.TransactionID && a.CaptureID == b.CaptureID && a.Shipment == b.Shipment && a.Invoice == b.Invoice
}

// bookFor is one ERP step of a refund. Nothing is booked of money that has not gone back, nor of another amount or day than asked for.
func bookFor(ctx context.Context, w *world, step string, in activities.BookRefundInput, apply func() (activities.RefundBooked, error)) (activities.RefundBooked, error) {
	return operate(ctx, w, series(in.OrderID, in.RefundID, step), in.Attempt, func() (activities.RefundBooked, error) {
		w.bookings = append(w.bookings, in)
		switch back, moved := w.back[in.RefundID]; {
		case !moved:
			return activities.RefundBooked{}, w.impossible("%s of refund %s, but no money went back", step, in.RefundID)
		case !back.Equal(in.Amount.Amount) || w.ways[in.RefundID] != in.Way:
			return activities.RefundBooked{}, w.impossible("%s of %s by %s, but %s went back by %s", step, in.Amount, in.Way, back, w.ways[in.RefundID])
		case in.TransactionID == "" || in.Date == "" || in.CustomerCode == "":
			return activities.RefundBooked{}, w.impossible("%s without transaction, date or customer", step)
		case !slices.EqualFunc(in.Parts, w.parts, samePart) || in.PaymentStatus != w.pay.Status:
			return activities.RefundBooked{}, w.impossible("%s of parts %v of a payment that is %s", step, in.Parts, in.PaymentStatus)
		case !in.Remaining.Amount.Equal(w.net()) || in.Whole != w.net().IsZero():
			return activities.RefundBooked{}, w.impossible("%s says that %s stay paid, but %s do", step, in.Remaining, w.net())
		}
		return apply()
	})
}

func (f *fakeBooking) CreditRefund(ctx context.Context, in activities.BookRefundInput) (activities.RefundBooked, error) {
	return bookFor(ctx, f.w, "credit", in, func() (activities.RefundBooked, error) {
		if in.Invoice == "" || in.CreditMemo != "" {
			return activities.RefundBooked{Result: activities.UndoNothing}, nil
		}
		f.w.memos[in.RefundID] = in.Amount.Amount
		return activities.RefundBooked{Result: activities.UndoDone, Document: "C-" + in.RefundID, Credited: f.w.credited}, nil
	})
}

func (f *fakeBooking) PostRefund(ctx context.Context, in activities.BookRefundInput) (activities.RefundBooked, error) {
	return bookFor(ctx, f.w, "ar", in, func() (activities.RefundBooked, error) {
		if in.Way == activities.WayReversal {
			return activities.RefundBooked{Result: activities.UndoNothing}, nil // no receipt was ever posted
		}
		if !slices.Equal(in.Credited, f.w.credited) {
			return activities.RefundBooked{}, f.w.impossible("AR refund of what is credited as %v", in.Credited)
		}
		if in.CaptureID != "capture-1" {
			return activities.RefundBooked{}, f.w.impossible("AR refund of a receipt that is not the order's: %q", in.CaptureID)
		}
		f.w.arBack[in.RefundID] = in.Amount.Amount
		return activities.RefundBooked{Result: activities.UndoDone, Document: "AR-" + in.RefundID}, nil
	})
}

func (f *fakeBooking) TagRefund(ctx context.Context, in activities.BookRefundInput) error {
	_, err := bookFor(ctx, f.w, "tag", in, func() (activities.RefundBooked, error) {
		f.w.tagged = "partially refunded"
		if in.Whole {
			f.w.tagged = "refunded"
		}
		return activities.RefundBooked{Result: activities.UndoDone}, nil
	})
	return err
}

func (f *fakeBooking) CancelRefunded(ctx context.Context, in activities.BookRefundInput) (activities.RefundBooked, error) {
	return bookFor(ctx, f.w, "cancel", in, func() (activities.RefundBooked, error) {
		switch {
		case in.Invoice != "" || !in.Whole || in.SalesOrder == "":
			return activities.RefundBooked{}, f.w.impossible("cancel of a sales order that is invoiced or still paid")
		case f.w.order == "cancelled":
			return activities.RefundBooked{Result: activities.UndoNothing}, nil
		}
		f.w.order = "cancelled"
		return activities.RefundBooked{Result: activities.UndoDone, Document: in.SalesOrder}, nil
	})
}

func (f *fakeBooking) HoldSalesOrder(ctx context.Context, in activities.HoldSalesOrderInput) (activities.RefundBooked, error) {
	step := "hold"
	if in.Release {
		step = "release"
	}
	return operate(ctx, f.w, series(in.OrderID, "late", step), in.Attempt, func() (activities.RefundBooked, error) {
		f.w.holds = append(f.w.holds, in)
		switch {
		case in.SalesOrder != f.w.order:
			return activities.RefundBooked{}, f.w.impossible("hold of sales order %q", in.SalesOrder)
		case in.Release && !f.w.onHold:
			return activities.RefundBooked{}, f.w.impossible("release of what is not held")
		case f.w.left:
			return activities.RefundBooked{Result: activities.UndoTooLate, Document: "invoiced 200069"}, nil
		}
		f.w.onHold = !in.Release
		return activities.RefundBooked{Result: activities.UndoDone, Document: in.SalesOrder}, nil
	})
}

func (f *fakeLedger) ReadOrder(ctx context.Context, orderID string) (activities.OrderState, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.OrderState{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	state := activities.OrderState{
		Status: w.status[orderID], PaymentStatus: w.pay.Status, CustomerCode: "WEB", SalesOrder: w.order, Invoice: w.invoice, Payment: w.pay,
		Refundable: w.net().Sub(w.reserved),
	}
	if len(w.reads) > 0 {
		state.Status, w.reads = w.reads[0], w.reads[1:]
	}
	return state, nil
}

func (f *fakeLedger) TakeRest(ctx context.Context, in activities.TakeRestInput) (activities.TakenRest, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.TakenRest{}, err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.taken = append(w.taken, in)
	left := w.net().Sub(w.reserved)
	return activities.TakenRest{Taken: left.IsPositive(), Breakdown: canonical.RefundBreakdown{Net: left, Total: left}}, nil
}

// RecordRefund keeps the read model: a refund that has ended does not go on.
func (f *fakeLedger) RecordRefund(ctx context.Context, in activities.RefundProgressInput) error {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return err
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, earlier := range w.progress {
		if earlier.RefundID == in.RefundID && earlier.Status.Final() {
			return w.impossible("refund %s was %s already", in.RefundID, earlier.Status)
		}
	}
	w.progress = append(w.progress, in)
	if in.Mark.Status != "" {
		w.status[in.OrderID] = in.Mark.Status
	}
	return nil
}

// recorded are a refund's statuses in the read model.
func (w *world) recorded(refundID string) []canonical.RefundStatus {
	var statuses []canonical.RefundStatus
	for _, p := range w.progress {
		if p.RefundID == refundID {
			statuses = append(statuses, p.Status)
		}
	}
	return slices.Compact(statuses)
}

// paidWorld is one in which an order was confirmed: captured, invoiced, receipted.
func paidWorld() *world {
	w := newWorld()
	w.pay = canonical.Payment{
		OrderID: "WEB-10001", Currency: "USD", AuthorizationID: "auth-1", CaptureID: "capture-1", Authorized: amount("48.19"), Captured: amount("48.19"),
		Status: canonical.PaymentCaptured,
	}
	w.order, w.invoice, w.receipt = "015562", "200069", "capture-1"
	w.status["WEB-10001"] = canonical.OrderConfirmed
	return w
}

// settledWorld is one in which the capture has left with its batch.
func settledWorld() *world {
	w := paidWorld()
	w.tooLate = true
	return w
}

// authorizedWorld is one in which the order was confirmed, and is captured and invoiced when it is shipped.
func authorizedWorld() *world {
	w := paidWorld()
	w.pay.Captured, w.pay.CaptureID, w.pay.Status, w.hold = decimal.Zero, "", canonical.PaymentAuthorized, amount("48.19")
	w.invoice, w.receipt = "", ""
	return w
}

// refundInput is a refund of an amount of the order, asked for in the world as it is.
func (w *world) refundInput(refundID, total string) workflows.RefundInput {
	order := input()
	return workflows.RefundInput{
		RefundID: refundID, Order: order.Order, Breakdown: canonical.RefundBreakdown{Net: amount(total), Total: amount(total)}, Restock: true,
		Reason: "damaged", Actor: "shop:web-us", Origin: workflows.OriginShop, Erp: order.Erp, CustomerCode: "WEB", SalesOrder: w.order, Invoice: w.invoice,
		Policy: order.Policy,
	}
}

// payBack runs a refund to its end.
func payBack(t require.TestingT, env *testsuite.TestWorkflowEnvironment, in workflows.RefundInput) workflows.RefundView {
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.RefundWorkflowID(in.Order.OrderID, in.RefundID)})
	env.ExecuteWorkflow(workflows.Refund, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var view workflows.RefundView
	require.NoError(t, env.GetWorkflowResult(&view))
	return view
}

// requireAgreement holds the worlds of money, books and people against what a refund says it came to. What a person has skipped in the ERP is
// theirs to book.
func (w *world) requireAgreement(t require.TestingT, in workflows.RefundInput, view workflows.RefundView) {
	back, moved := w.back[in.RefundID]
	require.Empty(t, w.wrong)
	require.Empty(t, w.parked, "nothing waits after the end")
	require.False(t, view.NeedsAttention)
	require.False(t, w.pay.Refunded.GreaterThan(w.pay.Captured), "more refunded than captured")
	require.Equal(t, view.Status, w.progress[len(w.progress)-1].Status, "the read model has the end")
	if view.Status == canonical.RefundRefused {
		require.False(t, moved, "refused, but %s went back", back)
		require.NotEmpty(t, view.Why)
		require.NotContains(t, w.memos, in.RefundID)
		require.NotContains(t, w.arBack, in.RefundID)
		require.Equal(t, []string{"refund.refused"}, w.events())
		return
	}
	require.Equal(t, canonical.RefundCompleted, view.Status)
	require.True(t, moved, "completed, but nothing went back")
	require.True(t, back.Equal(in.Breakdown.Total))
	require.Equal(t, w.ways[in.RefundID], view.Way)
	require.NotEmpty(t, view.TransactionID)
	require.Equal(t, w.pay.Status, view.PaymentStatus)
	if view.Way != activities.WayRefund {
		require.True(t, w.hold.IsZero() && w.pay.Captured.IsZero(), "the bank still holds %s", w.hold)
	}
	skipped := w.skipped()
	if in.Invoice != "" && in.CreditMemo == "" && !skipped["credit-memo"] {
		require.True(t, w.memos[in.RefundID].Equal(back), "credit memo of %s for %s", w.memos[in.RefundID], back)
	}
	if view.Way != activities.WayReversal && !skipped["ar-refund"] {
		require.True(t, w.arBack[in.RefundID].Equal(back), "AR refund of %s for %s", w.arBack[in.RefundID], back)
	}
	if !skipped["payment-status"] {
		require.Equal(t, map[bool]string{true: "refunded", false: "partially refunded"}[w.net().IsZero()], w.tagged)
	}
	if in.Invoice == "" && w.net().IsZero() && !skipped["cancel-sales-order"] {
		require.Equal(t, "cancelled", w.order)
		require.Equal(t, canonical.OrderCancelled, w.status[in.Order.OrderID])
	}
	require.Equal(t, []string{"refund.completed"}, w.events())
}

// skipped are the steps that people left out.
func (w *world) skipped() map[string]bool {
	steps := map[string]bool{}
	for _, answer := range w.solved {
		for _, parking := range w.parkings {
			if parking.ID == answer.ID && answer.Resolution == string(workflows.ResolveSkip) {
				steps[parking.Step] = true
			}
		}
	}
	return steps
}
