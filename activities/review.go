package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// CodeUnproven marks a decision said to come from the gateway that the webhook inbox does not hold.
const CodeUnproven = "UNPROVEN"

// DecideCase makes a verdict hold: it is taken at Decision Manager first (without an action list), since a held payment can be neither
// captured nor reversed before; then what a reviewer may have captured or reversed there is looked up and adopted.
func (p *Payments) DecideCase(ctx context.Context, in DecideCaseInput) (CaseDecision, error) {
	held, err := p.decideCase(ctx, in)
	return held, toTemporal(err)
}

func (p *Payments) decideCase(ctx context.Context, in DecideCaseInput) (CaseDecision, error) {
	if in.EventID != "" {
		if err := p.proven(ctx, in); err != nil {
			return CaseDecision{}, err
		}
		return p.afterVerdict(ctx, in, in.Decision)
	}
	if in.Asked {
		if err := p.asked(ctx, in); err != nil {
			return CaseDecision{}, err
		}
		return p.afterVerdict(ctx, in, in.Decision)
	}
	refused, err := p.takeVerdict(ctx, in)
	if err != nil {
		return CaseDecision{}, err
	}
	standing := in.Decision
	if refused {
		if standing, err = p.standingVerdict(ctx, in); err != nil {
			return CaseDecision{}, err
		}
	}
	return p.afterVerdict(ctx, in, standing)
}

// caseDecisionEvent begins the types of the events by which a reviewer's verdict is told.
const caseDecisionEvent = "risk.casemanagement.decision."

// proven checks that the verified webhook inbox holds the event by which the gateway is said to have decided.
func (p *Payments) proven(ctx context.Context, in DecideCaseInput) error {
	event, err := p.Journal.Event(ctx, in.EventID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	if err != nil || event.Source != system || event.OrderID != in.OrderID || event.EventType != caseDecisionEvent+string(in.Decision) {
		return &fault.Fault{Kind: fault.DeclinedByPolicy, System: "tenderline", Code: CodeUnproven, Message: "the inbox holds no such decision for this order"}
	}
	return nil
}

// takeVerdict takes the case action. It moves no money, and a second one changes nothing, so that a lost answer is simply asked again;
// a case that is decided already refuses it, and the look-up afterwards tells what holds.
func (p *Payments) takeVerdict(ctx context.Context, in DecideCaseInput) (refused bool, err error) {
	request, err := cybersource.CaseActionRequest(in.PaymentID, in.Decision, caseComment(in))
	if err != nil {
		return false, bug("%v", err)
	}
	return p.tell(ctx, journal.Operation{
		Key: OperationKey("fraud-review", in.OrderID, "case", in.Attempt), System: system, Kind: string(cybersource.KindCaseAction),
		OrderID: in.OrderID, Reference: in.PaymentID, InputHash: inputHash(in.PaymentID, in.Decision),
	}, request)
}

// tell sends what moves no money and changes nothing the second time; refused tells that the gateway's state or a value forbids it.
func (p *Payments) tell(ctx context.Context, op journal.Operation, request cybersource.Request) (refused bool, err error) {
	ctx = outbound.WithOperation(ctx, op.Key)
	if op.Request, err = json.Marshal(request); err != nil {
		return false, err
	}
	operations := p.Journal.Operations()
	stored, fresh, err := operations.Begin(ctx, op)
	if err != nil {
		return false, journalFault(err)
	}
	if stored.State.Final() {
		return stored.State == journal.OperationRefused, nil
	}
	if !fresh {
		if err := operations.Resend(ctx, op.Key); err != nil {
			return false, journalFault(err)
		}
	}
	outcome, err := p.Gateway.Send(ctx, request)
	if err == nil {
		answer, err := json.Marshal(outcome)
		if err != nil {
			return false, err
		}
		return false, journalFault(operations.Succeed(ctx, op.Key, "", answer))
	}
	return p.notedVerdict(ctx, op.Key, err)
}

// notedVerdict writes down why a case action has failed. Only the case's own state is a final no; a key that is not accepted says nothing of
// the case, which must never count as decided then.
func (p *Payments) notedVerdict(ctx context.Context, key string, failure error) (refused bool, err error) {
	operations := p.Journal.Operations()
	f := fault.As(failure)
	switch {
	case f != nil && (f.Kind == fault.Conflict || f.Kind == fault.Value):
		refusal, err := encodeRefusal(f)
		if err != nil {
			return false, err
		}
		return true, journalFault(operations.Refuse(ctx, key, refusal))
	case f != nil && !f.Kind.Retryable():
		if err := operations.Unknown(ctx, key, f.Code); err != nil {
			return false, err
		}
		return false, f
	default:
		return false, notedErp(ctx, operations, key, false, failure)
	}
}

// CodeCaseOpen marks a case that the gateway neither decides as asked nor has decided.
const CodeCaseOpen = "CASE_OPEN"

// standingVerdict reads from the payment's record how a case was decided that does not take our verdict. A record that is not there, or
// whose status tells nothing, leaves ours standing: the money's own state is asked for next.
func (p *Payments) standingVerdict(ctx context.Context, in DecideCaseInput) (canonical.FraudDecision, error) {
	since := p.Clock().AddDate(0, 0, -longestReview)
	outcome, found, err := p.Gateway.Find(ctx, cybersource.Query{Code: in.OrderID, Since: since}, cybersource.Wanted{
		Kind: cybersource.KindSale, Amount: in.Amount, After: since, Exclude: func(id string) bool { return id != in.PaymentID },
	})
	if err != nil || !found {
		return in.Decision, p.patient(err)
	}
	switch outcome.Status {
	case "AUTHORIZED_PENDING_REVIEW", "PENDING_REVIEW":
		return "", &fault.Fault{Kind: fault.Conflict, System: system, Code: CodeCaseOpen, Message: "the gateway does not take the decision, and the case is still open"}
	case "AUTHORIZED_RISK_DECLINED", "REJECTED", "REVERSED":
		return canonical.FraudReject, nil
	case "AUTHORIZED", "ACCEPTED", "PENDING", "TRANSMITTED", "BATCHED":
		return canonical.FraudAccept, nil
	default:
		return in.Decision, nil
	}
}

// caseComment is what Decision Manager keeps of who decided.
func caseComment(in DecideCaseInput) string {
	if in.Comment == "" {
		return "Decided by " + in.Actor
	}
	return in.Comment + " (" + in.Actor + ")"
}

// afterVerdict ends the review in the journal and adopts what a reviewer did with the money. The gateway's state wins over the verdict:
// money that a reviewer has reversed can't be captured, and money that was captured is not reversed.
func (p *Payments) afterVerdict(ctx context.Context, in DecideCaseInput, standing canonical.FraudDecision) (CaseDecision, error) {
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if err != nil {
		return CaseDecision{}, err
	}
	if payment.Status == canonical.PaymentHeld {
		status := canonical.PaymentAuthorized
		if payment.Authorized.IsZero() {
			status = canonical.PaymentNone
		}
		progress := &journal.Progress{OrderID: in.OrderID, Events: []journal.Event{{
			Key: "fraud-decision", Kind: "fraud.decision", Actor: in.Actor, Summary: fmt.Sprintf("Fraud review: %s by %s", in.Decision, in.Actor),
			Detail: map[string]string{"transactionId": in.PaymentID},
		}}}
		// Audited first: after a crash between the two it is there twice, never not at all.
		action := journal.Action{OrderID: in.OrderID, Actor: in.Actor, Action: "fraud." + string(in.Decision), Reason: in.Comment, Detail: map[string]string{"source": in.Source}}
		if err := p.Journal.RecordAction(ctx, action); err != nil {
			return CaseDecision{}, err
		}
		if err := p.Journal.ChangePayment(ctx, in.OrderID, journal.PaymentChange{Status: status}, progress); err != nil {
			return CaseDecision{}, err
		}
	}
	held := CaseDecision{Decision: standing}
	for _, done := range []struct {
		kind    cybersource.Kind
		effect  journal.Effect
		found   *bool
		verdict canonical.FraudDecision
	}{
		{cybersource.KindCapture, journal.EffectCapture, &held.Captured, canonical.FraudAccept},
		{cybersource.KindReversal, journal.EffectReverse, &held.Reversed, canonical.FraudReject},
	} {
		var outcome cybersource.Outcome
		if outcome, *done.found, err = p.adopt(ctx, in, done.kind, done.effect); err != nil {
			return CaseDecision{}, err
		}
		if *done.found && !outcome.ByItself { // a hold that ran out is nobody's verdict
			held.Decision = done.verdict
		}
	}
	held.Payment, err = p.payment(ctx, in.OrderID)
	return held, err
}

// adopt looks for a reviewer's capture or reversal of the held payment, or for its hold's end, and takes it into the journal as an operation.
func (p *Payments) adopt(ctx context.Context, in DecideCaseInput, kind cybersource.Kind, effect journal.Effect) (cybersource.Outcome, bool, error) {
	key := OperationKey("fraud-review", in.OrderID, "adopt-"+string(kind), 1)
	if done, err := p.Journal.Operations().Get(ctx, key); err == nil && done.State == journal.OperationSucceeded {
		outcome, err := reread(done)
		return outcome, true, err
	}
	op := money{key: key, kind: kind, orderID: in.OrderID, code: in.OrderID, effect: effect, amount: in.Amount, related: in.PaymentID}
	outcome, found, err := p.find(ctx, op, p.Clock().AddDate(0, 0, -longestReview))
	if err != nil || !found {
		return outcome, false, err
	}
	if _, _, err := p.Journal.BeginPayment(ctx, journal.Operation{
		Key: key, System: system, Kind: string(kind), OrderID: in.OrderID, Reference: in.OrderID, Amount: in.Amount,
		InputHash: inputHash(outcome.ID), Request: []byte("{}"),
	}, effect); err != nil {
		return outcome, false, journalFault(err)
	}
	_, err = p.conclude(ctx, op, outcome)
	return outcome, err == nil, err
}

// longestReview bounds the search for a reviewer's follow-ons, in days: authorizations live shorter.
const longestReview = 60
