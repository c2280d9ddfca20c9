package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// The states of a sales order that concern us.
const (
	salesOrderHeld      = "held"
	salesOrderCancelled = "cancelled"
)

// deliverSalesOrder lets a person decide, as the channel's policy says, about a paid order that somebody cancelled or held in the ERP: pay it
// back, or keep it. What our own processes do there is no news.
func (s *Starter) deliverSalesOrder(ctx context.Context, item journal.InboxItem, erp string, change activities.Change) error {
	state := change.Order.State
	if state != salesOrderHeld && state != salesOrderCancelled {
		return s.store.Ignored(ctx, item.ID, "the sales order is "+state)
	}
	answer, decided, err := s.wantsRefund(ctx, item.ID)
	if err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	if decided {
		_, err := s.payBackSalesOrder(ctx, item, answer)
		return err
	}
	of, err := s.concerned(ctx, change.OrderID, erp)
	switch {
	case Is(err, NotFound):
		return s.store.Ignored(ctx, item.ID, "the sales order is of no order of ours")
	case err != nil:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	case of.record.Status == canonical.OrderInReview && state == salesOrderHeld:
		return s.store.Ignored(ctx, item.ID, "we hold it until its review is decided")
	}
	var review journal.Review // zero: there was none
	if state == salesOrderHeld {
		if review, err = s.store.Review(ctx, of.record.OrderID); err != nil && !errors.Is(err, journal.ErrNotFound) {
			return s.postpone(ctx, item, fault.Connection, err.Error())
		}
		if heldForReview(item, of.record, review) {
			return s.store.Ignored(ctx, item.ID, "it was held for its review, after which we release it")
		}
	}
	switch {
	case beforeConfirmation(of.record.Status): // it may be we who undo it
		return s.postpone(ctx, item, fault.Conflict, "the order is not confirmed yet: "+string(of.record.Status))
	case !kept(of.record.Status) || moneyGone(of.record.PaymentStatus):
		return s.store.Ignored(ctx, item.ID, fmt.Sprintf("the order is %s, its payment %s: nothing is left to decide", of.record.Status, of.record.PaymentStatus))
	}
	wish := of.channel.Policy.ErpHeld
	if state == salesOrderCancelled {
		wish = of.channel.Policy.ErpCancelled
	}
	if wish == config.ErpIgnore {
		return s.store.Ignored(ctx, item.ID, "the channel's policy ignores it")
	}
	if state == salesOrderHeld {
		ours, err := s.heldAfterReject(ctx, review, of.record.OrderID)
		if err != nil {
			return s.postpone(ctx, item, fault.Connection, err.Error())
		}
		if ours {
			return s.store.Ignored(ctx, item.ID, "we hold it: its payment was rejected after the capture")
		}
	}
	return s.propose(ctx, item, decision{of.record, *change.Order, wish})
}

// heldForReview tells that the hold is that of the order's review, or one beside it, of which we were told when the review had yet to be decided or the
// accepted order to be booked: before it is confirmed, it is released whoever held it.
func heldForReview(item journal.InboxItem, order journal.OrderRecord, review journal.Review) bool {
	return review.OrderID != "" && (beforeConfirmation(order.Status) || item.ReceivedAt.Before(review.DecidedAt))
}

// heldAfterReject tells that a reject after the capture has put the order's sales order on hold. Its proposal may not be parked yet when the hold is told:
// that there was a reject which did not hold any more is noted before.
func (s *Starter) heldAfterReject(ctx context.Context, review journal.Review, orderID string) (bool, error) {
	opposed := slices.ContainsFunc(review.Notes, func(note journal.ReviewNoteRecord) bool {
		return note.Note == string(activities.ReviewOpposed) && note.Decision == canonical.FraudReject
	})
	if opposed {
		return true, nil
	}
	page, _, err := s.store.Attentions(ctx, journal.AttentionFilter{WorkflowID: workflows.LateRejectWorkflowID(orderID), Limit: 1})
	return len(page) > 0, err
}

// decision is what a person is to decide about a sales order.
type decision struct {
	record journal.OrderRecord
	change activities.SalesOrderChange
	wish   string // the channel's policy
}

// propose leaves the decision to a person: compensate pays back what is left, skip keeps the order, retry looks at it once more.
func (s *Starter) propose(ctx context.Context, item journal.InboxItem, d decision) error {
	fixes, err := json.Marshal(d.fixes(item.Source))
	if err != nil {
		return fmt.Errorf("encode fixes of event %s: %w", item.ID, err)
	}
	id := journal.InboxAttentionID(item.ID)
	notice := journal.Notice{
		ID: id + "/" + strconv.Itoa(item.Tries) + "/" + strconv.FormatInt(s.clock().Unix(), 10), Audience: journal.AudienceOperator,
		Kind: "sales_order." + d.change.State, Group: "sales_order." + d.change.State, OrderID: item.OrderID,
		Subject: fmt.Sprintf("Sales order %s of order %s was %s in the ERP", d.change.SalesOrder, item.OrderID, d.change.State),
		Text:    d.summary() + ".\n" + d.suggestion(), Link: "/v1/attention/" + id,
	}
	return s.store.Propose(ctx, item.ID, journal.Proposal{
		Class: fault.DeclinedByPolicy, Summary: d.summary(), Suggestion: d.suggestion(), Fixes: fixes,
		Actions: []string{string(workflows.ResolveRetry), string(workflows.ResolveSkip), string(workflows.ResolveCompensate)},
	}, notice)
}

func (d decision) summary() string {
	text := fmt.Sprintf("sales order %s was %s in the ERP, but the payment is %s", d.change.SalesOrder, d.change.State, d.record.PaymentStatus)
	if d.change.Reason != "" {
		text += "; the ERP says: " + d.change.Reason
	}
	return text
}

func (d decision) suggestion() string {
	switch {
	case d.wish == config.ErpProposeRefund:
		return "Pay back what is left (compensate), or keep the order (skip)."
	case d.change.State == salesOrderHeld:
		return "Release it in the ERP and keep the order (skip), or pay back what is left (compensate)."
	default:
		return "Decide whether to pay back what is left (compensate), or to keep the order (skip)."
	}
}

// fixes are the ways to decide, the one that the channel's policy proposes first.
func (d decision) fixes(system string) []activities.Fix {
	evidence := fmt.Sprintf("%s: sales order %s is %s; the payment is %s", system, d.change.SalesOrder, d.change.State, d.record.PaymentStatus)
	back := activities.Fix{
		Text: "Pay back what is left of the order, but for goods that have left", Evidence: evidence, Resolution: string(workflows.ResolveCompensate),
	}
	keep := activities.Fix{Text: "Keep the order as it is", Evidence: evidence, Resolution: string(workflows.ResolveSkip)}
	if d.change.State == salesOrderHeld {
		keep.Text = "Release the sales order in the ERP, then keep the order"
	}
	if d.wish == config.ErpProposeRefund {
		return []activities.Fix{back, keep}
	}
	return []activities.Fix{keep, back}
}

// wantsRefund gives the answer of a person who wants an event's order paid back.
func (s *Starter) wantsRefund(ctx context.Context, eventID string) (journal.Attention, bool, error) {
	item, err := s.store.Attention(ctx, journal.InboxAttentionID(eventID))
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return journal.Attention{}, false, nil
	case err != nil:
		return journal.Attention{}, false, err
	default:
		return item, item.State == journal.AttentionResolved && item.Resolution == string(workflows.ResolveCompensate), nil
	}
}

// erpRefundID is the refund that a change of a sales order leads to: one for each change, however often it is told or answered.
func erpRefundID(eventID string) string {
	const digits = 20
	return "erp-" + eventID[:min(len(eventID), digits)]
}

// errAllHasLeft says why nothing of an order is paid back: what is left of its money is for goods that are with the buyer.
var errAllHasLeft = errors.New("what is left of the payment is for goods that have left: ask for a refund where they come back")

// payBackSalesOrder pays back what is left of the order of an event, as a person has answered, and ends the event. What can't be paid back, since
// a refund made meanwhile has left nothing, for example, is no failure: why says so. While it can't be told, the event is tried again.
func (s *Starter) payBackSalesOrder(ctx context.Context, item journal.InboxItem, answer journal.Attention) (outcome workflows.ResolutionAnswer, err error) {
	outcome = workflows.ResolutionAnswer{ID: answer.ID, Kind: workflows.ResolveCompensate}
	refundID, err := s.requestStopped(ctx, item, answer.Actor)
	switch {
	case err == nil:
		outcome.RefundID = refundID
		return outcome, s.store.Delivered(ctx, item.ID)
	case errors.Is(err, errAllHasLeft) || Is(err, Conflict) || Is(err, Invalid) || Is(err, NotFound) || Is(err, NotNow) || Is(err, TooLate):
		outcome.Why = "not paid back: " + reasonOf(err)
		return outcome, s.store.Ignored(ctx, item.ID, outcome.Why)
	default:
		return outcome, s.retry(ctx, item, err)
	}
}

// requestStopped asks for the refund of an order that was stopped in the ERP, once for its change.
func (s *Starter) requestStopped(ctx context.Context, item journal.InboxItem, actor string) (refundID string, err error) {
	refundID = erpRefundID(item.ID)
	_, err = s.store.Refund(ctx, item.OrderID, refundID)
	if err == nil { // asked for before
		return refundID, nil
	}
	if !errors.Is(err, journal.ErrNotFound) {
		return "", err
	}
	wish, err := s.notShipped(ctx, item.OrderID)
	if err != nil {
		return "", err
	}
	_, _, err = s.RequestRefund(ctx, item.OrderID, RefundRequest{
		RefundID: refundID, Wish: wish, Reason: "sales order stopped in the ERP", Actor: actor, Origin: workflows.OriginOperator,
	})
	return refundID, err
}

// notShipped is what a stopped order is to get back: all that is left, but not what was captured for goods that have left. What was refunded
// already counts as of what has not.
func (s *Starter) notShipped(ctx context.Context, orderID string) (canonical.RefundWish, error) {
	shipments, err := s.store.Shipments(ctx, orderID)
	if err != nil || len(shipments) == 0 {
		return canonical.RefundWish{}, err
	}
	payment, err := s.store.Payment(ctx, orderID)
	if err != nil {
		return canonical.RefundWish{}, err
	}
	refunds, err := s.store.Refunds(ctx, orderID)
	if err != nil {
		return canonical.RefundWish{}, err
	}
	left := payment.Captured
	for _, shipment := range shipments {
		left = left.Sub(shipment.Share.Amount)
	}
	for _, refund := range refunds {
		if refund.Status != canonical.RefundRefused {
			left = left.Sub(refund.Breakdown.Total)
		}
	}
	if !left.IsPositive() {
		return canonical.RefundWish{}, errAllHasLeft
	}
	return canonical.RefundWish{Amount: &left}, nil
}
