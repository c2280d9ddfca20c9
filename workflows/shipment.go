package workflows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/shopspring/decimal"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// ShipmentInput starts Shipment: goods of an order left.
type ShipmentInput struct {
	Shipment     canonical.Shipment `json:"shipment"`
	Order        canonical.Order    `json:"order"`
	Erp          string             `json:"erp"`
	Site         activities.Site    `json:"site,omitempty"`
	CustomerCode string             `json:"customerCode"`
	SalesOrder   string             `json:"salesOrder"`
	Policy       Policy             `json:"policy"`
}

// ShipmentWorkflowID is the ID of the process of one shipment.
func ShipmentWorkflowID(orderID, number string) string { return "shipment/" + orderID + "/" + number }

// Names of a shipment's steps.
const (
	stepRecordShipment = "record-shipment"
	stepCaptureShare   = "capture-shipment"
	stepReadPayment    = "read-payment"
	stepAwaitOthers    = "other-captures"
	stepReleaseRest    = "release-rest"
	stepDeposit        = "book-shipment"
	stepApply          = "apply-deposit"
	stepTrack          = "tracking"
)

// shipment is one run of Shipment.
type shipment struct {
	in      ShipmentInput
	log     log.Logger
	desk    *desk
	shipped activities.ShippedLines
	payment canonical.Payment

	last       bool   // no other shipment is left to be captured
	uncaptured string // why a person has given the capture up; the goods have left all the same
}

// Shipment follows goods that left: it captures what they are worth where the order is captured on shipment, applies the order's deposits to
// their invoice, writes the tracking number into the sales order and tells the shop. The result says what it did.
func Shipment(ctx workflow.Context, in ShipmentInput) (string, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	s := &shipment{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.Order.OrderID, "shipment", in.Shipment.Number)}
	var err error
	if s.desk, err = ownDesk(steady, in.Order.OrderID); err != nil {
		return "", err
	}
	outcome := s.story(steady)
	workflow.SetCurrentDetails(steady, outcome)
	return outcome, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

func (s *shipment) story(ctx workflow.Context) string {
	early := tellsShopFirst(ctx)
	s.record(ctx)
	onShipment := s.in.Order.Payment.Capture == canonical.CaptureOnShipment
	captured := onShipment && s.capture(ctx)
	if early {
		s.finish(ctx, "")
	}
	if captured && s.shipped.ByHand == "" { // else people have booked it in a run before this one
		s.inErp(ctx, stepDeposit, "Book what was captured", erpWork.BookShipment)
	}
	if s.in.Shipment.Invoice != "" && s.uncaptured == "" {
		s.inErp(ctx, stepApply, "Apply the deposit to the shipment's invoice", erpWork.ApplyDeposits)
	}
	if s.in.Shipment.Tracking != "" {
		s.inErp(ctx, stepTrack, "Write the tracking number into the sales order", erpWork.TrackShipment)
	}
	switch {
	case !early:
		s.finish(ctx, s.in.Shipment.Invoice)
	case s.in.Shipment.Invoice != "":
		s.write(ctx, "Record the shipment's invoice", activities.ProgressInput{
			OrderID: s.in.Order.OrderID, ErpInvoice: s.in.Shipment.Invoice, Mark: activities.Mark{Seq: workflow.Now(ctx).UTC().UnixMicro()},
		})
	}
	if onShipment && s.shipped.Final {
		s.release(ctx)
	}
	outcome := "Shipped in part"
	if s.shipped.Complete {
		outcome = "Shipped in full"
	}
	if s.uncaptured != "" {
		outcome += "; not captured: " + s.uncaptured
	}
	return outcome
}

// record gives the shipment its place among the order's, once for ever.
func (s *shipment) record(ctx workflow.Context) {
	_ = s.desk.try(ctx, retried(stepRecordShipment), func(ctx workflow.Context, _ int) error {
		var err error
		s.shipped, err = read(ledger(ctx, "Record the shipment"), changesWork.RecordShipment, activities.RecordShipmentInput{
			Order: s.in.Order, Shipment: s.in.Shipment, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, CaptureStep: stepCaptureShare, BookStep: stepDeposit,
		})
		return err
	})
}

// captured is what is captured of the order so far.
func (s *shipment) captured(ctx workflow.Context) decimal.Decimal {
	var state activities.OrderState
	_ = s.desk.try(ctx, retried(stepReadPayment), func(ctx workflow.Context, _ int) error {
		var err error
		state, err = read(ledger(ctx, "Read what is captured"), ledgerWork.ReadOrder, s.in.Order.OrderID)
		return err
	})
	return state.Payment.Captured
}

// outstanding is what other shipments of an order that has left in full have yet to capture: one of them may be parked, and the last capture
// lets go of what the bank still holds for it.
func (s *shipment) outstanding(captured decimal.Decimal) decimal.Decimal {
	left := s.in.Order.Total.Sub(captured)
	if s.payment.CaptureID == "" { // its own share is not among that
		left = left.Sub(s.shipped.Share.Amount)
	}
	return left
}

// capture takes what the shipped lines are worth, and tells that it has. An order that is captured whole already, by a reviewer who accepted
// it, for example, needs none. A person decides where the bank has let the authorization go; it is never taken blindly.
func (s *shipment) capture(ctx workflow.Context) bool {
	if !s.shipped.Share.Amount.IsPositive() {
		return false
	}
	before := s.captured(ctx)
	if !s.in.Order.Total.Sub(before).IsPositive() {
		return false
	}
	if s.shipped.GivenUp != "" { // in a run before this one: a person's word holds for all of them
		s.uncaptured = s.shipped.GivenUp
		return false
	}
	if s.shipped.Final && !readsCapturedOnce(ctx) {
		before = s.captured(ctx)
	}
	s.last = s.shipped.Final && !s.outstanding(before).IsPositive()
	step := step{
		name: stepCaptureShare, actions: []ResolutionKind{ResolveRetry, ResolveCompensate}, deadline: s.in.Policy.ParkDeadline, overdue: ResolveRetry,
		deaf: true, sure: true,
	}
	err := s.desk.try(ctx, step, func(ctx workflow.Context, attempt int) error {
		captured, err := run(gateway(ctx, s.in.Policy, fmt.Sprintf("Capture %s for the shipment", s.shipped.Share)), payments.CaptureShipment, activities.CaptureShipmentInput{
			OrderID: s.in.Order.OrderID, Shipment: s.in.Shipment.Number, Sequence: s.shipped.Sequence, Final: s.last,
			Amount: s.shipped.Share, Attempt: attempt,
		})
		s.payment = captured.Payment
		return err
	})
	if err != nil {
		s.uncaptured = givenUp(err)
	}
	return err == nil
}

// release lets go of what the bank still holds of an order that has left in full. What another shipment may yet capture is let go only by a
// person's word. Nothing waits for it, and what can't be released runs out by itself.
func (s *shipment) release(ctx workflow.Context) {
	actions := []ResolutionKind{ResolveRetry, ResolveCompensate, ResolveSkip}
	wait := step{name: stepAwaitOthers, actions: actions, deadline: s.in.Policy.ParkDeadline, overdue: ResolveRetry, deaf: true}
	keep := false
	err := s.desk.try(ctx, wait, func(ctx workflow.Context, _ int) error {
		left := s.outstanding(s.captured(ctx))
		if keep = left.IsPositive(); keep {
			return declinedByPolicy(fmt.Sprintf("the order has left in full, but %s of it is not captured: a shipment before this one may wait for that. "+
				"Look again (retry), let the bank's hold go (compensate), or leave it to run out (skip)", s.in.Order.Money(left)))
		}
		return nil
	})
	if keep && err == nil {
		return // skipped: it is left to run out
	}
	_ = s.desk.try(ctx, optional(stepReleaseRest, s.in.Policy.ParkDeadline, ResolveRetry), func(ctx workflow.Context, attempt int) error {
		_, err := run(gateway(ctx, s.in.Policy, "Release what of the authorization is left"), payments.ReverseAuthorization, activities.UndoPaymentInput{
			OrderID: s.in.Order.OrderID, Attempt: attempt, Reason: "order shipped",
		})
		return err
	})
}

// inErp is a step in the ERP: it can be posted on another date, or be left to people.
func (s *shipment) inErp(ctx workflow.Context, name, summary string, activity func(context.Context, activities.ShipInput) (activities.RefundBooked, error)) {
	date := businessDate(ctx)
	var others []string
	if s.shipped.Complete { // nothing of the order is left that could need what stays of its deposits
		others = s.shipped.Invoices
	}
	step := posting(name, s.in.Policy.ParkDeadline, func(corrected string) { date = corrected })
	_ = s.desk.try(ctx, step, func(ctx workflow.Context, attempt int) error {
		_, err := run(booking(ctx, s.in.Erp, s.in.Policy, summary), activity, activities.ShipInput{
			OrderID: s.in.Order.OrderID, Shipment: s.in.Shipment, SalesOrder: s.in.SalesOrder, CustomerCode: s.in.CustomerCode,
			Payment: s.payment, Amount: s.shipped.Share, Invoices: others, Site: s.in.Site, Order: s.in.Order, Date: date, Attempt: attempt,
		})
		return err
	})
}

// finish writes the order's status and tells the shop: before anything in the ERP, which may wait for people while the goods are on their way.
func (s *shipment) finish(ctx workflow.Context, invoice string) {
	now := workflow.Now(ctx).UTC()
	in := activities.ProgressInput{OrderID: s.in.Order.OrderID, ErpInvoice: invoice, Mark: activities.Mark{Seq: now.UnixMicro()}, Events: []activities.TimelineEvent{{
		Key: "shipment/" + s.in.Shipment.Number, At: now, Kind: "shipment", Summary: s.sentence(), Detail: map[string]string{"shipment": s.in.Shipment.Number},
	}}}
	if s.shipped.Complete {
		in.Mark.Status = canonical.OrderShipped
	}
	s.write(ctx, "Record the shipment's end", in)
	startCallback(ctx, s.log, s.in.Policy, activities.CallbackInput{
		ID: CallbackWorkflowID(s.in.Order.OrderID, s.told(ctx), 1), OrderID: s.in.Order.OrderID,
		Channel: s.in.Order.Channel, Event: string(EventShipped), At: now, Status: in.Mark.Status, Payment: s.payment.Status,
		Shipment: &activities.ShipmentNotice{
			Number: s.in.Shipment.Number, Carrier: s.in.Shipment.Carrier, Tracking: s.in.Shipment.Tracking, ShippedOn: s.in.Shipment.ShippedOn,
			Lines: s.in.Shipment.Lines, Complete: s.shipped.Complete,
		},
	})
}

// write keeps the read model. The workflow is the truth: a failure is logged and nothing waits for it.
func (s *shipment) write(ctx workflow.Context, summary string, in activities.ProgressInput) {
	if err := note(ledger(ctx, summary), ledgerWork.RecordProgress, in); err != nil {
		s.log.Error("read model not written", "error", err)
	}
}

func (s *shipment) sentence() string {
	text := "Shipment " + s.in.Shipment.Number
	if s.in.Shipment.Carrier != "" {
		text += " by " + s.in.Shipment.Carrier
	}
	if s.in.Shipment.Tracking != "" {
		text += ", tracking " + s.in.Shipment.Tracking
	}
	if s.uncaptured != "" {
		text += "; not captured: " + s.uncaptured
	}
	return text
}

// told names what the shop is told: once that the parcel left, and once more for each tracking number that comes later. One that was corrected is
// another message: under the ID of the first, the shop would take it for a repeat.
func (s *shipment) told(ctx workflow.Context) CallbackEvent {
	event := EventShipped + "/" + CallbackEvent(s.in.Shipment.Number)
	if s.in.Shipment.Tracking == "" {
		return event
	}
	event += "/tracked"
	if !tellsEachTracking(ctx) {
		return event
	}
	sum := sha256.Sum256([]byte(s.in.Shipment.Tracking)) // an ID is shown to everybody
	return event + "/" + CallbackEvent(hex.EncodeToString(sum[:4]))
}
