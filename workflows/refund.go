package workflows

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// Names of a refund's steps.
const (
	stepPlan     = "plan-refund"
	stepPayBack  = "pay-back"
	stepRelease  = "release-hold"
	stepMemo     = "credit-memo"
	stepArRefund = "ar-refund"
	stepTag      = "payment-status"
	stepCancel   = "cancel-sales-order"
)

// refund is one run of Refund.
type refund struct {
	in        RefundInput
	log       log.Logger
	desk      *desk
	view      RefundView
	cancelled bool // wished from outside, before money moved
	moved     bool // money went back, or may have
	captureID string
	parts     []activities.RefundPart   // what went back of each capture
	credited  []activities.CreditedPart // and what of that is credited, of which credit memo
	payment   canonical.Payment
	attempts  map[activities.RefundWay]int
	date      string // a person's posting date; "": the day's
}

// Refund pays back a part of an order, or all of it: by reversal, void or follow-on refund, as the payment's real state allows, then in
// the ERP, and tells the shop. It promises: what was refused has moved no money; what has moved money is booked, however long that takes;
// nothing is paid back twice.
func Refund(ctx workflow.Context, in RefundInput) (RefundView, error) {
	// Money steps are never interrupted: a cancellation from outside is a wish, honoured before money has moved.
	steady, _ := workflow.NewDisconnectedContext(ctx)
	r := &refund{
		in: in, log: log.With(workflow.GetLogger(ctx), "order", in.Order.OrderID, "refund", in.RefundID), attempts: map[activities.RefundWay]int{},
		view: RefundView{
			RefundID: in.RefundID, OrderID: in.Order.OrderID, Status: canonical.RefundReceived, Amount: in.Order.Money(in.Breakdown.Total), Stage: "Taken in",
		},
	}
	if err := r.setup(ctx, steady); err != nil {
		return r.view, err
	}
	r.story(steady)
	return r.view, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

func (r *refund) setup(root, steady workflow.Context) error {
	var err error
	r.desk, err = newDesk(steady, desk{
		orderID: r.in.Order.OrderID, interrupted: r.cancelWish, changed: r.attention,
		mark: func() activities.Mark { return activities.Mark{} },
	})
	if err != nil {
		return err
	}
	workflow.GoNamed(steady, "watch-cancellation", func(ctx workflow.Context) {
		root.Done().Receive(ctx, nil)
		r.cancelled = true
	})
	return workflow.SetQueryHandlerWithOptions(steady, QueryRefund, func() (RefundView, error) { return r.view, nil },
		workflow.QueryHandlerOptions{Description: "Where the refund stands"})
}

// cancelWish is the wish to give the refund up, until money may have moved.
func (r *refund) cancelWish() *undoWish {
	if !r.cancelled || r.moved {
		return nil
	}
	return &undoWish{Step: "cancel", By: "temporal", Reason: "the run was cancelled before money moved", Cancel: true}
}

// story is the process, top to bottom.
func (r *refund) story(ctx workflow.Context) {
	if why := r.payBack(ctx); why != "" {
		r.refuse(ctx, why)
		return
	}
	r.view.Status = canonical.RefundBooking
	r.show(ctx, fmt.Sprintf("%s: %s on its way back; booking in the ERP", r.view.Way, r.view.Amount))
	r.record(ctx, activities.Mark{}, r.event(ctx, "paid-back", fmt.Sprintf("%s of %s at the gateway", r.view.Way, r.view.Amount)))
	r.book(ctx)
	r.complete(ctx)
}

// payBack moves the money by the way that the payment's state leaves. The state may change between the plan and the step: it is then
// planned anew. It answers with why nothing went back, or "".
func (r *refund) payBack(ctx workflow.Context) string {
	const plans = 5
	for range plans {
		plan, err := r.plan(ctx)
		if err != nil {
			return givenUp(err)
		}
		if plan.Way == activities.WayNone {
			return plan.Refused
		}
		r.view.Way, r.captureID = plan.Way, plan.Payment.CaptureID
		undone, err := r.move(ctx)
		switch {
		case err != nil:
			return givenUp(err)
		case undone.Result == activities.UndoRefused:
			return undone.Why
		case undone.Result == activities.UndoDone:
			r.view.TransactionID, r.parts = undone.TransactionID, undone.Parts
			r.took(undone)
			return r.release(ctx)
		}
		r.moved = false // nothing was there to move: it may be given up again
	}
	return "the payment's state changes faster than the refund can follow; ask for it again"
}

// givenUp is why a refund was given up.
func givenUp(err error) string {
	if wish, ok := err.(*undoWish); ok { //nolint:errorlint // try gives nothing else
		return wish.Reason
	}
	return messageOf(err)
}

// plan asks how the money can go back.
func (r *refund) plan(ctx workflow.Context) (activities.RefundPlan, error) {
	var plan activities.RefundPlan
	r.view.Status = canonical.RefundPaying
	r.show(ctx, "Finding out how the money can go back")
	err := r.desk.try(ctx, r.beforeMoney(stepPlan), func(ctx workflow.Context, _ int) error {
		var err error
		plan, err = run(gateway(ctx, r.in.Policy, "Plan the refund of "+r.view.Amount.String()), payments.PlanRefund, activities.PlanRefundInput{
			OrderID: r.in.Order.OrderID, RefundID: r.in.RefundID, Amount: r.view.Amount,
		})
		return err
	})
	return plan, err
}

// move carries out the planned way. A void that comes too late, which only a look-up at the gateway proves, becomes a refund.
func (r *refund) move(ctx workflow.Context) (activities.Undone, error) {
	undone, err := r.moveBy(ctx)
	if err == nil && undone.Result == activities.UndoTooLate {
		r.view.Way = activities.WayRefund
		undone, err = r.moveBy(ctx)
	}
	return undone, err
}

func (r *refund) moveBy(ctx workflow.Context) (activities.Undone, error) {
	activity, summary := payments.RefundCapture, "Refund "
	if r.view.Way == activities.WayVoid {
		activity, summary = payments.VoidCapture, "Void "
	}
	if r.view.Way == activities.WayReversal {
		activity, summary = payments.ReverseAuthorization, "Reverse "
	}
	if wish := r.cancelWish(); wish != nil {
		return activities.Undone{}, wish
	}
	r.show(ctx, summary+r.view.Amount.String())
	r.moved = true
	var undone activities.Undone
	err := r.desk.try(ctx, r.withMoney(stepPayBack), func(ctx workflow.Context, _ int) error {
		in := r.undoInput(r.view.Way)
		var err error
		undone, err = run(gateway(ctx, r.in.Policy, summary+r.view.Amount.String()), activity, in)
		if err != nil && refused(err) {
			r.attempts[r.view.Way]++
		}
		return err
	})
	return undone, err
}

func (r *refund) undoInput(way activities.RefundWay) activities.UndoPaymentInput {
	reason := r.in.Reason
	if reason == "" {
		reason = "refund"
	}
	return activities.UndoPaymentInput{
		OrderID: r.in.Order.OrderID, RefundID: r.in.RefundID, Amount: r.view.Amount, Attempt: r.attempts[way] + 1, Reason: reason,
	}
}

func (r *refund) took(undone activities.Undone) {
	r.payment, r.view.PaymentStatus = undone.Payment, undone.Payment.Status
}

// release lets go of the hold that a voided capture leaves in place.
func (r *refund) release(ctx workflow.Context) string {
	if r.view.Way != activities.WayVoid {
		return ""
	}
	_ = r.desk.try(ctx, r.withMoney(stepRelease), func(ctx workflow.Context, _ int) error {
		undone, err := run(gateway(ctx, r.in.Policy, "Release the hold that the void leaves"), payments.ReverseAuthorization, r.undoInput(activities.WayReversal))
		switch {
		case err == nil:
			r.took(undone)
		case refused(err):
			r.attempts[activities.WayReversal]++ // one count for all reversals: a former plan may have tried one
		}
		return err
	})
	return ""
}

// book brings the ERP to what the gateway did. The money has moved: nothing but a person's word leaves a step out.
func (r *refund) book(ctx workflow.Context) {
	booked := func(step, summary string, activity func(context.Context, activities.BookRefundInput) (activities.RefundBooked, error)) activities.RefundBooked {
		var out activities.RefundBooked
		_ = r.desk.try(ctx, r.inErp(step), func(ctx workflow.Context, attempt int) error {
			var err error
			out, err = run(booking(ctx, r.in.Erp, r.in.Policy, summary), activity, r.bookInput(ctx, attempt))
			return err
		})
		return out
	}
	memo := booked(stepMemo, "Credit the invoice", erpWork.CreditRefund)
	if r.credited = memo.Credited; memo.Document != "" {
		r.view.CreditMemo = memo.Document
	}
	r.view.ErpRefund = booked(stepArRefund, "Book the refund in AR", erpWork.PostRefund).Document
	r.record(ctx, activities.Mark{}, r.event(ctx, "booked", "Booked in the ERP: "+r.documents()))
	_ = r.desk.try(ctx, r.inErp(stepTag), func(ctx workflow.Context, attempt int) error {
		return do(booking(ctx, r.in.Erp, r.in.Policy, "Show the refund in the ERP"), erpWork.TagRefund, r.bookInput(ctx, attempt))
	})
	if r.whole() && r.in.Invoice == "" && r.in.SalesOrder != "" {
		if booked(stepCancel, "Cancel the sales order", erpWork.CancelRefunded).Result == activities.UndoDone {
			r.record(ctx, activities.Mark{Seq: workflow.Now(ctx).UnixMicro(), Status: canonical.OrderCancelled}, r.event(ctx, "cancelled", "Sales order cancelled"))
		}
	}
}

// whole tells that nothing of the order stays paid.
func (r *refund) whole() bool { return !r.payment.Captured.Sub(r.payment.Refunded).IsPositive() }

func (r *refund) documents() string {
	switch {
	case r.view.CreditMemo != "" && r.view.ErpRefund != "":
		return "credit memo " + r.view.CreditMemo + ", " + r.view.ErpRefund
	case r.view.CreditMemo+r.view.ErpRefund != "":
		return r.view.CreditMemo + r.view.ErpRefund
	default:
		return "nothing to book"
	}
}

func (r *refund) bookInput(ctx workflow.Context, attempt int) activities.BookRefundInput {
	date := r.date
	if date == "" {
		date = businessDate(ctx)
	}
	memo := r.view.CreditMemo
	if memo == "" {
		memo = r.in.CreditMemo
	}
	return activities.BookRefundInput{
		OrderID: r.in.Order.OrderID, RefundID: r.in.RefundID, Attempt: attempt, Way: r.view.Way, TransactionID: r.view.TransactionID,
		CaptureID: r.captureID, Amount: r.view.Amount, Breakdown: r.in.Breakdown, Whole: r.whole(),
		Remaining: r.in.Order.Money(r.payment.Captured.Sub(r.payment.Refunded)), Reason: r.in.Reason, Restock: r.in.Restock, CreditMemo: memo,
		Order: r.in.Order, Site: r.in.Site, CustomerCode: r.in.CustomerCode, SalesOrder: r.in.SalesOrder, Invoice: r.in.Invoice, Date: date,
		Parts: r.parts, Credited: r.credited, PaymentStatus: r.view.PaymentStatus,
	}
}

// beforeMoney is a step before money moves: it may be given up.
func (r *refund) beforeMoney(name string) step {
	return step{name: name, actions: []ResolutionKind{ResolveRetry, ResolveCompensate}, deadline: r.in.Policy.ParkDeadline, overdue: ResolveRetry}
}

// withMoney is a step that moves money: it may be given up only where the gateway has refused it.
func (r *refund) withMoney(name string) step {
	s := r.beforeMoney(name)
	s.sure = name == stepPayBack
	s.deaf = true
	if !s.sure {
		s.actions = []ResolutionKind{ResolveRetry}
	}
	return s
}

// inErp is a step in the ERP after the money moved. It can be posted on another date, or be left to finance, who book it by hand.
func (r *refund) inErp(name string) step {
	s := posting(name, r.in.Policy.ParkDeadline, func(date string) { r.date = date })
	s.suggest = func(ctx workflow.Context, cause error) ([]activities.Fix, error) {
		return suggestFixes(ctx, r.in.Erp, r.in.Policy, cause, activities.SuggestFixInput{
			OrderID: r.in.Order.OrderID, Step: name, Order: r.in.Order, CustomerCode: r.in.CustomerCode, Site: r.in.Site, Date: r.bookInput(ctx, 1).Date,
		})
	}
	return s
}

// refuse ends the refund without money moved.
func (r *refund) refuse(ctx workflow.Context, why string) {
	r.view.Status, r.view.Way, r.view.Why = canonical.RefundRefused, activities.WayNone, why
	r.show(ctx, "Refused: "+why)
	r.record(ctx, activities.Mark{}, r.event(ctx, "refused", "Refund refused: "+why))
	r.publish(ctx)
	r.callback(ctx, EventRefundRefused)
}

// complete ends the refund.
func (r *refund) complete(ctx workflow.Context) {
	r.view.Status = canonical.RefundCompleted
	r.show(ctx, fmt.Sprintf("Completed: %s of %s", r.view.Way, r.view.Amount))
	r.record(ctx, activities.Mark{}, r.event(ctx, "completed", fmt.Sprintf("Refund %s completed: %s of %s", r.in.RefundID, r.view.Way, r.view.Amount)))
	r.publish(ctx)
	r.callback(ctx, EventRefunded)
}

// event is a line of the order's story.
func (r *refund) event(ctx workflow.Context, what, summary string) activities.TimelineEvent {
	return activities.TimelineEvent{
		Key: "refund/" + r.in.RefundID + "/" + what, At: workflow.Now(ctx).UTC(), Kind: "refund." + what, Summary: summary, Actor: r.in.Actor,
		Detail: map[string]string{"refundId": r.in.RefundID, "transactionId": r.view.TransactionID},
	}
}

// record writes the refund's read model. The workflow is the truth: a failure is logged and nothing waits for it.
func (r *refund) record(ctx workflow.Context, mark activities.Mark, events ...activities.TimelineEvent) {
	in := activities.RefundProgressInput{
		OrderID: r.in.Order.OrderID, RefundID: r.in.RefundID, Status: r.view.Status, Way: r.view.Way, TransactionID: r.view.TransactionID,
		CreditMemo: r.view.CreditMemo, ErpRefund: r.view.ErpRefund, Why: r.view.Why, Mark: mark, Events: events,
	}
	if err := note(ledger(ctx, "Record: "+string(r.view.Status)), ledgerWork.RecordRefund, in); err != nil {
		r.log.Error("read model not written", "error", err)
	}
}

// show puts the sentence where the Temporal UI shows it.
func (r *refund) show(ctx workflow.Context, sentence string) {
	r.view.Stage = sentence
	workflow.SetCurrentDetails(ctx, sentence)
}

func (r *refund) publish(ctx workflow.Context) {
	if r.view.PaymentStatus != "" {
		_ = workflow.UpsertTypedSearchAttributes(ctx, SearchPaymentStatus.ValueSet(string(r.view.PaymentStatus)))
	}
}

// attention is called by the desk when a step parks or is resolved.
func (r *refund) attention(ctx workflow.Context, needs bool, sentence string) {
	r.view.NeedsAttention = needs
	r.show(ctx, sentence)
	_ = workflow.UpsertTypedSearchAttributes(ctx, SearchNeedsAttention.ValueSet(needs))
}

// callback tells the shop, by a workflow of its own that outlives this one.
func (r *refund) callback(ctx workflow.Context, event CallbackEvent) {
	order := r.in.Order
	startCallback(ctx, r.log, r.in.Policy, activities.CallbackInput{
		ID: CallbackWorkflowID(order.OrderID, event+"/"+CallbackEvent(r.in.RefundID), 1), OrderID: order.OrderID, Channel: order.Channel,
		Event: string(event), At: workflow.Now(ctx).UTC(), Payment: r.view.PaymentStatus, Reason: r.view.Why,
		Refund: &activities.RefundNotice{RefundID: r.in.RefundID, Amount: r.view.Amount, Way: r.view.Way, Reason: r.in.Reason},
	})
}

// startRefund starts a refund that goes on without its parent.
func startRefund(ctx workflow.Context, in RefundInput) error {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        RefundWorkflowID(in.Order.OrderID, in.RefundID),
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     "Refund " + in.RefundID + " of order " + in.Order.OrderID,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchOrderID.ValueSet(in.Order.OrderID), SearchErp.ValueSet(in.Erp), SearchNeedsAttention.ValueSet(false)),
	})
	err := workflow.ExecuteChildWorkflow(ctx, Refund, in).GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return err
}
