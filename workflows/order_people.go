package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// correct takes an operator's correction of a step: the order and its documents are validated and mapped anew before it counts, and the
// journal keeps what was posted.
func (o *order) correct(name string) func(workflow.Context, Resolution) error {
	return func(ctx workflow.Context, r Resolution) error {
		out, err := read(ledger(ctx, "Correct the order for "+name), orderWork.CorrectOrder, activities.CorrectOrderInput{
			AttentionID: r.ID, Step: name, Actor: r.Actor, Reason: r.Reason, Correction: *r.Correction,
			Order: o.in.Order, Documents: o.documents, Erp: o.in.Erp, Site: o.in.Site,
		})
		if err != nil {
			return err
		}
		// The token is not in what was corrected: a card may have been given since the order was taken in.
		token := o.in.Order.Payment.Token
		if out.Order.Customer.ErpCode != o.in.Order.Customer.ErpCode && o.bookable != nil {
			o.bookable = nil // another customer: the ERP is asked again
			o.desk.attempts[stepCheck]++
		}
		o.in.Order, o.documents = out.Order, out.Documents
		o.in.Order.Payment.Token = token
		if r.Correction.Date != "" {
			o.postingDate = r.Correction.Date
		}
		o.tell(ctx, "corrected", fmt.Sprintf("Corrected for %s by %s", name, r.Actor))
		return nil
	}
}

// recheck asks the ERP about customer and stock once more, where a correction has named another customer.
func (o *order) recheck(ctx workflow.Context) error {
	if o.bookable != nil {
		return nil
	}
	var answer activities.Bookable
	err := o.startCheck(ctx, o.desk.attempt(stepCheck)).Get(ctx, &answer)
	if err == nil {
		err = o.judge(ctx, answer)
	}
	if err != nil && refused(err) {
		o.desk.attempts[stepCheck]++ // it is asked about anew, maybe about yet another customer
	}
	return err
}

// suggest asks the ERP what may mend a step that it refused; what is not the ERP's answer it can't tell.
func (o *order) suggest(name string) func(workflow.Context, error) ([]activities.Fix, error) {
	return func(ctx workflow.Context, cause error) ([]activities.Fix, error) {
		return suggestFixes(ctx, o.in.Erp, o.in.Policy, cause, activities.SuggestFixInput{
			OrderID: o.in.Order.OrderID, Step: name, Order: o.in.Order, CustomerCode: o.view.CustomerCode, Site: o.in.Site, Date: o.date(ctx),
		})
	}
}

// suggestFixes asks an ERP what may mend its refusal.
func suggestFixes(ctx workflow.Context, erp string, policy Policy, cause error, in activities.SuggestFixInput) ([]activities.Fix, error) {
	in.Class, in.Answer = kindOf(cause), detailOf(cause)
	if in.Answer == nil && in.Class != fault.DeclinedByPolicy {
		return nil, nil
	}
	out, err := run(question(ctx, TaskQueueErp(erp), policy, "Ask the ERP what may mend "+in.Step), erpWork.SuggestFix, in)
	return out.Fixes, err
}

// codeAuthorizationExpired marks an authorization that ran out while people decided.
const codeAuthorizationExpired = "AUTHORIZATION_EXPIRED"

// renewed puts another authorization in the place of one that ran out during the review; again tells that it is to be asked for. It is
// renewed by itself only with a stored credential and consent. Else a person decides: another card, the old authorization as it stands (by
// the answer skip), or none. It is never captured blindly.
func (o *order) renewed(ctx workflow.Context) (end *ending, again bool) {
	if !o.ranOut(ctx) {
		return nil, false
	}
	if token, stored := o.storedCredential(); stored {
		o.tell(ctx, "renewal", "The authorization ran out during the review; it is renewed with the stored credential")
		o.in.Order.Payment.Token, o.renewal = token, true
		o.money.unwind(ctx, o.desk, o.undoing)
		return nil, true
	}
	o.wantsToken = true
	defer func() { o.wantsToken = false }()
	age := workflow.Now(ctx).Sub(o.authorizedAt).Round(time.Hour)
	actions, cause := []ResolutionKind{ResolveSkip, ResolveCompensate}, expired(age)
	if o.released() {
		actions, cause = []ResolutionKind{ResolveCompensate}, letGo()
	}
	answer, cancel := o.desk.ask(ctx, step{
		name: stepRenew, actions: actions, deadline: o.in.Policy.ParkDeadline, overdue: ResolveCompensate,
		mended: func() (string, bool) { return "shop", o.newToken != nil },
	}, cause)
	switch {
	case cancel != nil:
		return o.undone(ctx, cancel), false
	case answer.Kind == ResolveSkip:
		o.tell(ctx, "renewal", "The old authorization is captured as it stands: "+answer.Actor)
		return nil, false
	case answer.Kind == ResolveCompensate:
		return o.undone(ctx, given(step{name: stepRenew}, answer, cause)), false
	}
	o.money.unwind(ctx, o.desk, o.undoing)
	o.takeToken()
	o.skipReview = false // another card is screened anew
	return nil, true
}

// ranOut tells that the bank has released what it held while people decided, or may have.
func (o *order) ranOut(ctx workflow.Context) bool {
	if o.released() {
		return true
	}
	life := o.in.Policy.AuthorizationLife
	return life > 0 && o.view.PaymentStatus == canonical.PaymentAuthorized && workflow.Now(ctx).Sub(o.authorizedAt) >= life
}

// released tells that the gateway knows the authorization as reversed: there is nothing left to capture.
func (o *order) released() bool { return o.view.PaymentStatus == canonical.PaymentReversed }

// storedCredential is what the buyer has consented to be charged again: the card saved with this order, or, where the channel's terms say
// so, the stored one it was paid with.
func (o *order) storedCredential() (canonical.Token, bool) {
	payment := o.in.Order.Payment
	switch {
	case payment.SaveCard && o.view.Payment.CustomerToken != "":
		return canonical.Token{Type: canonical.TokenCustomer, Value: o.view.Payment.CustomerToken}, true
	case o.in.Policy.RenewStoredCredential && payment.Token.Type != canonical.TokenTransient:
		return payment.Token, true
	default:
		return canonical.Token{}, false
	}
}

// expired is why the order waits; other ways than the offered answers stand in it.
func expired(age time.Duration) error {
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("the authorization is %s old and may have run out during the review; without consent to charge a stored credential it is not renewed. "+
			"Post another card (POST /v1/orders/{orderId}/payment), capture the old authorization as it stands (skip), or take the order back (compensate)", age),
		string(fault.DeclinedByPolicy), nil, activities.FaultDetail{System: "tenderline", Code: codeAuthorizationExpired})
}

// letGo is why the order waits where the old authorization is gone for certain.
func letGo() error {
	return temporal.NewNonRetryableApplicationError(
		"the payment was accepted, but its authorization was reversed meanwhile; without consent to charge a stored credential it is not renewed. "+
			"Post another card (POST /v1/orders/{orderId}/payment), or take the order back (compensate)",
		string(fault.DeclinedByPolicy), nil, activities.FaultDetail{System: "tenderline", Code: codeAuthorizationExpired})
}

// markCustomer marks the customer of a reject for the gateway's negative list, once the order has ended: nothing waits for it.
func (o *order) markCustomer(ctx workflow.Context) {
	if o.marking == nil {
		return
	}
	markCustomer(ctx, o.desk, o.in.Policy, *o.marking)
}

// markCustomer marks the customer of a rejected payment at the gateway; it may be skipped, and is at its deadline.
func markCustomer(ctx workflow.Context, d *desk, policy Policy, in activities.MarkCustomerInput) {
	s := optional(stepMark, policy.ParkDeadline, ResolveSkip)
	marked := false
	_ = d.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		in.Attempt = attempt
		err := do(gateway(ctx, policy, "Mark the customer for the negative list"), payments.MarkCustomer, in)
		marked = err == nil
		return err
	})
	what := activities.ReviewUnmarked
	if marked {
		what = activities.ReviewMarked
	}
	reviewNote := activities.NoteReviewInput{OrderID: in.OrderID, Note: what, Key: "review/mark/" + in.PaymentID, At: workflow.Now(ctx).UTC(), Actor: in.Actor}
	if err := note(ledger(ctx, "Review: "+string(what)), ledgerWork.NoteReview, reviewNote); err != nil {
		workflow.GetLogger(ctx).Error("review not written", "note", what, "error", err)
	}
}
