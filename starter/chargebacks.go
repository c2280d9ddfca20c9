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
		return s.endedDispute(ctx, item, dispute)
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

// endedDispute takes a row of a dispute whose process has ended. One that says what is known already is no news; another one is.
func (s *Starter) endedDispute(ctx context.Context, item journal.InboxItem, dispute activities.Dispute) error {
	record, err := s.store.Chargeback(ctx, dispute.Case.ID)
	if err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	if dispute.Outcome == activities.ChargebackOpen || string(dispute.Outcome) == string(record.Outcome) {
		return s.store.Ignored(ctx, item.ID, "the dispute has ended: "+string(record.Outcome))
	}
	return s.giveUp(ctx, item, fault.Conflict, fmt.Sprintf(
		"dispute %s ended as %s and is now told to be %s; the ledger holds the former: correct it by hand, then dismiss this item",
		dispute.Case.ID, record.Outcome, dispute.Outcome))
}

// bringCase starts the process of a dispute, or tells the running one what is new. TooLate: the process has ended.
func (s *Starter) bringCase(ctx context.Context, record journal.OrderRecord, dispute activities.Dispute, actor string) error {
	channel, configured := s.settings.Channel(record.Channel)
	if !configured {
		return fmt.Errorf("follow dispute %s: channel %q is no longer configured", dispute.Case.ID, record.Channel)
	}
	err := s.startOnce(ctx, start{
		id:      workflows.ChargebackWorkflowID(dispute.Case.ID),
		summary: fmt.Sprintf("Chargeback %s of order %s, %s", dispute.Case.ID, record.OrderID, dispute.Case.Amount),
		orderID: record.OrderID, erp: record.Erp, workflow: workflows.Chargeback,
		in: workflows.ChargebackInput{
			Case: dispute.Case, OrderID: record.OrderID, Erp: record.Erp, Ledger: s.settings.SettlementErp(), Site: activities.Site(channel.Site),
			SalesOrder: record.ErpOrderNumber, Invoice: record.ErpInvoice, RemindFor: s.settings.Chargebacks().Remind, Policy: policy(channel.Policy),
		},
	})
	running := temporal.IsWorkflowExecutionAlreadyStartedError(err)
	switch {
	case err != nil && !running:
		return classify(err)
	case !running && dispute.Outcome == activities.ChargebackOpen:
		return nil
	}
	return s.tellCase(ctx, workflows.ChargebackNews{Case: dispute.Case, Outcome: dispute.Outcome, Actor: actor}, dispute.Case.ID)
}

// tellCase signals the process of a dispute. TooLate: it has ended, or there was none.
func (s *Starter) tellCase(ctx context.Context, news workflows.ChargebackNews, caseID string) error {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := s.engine.SignalWorkflow(bounded, workflows.ChargebackWorkflowID(caseID), "", workflows.SignalChargeback, news)
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

// EndChargeback tells a dispute how it ended. The same outcome again is no error; another one is a Conflict.
func (s *Starter) EndChargeback(ctx context.Context, caseID string, outcome activities.ChargebackOutcome, actor, reason string) (journal.ChargebackRecord, error) {
	record, err := s.store.Chargeback(ctx, caseID)
	if err != nil {
		return record, stored(err, "dispute")
	}
	switch string(record.Outcome) {
	case "":
	case string(outcome):
		return record, nil
	default:
		return record, &Error{Kind: Conflict, Message: "the dispute has ended: " + string(record.Outcome)}
	}
	if err := s.tellCase(ctx, workflows.ChargebackNews{Outcome: outcome, Actor: actor}, caseID); err != nil {
		return record, err
	}
	return record, s.store.RecordAction(ctx, journal.Action{
		OrderID: record.OrderID, Actor: actor, Action: "chargeback." + string(outcome), Reason: reason, Detail: map[string]string{"caseId": caseID},
	})
}
