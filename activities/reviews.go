package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// OpenReview records that people are to decide about a held payment, gathers what they need for it, and alerts them.
func (l *Ledger) OpenReview(ctx context.Context, in OpenReviewInput) (OpenedReview, error) {
	opened, err := l.openReview(ctx, in)
	return opened, toTemporal(err)
}

func (l *Ledger) openReview(ctx context.Context, in OpenReviewInput) (OpenedReview, error) {
	risk, err := l.risk(ctx, in)
	if err != nil {
		return OpenedReview{}, err
	}
	history, err := l.Journal.CustomerHistory(ctx, in.OrderID)
	if err != nil {
		return OpenedReview{}, absent(err)
	}
	summary := describe(risk, history)
	text := summary + "\n- Deadline: " + in.Deadline.UTC().Format("2006-01-02 15:04 MST") + ", then " + in.Default
	err = l.Journal.OpenReview(ctx, journal.Review{
		OrderID: in.OrderID, WorkflowID: in.WorkflowID, PaymentID: in.PaymentID, Since: in.Since, Deadline: in.Deadline, Default: in.Default,
		Amount: in.Amount, Risk: risk,
	}, toAudiences(journal.Notice{
		Kind: NoticeReviewOpened, Group: NoticeReviewOpened, OrderID: in.OrderID, Link: reviewLink(in.OrderID), At: in.Since,
		Subject: fmt.Sprintf("Order %s over %s is held for review", in.OrderID, in.Amount), Text: text,
		Data: map[string]string{"amount": in.Amount.String(), "score": risk.Score},
	}, "review.opened/"+in.OrderID+"/"+in.PaymentID, journal.AudienceAnalyst)...)
	return OpenedReview{Summary: summary}, err
}

// risk gathers what the gateway's answer and the order tell.
func (l *Ledger) risk(ctx context.Context, in OpenReviewInput) (journal.ReviewRisk, error) {
	record, err := l.Journal.Order(ctx, in.OrderID)
	if err != nil {
		return journal.ReviewRisk{}, absent(err)
	}
	var order canonical.Order
	if err := json.Unmarshal(record.Input, &order); err != nil {
		return journal.ReviewRisk{}, bug("order %s can't be read: %v", in.OrderID, err)
	}
	outcome, err := l.heldOutcome(ctx, in)
	if err != nil {
		return journal.ReviewRisk{}, err
	}
	risk := journal.ReviewRisk{
		AVS: outcome.AVS, CVN: outcome.CVN, Addresses: compareAddresses(order.BillTo, order.ShipTo),
		Device: order.Device.FingerprintSessionID != "" || order.Device.IPAddress != "", MerchantData: len(order.MerchantDefinedData),
	}
	if told := outcome.Risk; told != nil {
		risk.Score, risk.Factors, risk.Model, risk.Profile = told.Score, told.FactorCodes, told.Model, told.Profile
		risk.Queue, risk.Priority, risk.InfoCodes = told.Queue, told.Priority, told.InfoCodes
		for _, rule := range told.Rules {
			risk.Rules = append(risk.Rules, journal.ReviewRule(rule))
		}
	}
	return risk, nil
}

// heldOutcome is the gateway's answer by which the payment is held; empty where the journal has none.
func (l *Ledger) heldOutcome(ctx context.Context, in OpenReviewInput) (cybersource.Outcome, error) {
	operations, err := l.Journal.Operations().ByOrder(ctx, in.OrderID)
	if err != nil {
		return cybersource.Outcome{}, err
	}
	for _, op := range operations {
		if op.System != system || op.OutsideID != in.PaymentID || op.OutsideID == "" {
			continue
		}
		var c concluded
		if err := json.Unmarshal(op.Outcome, &c); err != nil {
			return cybersource.Outcome{}, bug("outcome of %s can't be read: %v", op.Key, err)
		}
		if c.Outcome != nil {
			return *c.Outcome, nil
		}
	}
	return cybersource.Outcome{}, nil
}

// How two addresses compare.
const (
	addressesMatch   = "match"
	addressesDiffer  = "differ"
	countriesDiffer  = "countries_differ"
	addressSeparator = "\n"
)

func compareAddresses(billTo, shipTo canonical.Address) string {
	switch {
	case billTo.Country != shipTo.Country:
		return countriesDiffer
	case place(billTo) != place(shipTo):
		return addressesDiffer
	default:
		return addressesMatch
	}
}

// place is where an address is, whoever lives there and however it is spaced.
func place(a canonical.Address) string {
	parts := []string{a.Line1, a.Line2, a.City, a.Region, a.PostalCode}
	for i, part := range parts {
		parts[i] = strings.ToUpper(strings.Join(strings.Fields(part), " "))
	}
	return strings.Join(parts, addressSeparator)
}

// NoteReview adds what happened to a review's record, its audit and, where people must know, their alerts.
func (l *Ledger) NoteReview(ctx context.Context, in NoteReviewInput) error {
	return toTemporal(l.noteReview(ctx, in))
}

func (l *Ledger) noteReview(ctx context.Context, in NoteReviewInput) error {
	note := journal.ReviewNoteRecord{
		Key: in.Key, At: in.At, Note: string(in.Note), Decision: in.Decision, Actor: in.Actor, Source: in.Source, Comment: in.Comment, Rule: in.Rule,
	}
	return absent(l.Journal.NoteReview(ctx, in.OrderID, note, noteAction(in), noteEvents(in), noteNotices(in)...))
}

// noteActor stands in the audit for notes that nobody made.
const noteActor = "tenderline"

// noteAction is the audit's line of a note; that of a decision is written where the decision is made to hold.
func noteAction(in NoteReviewInput) *journal.Action {
	if in.Note == ReviewDecided {
		return nil
	}
	action := journal.Action{At: in.At, Actor: in.Actor, Action: "fraud." + string(in.Note), Reason: in.Comment, Detail: map[string]string{}}
	if action.Actor == "" {
		action.Actor = noteActor
	}
	for name, value := range map[string]string{"decision": string(in.Decision), "source": in.Source, "rule": in.Rule, "eventId": in.EventID} {
		if value != "" {
			action.Detail[name] = value
		}
	}
	return &action
}

// noteEvents is the line of the order's story; that of a decision is written where the decision is made to hold.
func noteEvents(in NoteReviewInput) []journal.Event {
	summary, told := map[ReviewNote]string{
		ReviewReminded:  "The analysts were reminded of the review",
		ReviewEscalated: "The review was escalated: nobody has decided yet",
		ReviewOpposed:   fmt.Sprintf("The decision %q does not hold: %s", in.Decision, in.Rule),
		ReviewMarked:    "The customer is marked for the gateway's negative list",
		ReviewUnmarked:  "The customer is not marked for the gateway's negative list: it was given up",
		ReviewProposed:  "Rejected after the capture: a refund is proposed",
		ReviewRefunding: "The late reject is followed by a refund",
		ReviewKept:      "The order is kept in spite of the late reject",
	}[in.Note]
	if !told {
		return nil
	}
	event := journal.Event{Key: in.Key, At: in.At, Kind: "fraud." + string(in.Note), Summary: summary, Actor: in.Actor}
	if in.Decision != "" {
		event.Detail = map[string]string{"decision": string(in.Decision)}
	}
	return []journal.Event{event}
}

// noteNotices are the alerts of a note.
func noteNotices(in NoteReviewInput) []journal.Notice {
	notice := journal.Notice{OrderID: in.OrderID, Link: reviewLink(in.OrderID), At: in.At}
	id := "review/" + in.OrderID + "/" + in.Key
	switch in.Note {
	case ReviewReminded:
		notice.Kind, notice.Group = NoticeReviewReminded, NoticeReviewReminded
		notice.Subject = fmt.Sprintf("Order %s still waits for a decision", in.OrderID)
		notice.Text = "Nobody has decided about the held payment yet."
		return toAudiences(notice, id, journal.AudienceAnalyst)
	case ReviewEscalated:
		notice.Kind, notice.Group = NoticeReviewEscalated, NoticeReviewEscalated
		notice.Subject = fmt.Sprintf("Escalated: order %s has waited too long for a decision", in.OrderID)
		notice.Text = "Nobody has decided about the held payment. Its authorization runs out in the end, and the deadline decides by itself."
		return toAudiences(notice, id, journal.AudienceAnalyst, journal.AudienceOperator)
	case ReviewProposed:
		notice.Kind = NoticeRefundProposed
		notice.Subject = fmt.Sprintf("Order %s was rejected after its payment was captured", in.OrderID)
		notice.Text = "What has not left is held. Refund the payment, or keep the order; the parked item of the order takes the answer."
		return toAudiences(notice, id, journal.AudienceOperator, journal.AudienceFinance)
	default:
		return nil
	}
}

// ReadOrder gives where the read model has an order.
func (l *Ledger) ReadOrder(ctx context.Context, orderID string) (OrderState, error) {
	state, err := l.readOrder(ctx, orderID)
	return state, toTemporal(err)
}

func (l *Ledger) readOrder(ctx context.Context, orderID string) (OrderState, error) {
	record, err := l.Journal.Order(ctx, orderID)
	if err != nil {
		return OrderState{}, absent(err)
	}
	payment, err := l.Journal.Payment(ctx, orderID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return OrderState{}, err
	}
	return OrderState{
		Status: record.Status, PaymentStatus: record.PaymentStatus, CustomerCode: record.CustomerCode, SalesOrder: record.ErpOrderNumber,
		Invoice: record.ErpInvoice, Payment: payment.Payment, Refundable: payment.Refundable,
	}, nil
}

// RecordRefund brings a refund's read model, its order's timeline and the customer's mail forward.
func (l *Ledger) RecordRefund(ctx context.Context, in RefundProgressInput) error {
	return toTemporal(l.recordRefund(ctx, in))
}

func (l *Ledger) recordRefund(ctx context.Context, in RefundProgressInput) error {
	progress := &journal.Progress{OrderID: in.OrderID, Seq: in.Mark.Seq, Status: in.Mark.Status}
	for _, event := range in.Events {
		progress.Events = append(progress.Events, journal.Event(event))
	}
	notices, err := l.refundNotices(ctx, in)
	if err != nil {
		return absent(err)
	}
	return absent(l.Journal.RecordRefund(ctx, journal.RefundProgress{
		OrderID: in.OrderID, RefundID: in.RefundID, Status: in.Status, Way: string(in.Way), TransactionID: in.TransactionID,
		ErpCreditMemo: in.CreditMemo, ErpRefund: in.ErpRefund, Why: in.Why,
	}, progress, notices...))
}

// refundNotices tell the customer of a refund that is done, finance of one that was refused.
func (l *Ledger) refundNotices(ctx context.Context, in RefundProgressInput) ([]journal.Notice, error) {
	if !in.Status.Final() {
		return nil, nil
	}
	refund, err := l.Journal.Refund(ctx, in.OrderID, in.RefundID)
	if err != nil {
		return nil, err
	}
	amount := canonical.NewMoney(refund.Amount, refund.Currency).String()
	if in.Status == canonical.RefundRefused {
		return toAudiences(journal.Notice{
			Kind: NoticeRefundRefused, Group: NoticeRefundRefused, OrderID: in.OrderID, Link: orderLink(in.OrderID),
			Subject: fmt.Sprintf("Refund %s of %s for order %s was refused", in.RefundID, amount, in.OrderID), Text: in.Why,
			Data: map[string]string{"refundId": in.RefundID, "amount": amount},
		}, "refund.refused/"+in.OrderID+"/"+in.RefundID, journal.AudienceFinance), nil
	}
	record, err := l.Journal.Order(ctx, in.OrderID)
	if err != nil {
		return nil, nil //nolint:nilerr // the refund is recorded in any case; an order that can't be opened has no address to write to
	}
	return mail(record, MailRefunded, in.RefundID, map[string]string{"refundId": in.RefundID, "amount": amount}), nil
}

// AddFixes adds to a parked item what may mend it.
func (l *Ledger) AddFixes(ctx context.Context, in AddFixesInput) error {
	fixes, err := json.Marshal(in.Fixes)
	if err != nil {
		return toTemporal(bug("encode fixes: %v", err))
	}
	return toTemporal(absent(l.Journal.AddFixes(ctx, in.ID, fixes)))
}

// absent makes a look-up that found nothing permanent: asking again finds no more.
func absent(err error) error {
	if errors.Is(err, journal.ErrNotFound) {
		return &fault.Fault{Kind: fault.NotFound, System: "journal", Message: err.Error(), Err: err}
	}
	return err
}
