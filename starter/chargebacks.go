package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// deliverDispute brings a row of a dispute to its process: the first one starts it, further ones are news for it.
func (s *Starter) deliverDispute(ctx context.Context, item journal.InboxItem) error {
	var dispute activities.Dispute
	if err := json.Unmarshal(item.Body, &dispute); err != nil || dispute.Case.ID == "" {
		return s.giveUp(ctx, item, fault.Value, "the dispute can't be read")
	}
	record, err := s.disputed(ctx, item.OrderID)
	switch {
	case Is(err, NotFound):
		return s.postpone(ctx, item, fault.MissingReference, "no payment of ours is known by the reference of dispute "+dispute.Case.ID)
	case err != nil:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	err = s.bringCase(ctx, record, dispute, "")
	switch {
	case err == nil:
		return s.store.Delivered(ctx, item.ID)
	case Is(err, TooLate):
		return s.endedDispute(ctx, item, record, dispute)
	case Is(err, Unavailable):
		return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), err.Error())
	default:
		return s.postpone(ctx, item, fault.Bug, err.Error())
	}
}

// disputed is the order behind a dispute: its reference is that of the capture, the order's ID with one suffix where there were several.
func (s *Starter) disputed(ctx context.Context, reference string) (journal.OrderRecord, error) {
	record, err := s.store.Order(ctx, reference)
	if at := strings.LastIndex(reference, "-"); at > 0 && errors.Is(err, journal.ErrNotFound) {
		record, err = s.store.Order(ctx, reference[:at])
	}
	return record, stored(err, "order")
}

// endedDispute takes a row of a dispute whose first process has ended. It is news for the process of a further cycle, or begins one; or it says
// what is known already.
func (s *Starter) endedDispute(ctx context.Context, item journal.InboxItem, order journal.OrderRecord, dispute activities.Dispute) error {
	record, err := s.store.Chargeback(ctx, dispute.Case.ID)
	if err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	next, follows, why := furtherCycle(record, dispute)
	if record.Cycle > 1 { // whose process may be under way
		err = s.signalCase(ctx, workflows.ChargebackCycleID(record.CaseID, record.Cycle), workflows.ChargebackNews{Case: dispute.Case, Outcome: dispute.Outcome})
		if err == nil {
			return s.store.Delivered(ctx, item.ID)
		}
	}
	switch {
	case err != nil && !Is(err, TooLate):
		return s.postpone(ctx, item, fault.Connection, err.Error())
	case follows:
		err = s.startCycle(ctx, order, record, dispute.Case, next)
	case why == "":
		return s.store.Ignored(ctx, item.ID, "the dispute has ended: "+string(record.Outcome))
	default:
		return s.giveUp(ctx, item, fault.Conflict, why)
	}
	switch {
	case err == nil:
		return s.store.Delivered(ctx, item.ID)
	case Is(err, Unavailable), Is(err, TooLate): // it is recorded in a moment, or the engine is away
		return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), err.Error())
	default:
		return s.postpone(ctx, item, fault.Bug, err.Error())
	}
}

// furtherCycle tells whether a row of a dispute that has ended begins another cycle of it: the money was taken again, or it was decided otherwise,
// later than it had ended. why is for a row that says otherwise and is not later: a person decides.
func furtherCycle(record journal.ChargebackRecord, dispute activities.Dispute) (next workflows.ChargebackCycle, follows bool, why string) {
	former := activities.ChargebackOutcome(record.Outcome)
	otherwise := dispute.Outcome != activities.ChargebackOpen && dispute.Outcome != former
	ended := record.EndedAt
	if ended.IsZero() { // it ended before that was kept: when we wrote it down is later than that
		ended = record.UpdatedAt
	}
	later := former != activities.ChargebackOpen && dispute.Case.OpenedAt.After(ended)
	switch {
	case record.Retrieval && !dispute.Case.Taken:
		return next, false, ""
	case later && (otherwise || dispute.Case.Taken):
		next = workflows.ChargebackCycle{
			Number: record.Cycle + 1, Former: former, Retaken: dispute.Case.Taken, Outcome: dispute.Outcome, At: dispute.Case.OpenedAt,
		}
		if record.Retrieval { // whose end nobody booked
			next.Former = activities.ChargebackOpen
		}
		return next, true, ""
	case otherwise:
		return next, false, fmt.Sprintf(
			"dispute %s ended as %s and is now told to be %s, at a time that is not after its end; the ledger holds the former: correct it by hand, then dismiss this item",
			dispute.Case.ID, orOpen(record.Outcome), dispute.Outcome)
	default:
		return next, false, ""
	}
}

// orOpen names an outcome for people.
func orOpen(outcome journal.ChargebackOutcome) string {
	if outcome == journal.ChargebackOpen {
		return "open"
	}
	return string(outcome)
}

// startCycle starts the process of a further cycle, or tells the running one. What was not taken again is about what the dispute was about.
func (s *Starter) startCycle(
	ctx context.Context, order journal.OrderRecord, record journal.ChargebackRecord, dispute activities.ChargebackCase, next workflows.ChargebackCycle,
) error {
	if !next.Retaken {
		dispute = activities.ChargebackCase{
			ID: record.CaseID, TransactionID: record.TransactionID, Reference: order.OrderID, Amount: record.Amount, Fee: record.Fee, Reason: record.Reason,
			OpenedAt: next.At,
		}
	}
	in, err := s.caseInput(order, dispute)
	if err != nil {
		return err
	}
	in.Again = &next
	id := workflows.ChargebackCycleID(record.CaseID, next.Number)
	err = s.startOnce(ctx, start{
		id: id, summary: fmt.Sprintf("Chargeback %s of order %s, %s, cycle %d", record.CaseID, order.OrderID, dispute.Amount, next.Number),
		orderID: order.OrderID, erp: order.Erp, workflow: workflows.Chargeback, in: in,
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return s.signalCase(ctx, id, workflows.ChargebackNews{Case: dispute, Outcome: next.Outcome, Actor: next.Actor})
	}
	if err != nil {
		return classify(err)
	}
	return nil
}

// caseInput is what the process of a dispute starts with.
func (s *Starter) caseInput(order journal.OrderRecord, dispute activities.ChargebackCase) (workflows.ChargebackInput, error) {
	channel, configured := s.settings.Channel(order.Channel)
	if !configured {
		return workflows.ChargebackInput{}, fmt.Errorf("follow dispute %s: channel %q is no longer configured", dispute.ID, order.Channel)
	}
	return workflows.ChargebackInput{
		Case: dispute, OrderID: order.OrderID, Erp: order.Erp, Ledger: s.settings.SettlementErp(), Site: activities.Site(channel.Site),
		SalesOrder: order.ErpOrderNumber, Invoice: order.ErpInvoice, RemindFor: s.settings.Chargebacks().Remind, Policy: policy(channel.Policy),
	}, nil
}

// bringCase starts the process of a dispute, or tells the running one what is new. TooLate: the process has ended.
func (s *Starter) bringCase(ctx context.Context, record journal.OrderRecord, dispute activities.Dispute, actor string) error {
	in, err := s.caseInput(record, dispute.Case)
	if err != nil {
		return err
	}
	err = s.startOnce(ctx, start{
		id:      workflows.ChargebackWorkflowID(dispute.Case.ID),
		summary: fmt.Sprintf("Chargeback %s of order %s, %s", dispute.Case.ID, record.OrderID, dispute.Case.Amount),
		orderID: record.OrderID, erp: record.Erp, workflow: workflows.Chargeback, in: in,
	})
	running := temporal.IsWorkflowExecutionAlreadyStartedError(err)
	switch {
	case err != nil && !running:
		return classify(err)
	case !running && dispute.Outcome == activities.ChargebackOpen:
		return nil
	}
	return s.signalCase(ctx, workflows.ChargebackWorkflowID(dispute.Case.ID), workflows.ChargebackNews{Case: dispute.Case, Outcome: dispute.Outcome, Actor: actor})
}

// tellCase signals the process of a dispute, of whichever of its cycles is under way. TooLate: it has ended, or there was none.
func (s *Starter) tellCase(ctx context.Context, record journal.ChargebackRecord, news workflows.ChargebackNews) error {
	err := s.signalCase(ctx, workflows.ChargebackCycleID(record.CaseID, record.Cycle), news)
	if record.Cycle > 1 && Is(err, TooLate) { // the first process may have gone on itself
		err = s.signalCase(ctx, workflows.ChargebackWorkflowID(record.CaseID), news)
	}
	return err
}

func (s *Starter) signalCase(ctx context.Context, workflowID string, news workflows.ChargebackNews) error {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := s.engine.SignalWorkflow(bounded, workflowID, "", workflows.SignalChargeback, news)
	if err == nil {
		return nil
	}
	if err = classify(err); Is(err, NotFound) {
		return &Error{Kind: TooLate, Message: "the dispute has ended", Err: err}
	}
	return err
}

// OpenedCase is a dispute that a person opens by hand, of an order.
type OpenedCase struct {
	OrderID string
	Case    activities.ChargebackCase
	Actor   string
}

// OpenChargeback opens a dispute that a letter or a portal of the acquirer told of. The same case again changes nothing; one of that ID with
// another order or amount is a Conflict. Amounts without a currency are in the order's.
func (s *Starter) OpenChargeback(ctx context.Context, opened OpenedCase) error {
	record, order, err := s.orderOf(ctx, opened.OrderID)
	if err != nil {
		return err
	}
	for _, money := range []*canonical.Money{&opened.Case.Amount, &opened.Case.Fee} {
		if money.Currency == "" {
			money.Currency = order.Currency
		}
	}
	if problems := wrongCase(opened.Case, order); len(problems) > 0 {
		return &Error{Kind: Invalid, Message: "the dispute can't be opened", Problems: problems}
	}
	earlier, err := s.store.Chargeback(ctx, opened.Case.ID)
	switch {
	case err == nil && (earlier.OrderID != opened.OrderID || !earlier.Amount.Amount.Equal(opened.Case.Amount.Amount)):
		return &Error{Kind: Conflict, Message: "a dispute of this ID exists with another order or amount"}
	case err == nil:
		return nil
	case !errors.Is(err, journal.ErrNotFound):
		return err
	}
	if opened.Case.OpenedAt.IsZero() {
		opened.Case.OpenedAt = s.clock().UTC().Truncate(time.Second)
	}
	opened.Case.Reference = opened.OrderID
	if err := s.bringCase(ctx, record, activities.Dispute{Case: opened.Case}, opened.Actor); err != nil {
		return err
	}
	return s.store.RecordAction(ctx, journal.Action{
		Key: "chargeback-opened/" + opened.Case.ID, OrderID: opened.OrderID, Actor: opened.Actor, Action: "chargeback.open",
		Detail: map[string]string{"caseId": opened.Case.ID, "amount": opened.Case.Amount.String()},
	})
}

// wrongCase checks a dispute against its order.
func wrongCase(dispute activities.ChargebackCase, order canonical.Order) []canonical.Problem {
	var problems []canonical.Problem
	report := func(pointer, rule, message string) {
		problems = append(problems, canonical.Problem{Pointer: pointer, Rule: rule, Message: message})
	}
	switch amount := dispute.Amount; {
	case amount.Currency != order.Currency:
		report("/currency", canonical.RuleEnum, "must be the order's: "+order.Currency)
	case !amount.Amount.IsPositive():
		report("/amount", canonical.RuleMinimum, "must be more than 0")
	case amount.Amount.GreaterThan(order.Total):
		report("/amount", canonical.RuleMaximum, "must not be more than the order's total")
	case !canonical.RoundAmount(amount.Amount, order.Currency).Equal(amount.Amount):
		report("/amount", canonical.RuleScale, "has more decimals than its currency")
	}
	if dispute.Fee.Amount.IsNegative() {
		report("/fee", canonical.RuleMinimum, "must not be negative")
	}
	return problems
}

// EndedCase is how a dispute ended, as a person tells it. Again says that it is a later outcome than the one that is known: of an arbitration.
type EndedCase struct {
	CaseID  string
	Outcome activities.ChargebackOutcome
	Again   bool
	Actor   string
	Reason  string
}

// EndChargeback tells a dispute how it ended. The same outcome again is no error; another one is a Conflict, unless it is said to be a later one,
// which gets a cycle of its own.
func (s *Starter) EndChargeback(ctx context.Context, ended EndedCase) (journal.ChargebackRecord, error) {
	record, err := s.store.Chargeback(ctx, ended.CaseID)
	if err != nil {
		return record, stored(err, "dispute")
	}
	news := workflows.ChargebackNews{Outcome: ended.Outcome, Actor: ended.Actor, Again: ended.Again}
	switch {
	case record.Outcome == journal.ChargebackOpen:
		err = s.tellCase(ctx, record, news)
	case string(record.Outcome) == string(ended.Outcome):
		return record, nil
	case !ended.Again || record.Retrieval:
		return record, &Error{Kind: Conflict, Message: "the dispute has ended: " + string(record.Outcome)}
	default: // its process may still be booking the former end
		if err = s.tellCase(ctx, record, news); Is(err, TooLate) {
			err = s.endAgain(ctx, record, ended)
		}
	}
	if err != nil {
		return record, err
	}
	return record, s.store.RecordAction(ctx, journal.Action{
		OrderID: record.OrderID, Actor: ended.Actor, Action: "chargeback." + string(ended.Outcome), Reason: ended.Reason,
		Detail: map[string]string{"caseId": ended.CaseID},
	})
}

// endAgain gives a dispute whose process has ended another cycle, with another outcome.
func (s *Starter) endAgain(ctx context.Context, record journal.ChargebackRecord, ended EndedCase) error {
	order, err := s.store.Order(ctx, record.OrderID)
	if err != nil {
		return stored(err, "order")
	}
	return s.startCycle(ctx, order, record, activities.ChargebackCase{}, workflows.ChargebackCycle{
		Number: record.Cycle + 1, Former: activities.ChargebackOutcome(record.Outcome), Outcome: ended.Outcome, At: s.clock().UTC(), Actor: ended.Actor,
	})
}
