package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// setUpdates registers what people and shops may ask of a running order.
func (o *order) setUpdates(ctx workflow.Context) error {
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateCancel,
		func(_ workflow.Context, r CancelRequest) (CancelAnswer, error) {
			o.wishCancel(r)
			return CancelAnswer{Status: o.view.Status}, nil
		},
		workflow.UpdateHandlerOptions{
			Validator: func(CancelRequest) error {
				if o.view.Status.Final() {
					return refuse(RefusedTooLate, "the order has ended: "+string(o.view.Status))
				}
				return nil
			},
			Description: "Wishes the order cancelled; honoured between steps",
		}); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateNewToken,
		func(_ workflow.Context, t NewToken) (NewTokenAnswer, error) {
			o.newToken = &t.Token
			return NewTokenAnswer{Attempt: o.tries + 1}, nil
		},
		workflow.UpdateHandlerOptions{
			Validator: func(NewToken) error {
				if !o.wantsToken || o.newToken != nil {
					return refuse(RefusedNotNow, "the order does not wait for another card: "+string(o.view.Status))
				}
				return nil
			},
			Description: "Gives another card after a decline",
		}); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdatePaymentOutcome,
		func(ctx workflow.Context) (OrderView, error) {
			err := workflow.Await(ctx, func() bool { return o.paymentKnown })
			return o.view, err
		},
		workflow.UpdateHandlerOptions{Description: "Answers once the payment's outcome is known"})
}

// wishCancel records the first wish; later ones change nothing.
func (o *order) wishCancel(r CancelRequest) {
	if o.cancel == nil {
		o.cancel = &r
	}
}

// cancelWish gives the wish as what it means for a step, or nil.
func (o *order) cancelWish() *undoWish {
	if o.cancel == nil {
		return nil
	}
	reason := "cancelled by " + o.cancel.Actor
	if o.cancel.Reason != "" {
		reason += ": " + o.cancel.Reason
	}
	return &undoWish{Step: "cancel", By: o.cancel.Actor, Reason: reason, Cancel: true}
}

// cancelled is the wish as an error, nil where there is none.
func (o *order) cancelled() error {
	if wish := o.cancelWish(); wish != nil {
		return wish
	}
	return nil
}

// early is a step before the authorization: it never waits past the life of a browser token, since the order could not be paid
// afterwards.
func (o *order) early(ctx workflow.Context, name string) step {
	s := o.late(name)
	if o.in.Order.Payment.Token.Type != canonical.TokenTransient || name == stepAuthorize {
		return s
	}
	expires := o.tokenExpires
	if expires.IsZero() {
		expires = workflow.GetInfo(ctx).WorkflowStartTime.Add(o.in.Policy.TokenLife)
	}
	s.deadline = min(s.deadline, max(expires.Sub(workflow.Now(ctx)), time.Second))
	return s
}

// late is a step after which money may have moved. What the ERP or a mapping refuses can be corrected; of a capture there is nothing to
// correct.
func (o *order) late(name string) step {
	s := step{
		name: name, actions: []ResolutionKind{ResolveRetry, ResolveCompensate},
		deadline: o.in.Policy.ParkDeadline, overdue: ResolveCompensate,
	}
	if name != stepCapture {
		s.correct = o.correct(name)
	}
	if name != stepCapture && name != stepAuthorize {
		s.suggest = o.suggest(name)
	}
	return s
}

// booked is an ERP step after the money moved, to which the failure policy applies.
func (o *order) booked(name string) step {
	s := o.late(name)
	s.atOnce = o.in.Policy.OnErpFailure == FailureCompensate
	return s
}

// undoing is a step that must be done in the end: its deadline tries again, and it hears no cancel wish. Only what moves no money and no
// goods can be skipped; in the ERP another posting date can be taken.
func (o *order) undoing(name string) step {
	s := step{name: name, actions: []ResolutionKind{ResolveRetry}, deadline: o.in.Policy.ParkDeadline, overdue: ResolveRetry, deaf: true}
	switch name {
	case tagStep:
		s.actions = append(s.actions, ResolveSkip)
	case undoReceipt, undoInvoice:
		s.correct = dateOnly(func(date string) { o.postingDate = date })
		s.suggest = o.suggest(name)
	}
	return s
}

// mark numbers the next write to the read model, with the status the order has after it.
func (o *order) mark(status canonical.OrderStatus) activities.Mark {
	o.seq++
	return activities.Mark{Seq: o.seq, Status: status}
}

func (o *order) markSame() activities.Mark { return o.mark("") }

// stage sets status and the sentence for people.
func (o *order) stage(status canonical.OrderStatus, sentence string) {
	if status != "" {
		o.view.Status = status
	}
	o.view.Stage = sentence
}

// show puts the sentence and the status where the Temporal UI shows them.
func (o *order) show(ctx workflow.Context, sentence string) {
	o.view.Stage = sentence
	workflow.SetCurrentDetails(ctx, sentence)
}

// publish puts the statuses where lists are filtered by them; the starter has set the ones at the start.
func (o *order) publish(ctx workflow.Context) {
	_ = workflow.UpsertTypedSearchAttributes(ctx,
		SearchOrderStatus.ValueSet(string(o.view.Status)), SearchPaymentStatus.ValueSet(string(o.view.PaymentStatus)))
}

// attention is called by the desk when a step parks or is resolved.
func (o *order) attention(ctx workflow.Context, needs bool, sentence string) {
	o.view.NeedsAttention = needs
	o.show(ctx, sentence)
	_ = workflow.UpsertTypedSearchAttributes(ctx, SearchNeedsAttention.ValueSet(needs), SearchOrderStatus.ValueSet(string(o.view.Status)))
}

// tell adds a line to the order's story; flush writes it.
func (o *order) tell(ctx workflow.Context, kind, summary string) {
	o.lines++
	o.events = append(o.events, activities.TimelineEvent{
		Key: fmt.Sprintf("%s/%d", kind, o.lines), At: workflow.Now(ctx).UTC(), Kind: kind, Summary: summary,
	})
}

// flush writes status, numbers and story into the read model. The workflow is the truth: a failure is logged and nothing waits for it.
func (o *order) flush(ctx workflow.Context) {
	in := activities.ProgressInput{
		OrderID: o.in.Order.OrderID, Mark: o.mark(o.view.Status), PaymentStatus: o.view.PaymentStatus, Reason: o.view.Reason,
		CustomerCode: o.view.CustomerCode, ErpOrderNumber: o.view.ErpOrderNumber, ErpInvoice: o.view.Invoice, Events: o.events,
	}
	o.events = nil
	if err := note(ledger(ctx, "Record: "+string(o.view.Status)), ledgerWork.RecordProgress, in); err != nil {
		o.log.Error("read model not written", "error", err)
	}
}

// callback tells the shop, by a workflow of its own that outlives this one.
func (o *order) callback(ctx workflow.Context, end ending) {
	if end.event == "" {
		return
	}
	o.told[end.event]++
	startCallback(ctx, o.log, o.in.Policy, activities.CallbackInput{
		ID: CallbackWorkflowID(o.in.Order.OrderID, end.event, o.told[end.event]), OrderID: o.in.Order.OrderID, Channel: o.in.Order.Channel,
		Event: string(end.event), At: workflow.Now(ctx).UTC(), Status: end.status, Payment: o.view.PaymentStatus, Reason: end.reason, Lines: end.lines,
		Data: map[string]string{"erpOrderNumber": o.view.ErpOrderNumber, "invoice": o.view.Invoice},
	})
}

// stockLines sums an order's lines by stock code, in the order in which they first appear.
func stockLines(in canonical.Order) []activities.StockLine {
	var lines []activities.StockLine
	at := map[string]int{}
	for _, line := range in.Lines {
		if i, seen := at[line.SKU]; seen {
			lines[i].Quantity = lines[i].Quantity.Add(line.Quantity)
			continue
		}
		at[line.SKU] = len(lines)
		lines = append(lines, activities.StockLine{StockCode: line.SKU, Quantity: line.Quantity})
	}
	return lines
}

// describe names short lines for people: "A100 (2 of 5)".
func describe(short []activities.Shortage) string {
	parts := make([]string, 0, len(short))
	for _, s := range short {
		parts = append(parts, s.StockCode+" ("+s.Available.String()+" of "+s.Wanted.String()+")")
	}
	return strings.Join(parts, ", ")
}

// date is the day on which the order's documents are posted.
func (o *order) date(ctx workflow.Context) string {
	if o.postingDate != "" {
		return o.postingDate
	}
	return businessDate(ctx)
}

// businessDate is today in UTC as the ERP writes dates.
func businessDate(ctx workflow.Context) string { return workflow.Now(ctx).UTC().Format(time.DateOnly) }
