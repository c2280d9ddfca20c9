package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Names of the steps after a late reject.
const (
	stepRead    = "read-order"
	stepRest    = "take-refund"
	stepHold    = "hold-sales-order"
	stepPropose = "late-reject"
	stepFree    = "release-sales-order"
)

// refundAfterReject is the ID of the refund that a late reject leads to: an order has at most one.
const refundAfterReject = "late-reject"

// lateReject is one run of LateReject.
type lateReject struct {
	in    LateRejectInput
	log   log.Logger
	desk  *desk
	state activities.OrderState
	held  bool
	notes int
}

// LateReject is for a reject that arrives after the order was accepted and its money taken: it holds the sales order that has not left,
// and proposes a refund to a person. It refunds nothing by itself. The result says what became of it.
func LateReject(ctx workflow.Context, in LateRejectInput) (string, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	l := &lateReject{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.OrderID)}
	var err error
	if l.desk, err = ownDesk(steady, in.OrderID); err != nil {
		return "", err
	}
	outcome, err := l.story(steady)
	if err != nil {
		return "", err
	}
	workflow.SetCurrentDetails(steady, outcome)
	return outcome, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

// story is the process, top to bottom.
func (l *lateReject) story(ctx workflow.Context) (string, error) {
	if err := l.awaitEnd(ctx, true); err != nil {
		return "", err
	}
	if !l.state.Refundable.IsPositive() {
		l.mark(ctx)
		return "Nothing to propose: the order is " + string(l.state.Status) + ", nothing of it is left to refund", nil
	}
	where := l.hold(ctx)
	l.note(ctx, activities.ReviewProposed, l.in.Actor, l.in.Comment)
	// The proposal does not wait for the marking, which may be parked itself.
	marking := workflow.NewWaitGroup(ctx)
	marking.Add(1)
	workflow.GoNamed(ctx, "mark-customer", func(ctx workflow.Context) {
		defer marking.Done()
		l.mark(ctx)
	})
	defer marking.Wait(ctx)
	proposal := l.proposal(where)
	answer, _ := l.desk.ask(ctx, step{name: stepPropose, actions: []ResolutionKind{ResolveCompensate, ResolveSkip}, deaf: true}, proposal)
	if answer.Kind == ResolveCompensate {
		return l.refund(ctx, answer)
	}
	l.free(ctx)
	l.note(ctx, activities.ReviewKept, answer.Actor, answer.Reason)
	return "Kept by " + answer.Actor, nil
}

// awaitEnd reads where the order stands, once its own process has ended: it may still be booking, and its compensation may make a proposal
// needless. That may take months: before anything is done (fresh), a run that has become long goes on as a new one.
func (l *lateReject) awaitEnd(ctx workflow.Context, fresh bool) error {
	const firstPause, lastPause = 2 * time.Second, 5 * time.Minute
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := l.desk.try(ctx, retried(stepRead), func(ctx workflow.Context, _ int) error {
			var err error
			l.state, err = read(ledger(ctx, "Read the order"), ledgerWork.ReadOrder, l.in.OrderID)
			return err
		})
		if err != nil || l.state.Status.Final() {
			return err
		}
		workflow.SetCurrentDetails(ctx, "Waiting for the order's own process; it is "+string(l.state.Status))
		if fresh && workflow.GetInfo(ctx).GetContinueAsNewSuggested() && waitsInNewRuns(ctx) {
			if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
				return err
			}
			return workflow.NewContinueAsNewError(ctx, LateReject, l.in)
		}
		if err := workflow.NewTimerWithOptions(ctx, pause, workflow.TimerOptions{Summary: "Wait for the order"}).Get(ctx, nil); err != nil {
			return err
		}
	}
}

// hold holds the sales order where it has not left, and says where it stands.
func (l *lateReject) hold(ctx workflow.Context) string {
	if l.state.SalesOrder == "" {
		return "there is no sales order"
	}
	var held activities.RefundBooked
	s := optional(stepHold, l.in.Policy.ParkDeadline, ResolveSkip)
	_ = l.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		var err error
		held, err = run(booking(ctx, l.in.Erp, l.in.Policy, "Hold the sales order"), erpWork.HoldSalesOrder, l.holdInput(attempt))
		return err
	})
	switch held.Result {
	case activities.UndoDone:
		l.held = true
		return "sales order " + l.state.SalesOrder + " is on hold"
	case activities.UndoTooLate:
		return "sales order " + l.state.SalesOrder + " can't be held any more: " + held.Document
	default:
		return "sales order " + l.state.SalesOrder + " was not held"
	}
}

func (l *lateReject) holdInput(attempt int) activities.HoldSalesOrderInput {
	return activities.HoldSalesOrderInput{OrderID: l.in.OrderID, SalesOrder: l.state.SalesOrder, Reason: "rejected in fraud review", Attempt: attempt}
}

// free releases what was held.
func (l *lateReject) free(ctx workflow.Context) {
	if !l.held {
		return
	}
	s := optional(stepFree, l.in.Policy.ParkDeadline, ResolveRetry)
	_ = l.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		in := l.holdInput(attempt)
		in.Release = true
		_, err := run(booking(ctx, l.in.Erp, l.in.Policy, "Release the sales order"), erpWork.HoldSalesOrder, in)
		return err
	})
}

// proposal is what the person reads who decides.
func (l *lateReject) proposal(where string) error {
	amount := canonical.NewMoney(l.state.Refundable, l.in.Order.Currency)
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("rejected by %s (%s) after the money was taken; %s. Refund %s (compensate), or keep the order (skip)", l.in.Actor, l.in.Source, where, amount),
		string(fault.DeclinedByPolicy), nil, activities.FaultDetail{System: "tenderline", Code: "LATE_REJECT"})
}

// refund starts a refund of all that is left.
func (l *lateReject) refund(ctx workflow.Context, answer Resolution) (string, error) {
	var taken activities.TakenRest
	err := l.desk.try(ctx, retried(stepRest), func(ctx workflow.Context, _ int) error {
		var err error
		taken, err = read(ledger(ctx, "Record the refund"), ledgerWork.TakeRest, activities.TakeRestInput{
			Order: l.in.Order, RefundID: refundAfterReject, Origin: string(OriginReview), Actor: answer.Actor, Reason: "rejected in fraud review", Restock: l.held,
		})
		return err
	})
	if err != nil {
		return "", err
	}
	if !taken.Taken {
		return "Nothing is left to refund", nil
	}
	if err := l.awaitEnd(ctx, false); err != nil { // people take their time: the order may have been invoiced meanwhile
		return "", err
	}
	err = startRefund(ctx, RefundInput{
		RefundID: refundAfterReject, Order: l.in.Order, Breakdown: taken.Breakdown, Restock: l.held, Reason: "rejected in fraud review",
		Actor: answer.Actor, Origin: OriginReview, Erp: l.in.Erp, Site: l.in.Site, CustomerCode: l.state.CustomerCode,
		SalesOrder: l.state.SalesOrder, Invoice: l.state.Invoice, Policy: l.in.Policy,
	})
	if err != nil {
		return "", err
	}
	l.note(ctx, activities.ReviewRefunding, answer.Actor, answer.Reason)
	return "Refund " + refundAfterReject + " started by " + answer.Actor, nil
}

// mark marks the customer where the reject says so.
func (l *lateReject) mark(ctx workflow.Context) {
	if l.in.Mark {
		markCustomer(ctx, l.desk, l.in.Policy, activities.MarkCustomerInput{
			OrderID: l.in.OrderID, PaymentID: l.state.Payment.AuthorizationID, Notes: l.in.Comment, Actor: l.in.Actor,
		})
	}
}

// note writes into the review's record.
func (l *lateReject) note(ctx workflow.Context, what activities.ReviewNote, actor, comment string) {
	l.notes++
	in := activities.NoteReviewInput{
		OrderID: l.in.OrderID, Note: what, Key: fmt.Sprintf("late-reject/%d", l.notes), At: workflow.Now(ctx).UTC(), Decision: canonical.FraudReject,
		Actor: actor, Source: string(l.in.Source), Comment: comment,
	}
	if what == activities.ReviewProposed { // what follows is the answer of a person to that
		in.EventID = l.in.EventID
	}
	if err := note(ledger(ctx, "Review: "+string(what)), ledgerWork.NoteReview, in); err != nil {
		l.log.Error("review not written", "note", what, "error", err)
	}
}
