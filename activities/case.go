package activities

import (
	"context"
	"slices"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// AskCase asks the gateway how a case stands: webhooks get lost. The answer is "" while the case is open, and while the records do not
// tell yet.
func (p *Payments) AskCase(ctx context.Context, in AskCaseInput) (CaseState, error) {
	decision, err := p.askCase(ctx, in.OrderID, in.PaymentID)
	return CaseState{Decision: decision}, toTemporal(err)
}

func (p *Payments) askCase(ctx context.Context, orderID, paymentID string) (canonical.FraudDecision, error) {
	ctx = outbound.WithOperation(ctx, orderKey(orderID, "ask-case", 1))
	record, err := p.Gateway.Transaction(ctx, paymentID)
	if fault.Is(err, fault.NotFound) {
		return "", nil // the record lags
	}
	if err != nil {
		return "", p.patient(err)
	}
	switch record.Status {
	case "AUTHORIZED", "ACCEPTED", "PENDING", "TRANSMITTED", "BATCHED":
		return canonical.FraudAccept, nil
	case "AUTHORIZED_RISK_DECLINED", "REJECTED":
		return canonical.FraudReject, nil
	default: // open, or changed since by what a reviewer, or nobody, did with the money
		return p.decidedByDeed(ctx, orderID, record)
	}
}

// decidedByDeed looks for what only a decision allows: a capture accepts, a reversal that somebody made rejects. A hold that ran out by
// itself decides nothing.
func (p *Payments) decidedByDeed(ctx context.Context, orderID string, record cybersource.Detail) (canonical.FraudDecision, error) {
	found, err := p.Gateway.Search(ctx, cybersource.Query{Code: orderID})
	if err != nil {
		return "", p.patient(err)
	}
	ids := slices.Clone(record.Related)
	for _, transaction := range found {
		if followsOn(transaction.Kind()) && !slices.Contains(ids, transaction.ID) {
			ids = append(ids, transaction.ID)
		}
	}
	for _, id := range ids {
		deed, err := p.Gateway.Transaction(ctx, id)
		switch {
		case fault.Is(err, fault.NotFound):
			continue
		case err != nil:
			return "", p.patient(err)
		case !deed.RefersTo(record.ID):
			continue
		}
		switch done := outcomeOf(deed); {
		case done.Kind == cybersource.KindCapture && (done.Result == cybersource.Captured || done.Result == cybersource.Voided):
			return canonical.FraudAccept, nil
		case done.Kind == cybersource.KindReversal && done.Result == cybersource.Reversed && !done.ByItself:
			return canonical.FraudReject, nil
		}
	}
	return "", nil
}

// asked checks that the gateway still says what it is said to have told.
func (p *Payments) asked(ctx context.Context, in DecideCaseInput) error {
	decision, err := p.askCase(ctx, in.OrderID, in.PaymentID)
	if err == nil && decision != in.Decision {
		err = &fault.Fault{Kind: fault.DeclinedByPolicy, System: "tenderline", Code: CodeUnproven, Message: "the gateway does not have the case as decided so"}
	}
	return err
}

// MarkCustomer marks the customer of a rejected payment for the gateway's negative list. It moves no money, and asking again changes
// nothing, so that a lost answer is simply asked for again.
func (p *Payments) MarkCustomer(ctx context.Context, in MarkCustomerInput) error {
	return toTemporal(p.markCustomer(ctx, in))
}

func (p *Payments) markCustomer(ctx context.Context, in MarkCustomerInput) error {
	request, err := cybersource.MarkingRequest(in.PaymentID, markingNotes(in))
	if err != nil {
		return bug("%v", err)
	}
	key := OperationKey("fraud-review", in.OrderID, "mark", in.Attempt)
	refused, err := p.tell(ctx, journal.Operation{
		Key: key, System: system, Kind: string(request.Kind), OrderID: in.OrderID, Reference: in.PaymentID, InputHash: inputHash(in.PaymentID),
	}, request)
	if err != nil || !refused {
		return err
	}
	stored, err := p.Journal.Operations().Get(ctx, key)
	if err != nil {
		return err
	}
	return decodeRefusal(stored.Outcome)
}

// markingNotes is what the negative list keeps of who marked.
func markingNotes(in MarkCustomerInput) string {
	if in.Notes == "" {
		return "Marked by " + in.Actor
	}
	return in.Notes + " (" + in.Actor + ")"
}
