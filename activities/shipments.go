package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// CodeAuthorizationExpired is the code of a capture whose authorization the bank has let go, or somebody has released: never captured
// again, a person decides.
const CodeAuthorizationExpired = "AUTHORIZATION_EXPIRED"

// stepCapture is the step of a shipment's operation keys.
const stepCapture = "capture"

// CaptureShipment captures what one shipment is worth, of an authorization that is captured in parts. A shipment is captured once: a second
// try adopts the first, or carries it on as it was begun, whatever the attempt. What passes the rest of the authorization is refused by the journal (Conflict,
// EXCEEDS_AUTHORIZED); a hold that is gone is a Conflict with CodeAuthorizationExpired.
func (p *Payments) CaptureShipment(ctx context.Context, in CaptureShipmentInput) (Capture, error) {
	capture, err := p.captureShipment(ctx, in)
	return capture, toTemporal(err)
}

func (p *Payments) captureShipment(ctx context.Context, in CaptureShipmentInput) (Capture, error) {
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if errors.Is(err, journal.ErrNotFound) || err == nil && payment.AuthorizationID == "" {
		err = &fault.Fault{Kind: fault.Conflict, System: "journal", Code: journal.CodeNothingAuthorized, Message: "nothing is authorized"}
	}
	if err != nil {
		return Capture{}, err
	}
	former, begun, err := p.formerCapture(ctx, in)
	if err != nil {
		return Capture{}, err
	}
	op := begunAs(former)
	switch {
	case begun && former.State == journal.OperationSucceeded:
		return p.shipped(ctx, in, former.OutsideID, true)
	case !begun:
		if op, err = p.captureOfShipment(in, payment); err != nil {
			return Capture{}, err
		}
	}
	outcome, err := p.follow(ctx, op, cybersource.Captured)
	if err != nil {
		return Capture{}, p.notCaptured(ctx, in, payment, err)
	}
	return p.shipped(ctx, in, outcome.ID, outcome.Adopted)
}

// shipmentKey is the operation key of a shipment's capture.
func shipmentKey(in CaptureShipmentInput, attempt int) string {
	return OperationKey("shipment", in.OrderID+"/"+in.Shipment, stepCapture, attempt)
}

// formerCapture is the capture of the same shipment that has succeeded, else one that is not known to have ended, else that of this attempt,
// however it ended.
func (p *Payments) formerCapture(ctx context.Context, in CaptureShipmentInput) (former journal.Operation, found bool, err error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, in.OrderID)
	prefix := strings.TrimSuffix(shipmentKey(in, 0), "0")
	for _, stored := range operations {
		number, of := strings.CutPrefix(stored.Key, prefix)
		if _, notOne := strconv.Atoi(number); !of || notOne != nil || stored.Effect != journal.EffectCapture {
			continue
		}
		if stored.State == journal.OperationSucceeded {
			return stored, true, err
		}
		if !stored.State.Final() || !found && stored.Key == shipmentKey(in, in.Attempt) {
			former, found = stored, true
		}
	}
	return former, found, err
}

// captureOfShipment is the capture with its place among the order's. Sequence and count are part of the stored request, and stay what they
// were however often it is sent. The reference names the sequence too: a look-up by it finds no other capture.
func (p *Payments) captureOfShipment(in CaptureShipmentInput, payment journal.Payment) (money, error) {
	if in.Sequence < 1 {
		return money{}, bug("shipment %s of order %s has the sequence number %d", in.Shipment, in.OrderID, in.Sequence)
	}
	count := in.Sequence
	if !in.Final {
		count++ // more will follow: how many is not known
	}
	key := shipmentKey(in, in.Attempt)
	op := money{
		key: key, kind: cybersource.KindCapture, orderID: in.OrderID, code: followOnCode(in.OrderID, fmt.Sprintf("C%d", in.Sequence), key),
		guard: p.transactionID(key), effect: journal.EffectCapture, amount: in.Amount, hashOf: []any{payment.AuthorizationID, in.Sequence, count},
		related: payment.AuthorizationID, of: payment.AuthorizationID,
	}
	var err error
	op.request, err = cybersource.CaptureRequest(payment.AuthorizationID, op.code, op.guard, in.Amount, in.Sequence, count)
	if err != nil {
		return op, &fault.Fault{Kind: fault.Value, System: system, Message: err.Error()}
	}
	return op, nil
}

// notCaptured is the failure of a shipment's capture. Where the gateway's word, or the journal's, is that the hold is gone, that is taken
// over and said.
func (p *Payments) notCaptured(ctx context.Context, in CaptureShipmentInput, payment journal.Payment, failure error) error {
	switch {
	case noRoom(failure):
		if held(payment).IsPositive() || !payment.Reversed.IsPositive() {
			return failure
		}
	case alreadyReversed(failure):
		if err := p.noteGone(ctx, in.OrderID); err != nil {
			return err
		}
	case forbidden(failure):
		after, _, err := p.reconcile(ctx, in.OrderID)
		if err != nil {
			return err
		}
		if held(after).IsPositive() || !after.Reversed.IsPositive() {
			return failure
		}
	default:
		return failure
	}
	return &fault.Fault{
		Kind: fault.Conflict, System: system, Code: CodeAuthorizationExpired, Err: failure,
		Message: fmt.Sprintf("the authorization has run out or was released: %s of shipment %s can't be captured", in.Amount, in.Shipment),
	}
}

// noteGone takes over that the gateway has no hold any more: by the record of who released it, else as lapsed.
func (p *Payments) noteGone(ctx context.Context, orderID string) error {
	payment, _, err := p.reconcile(ctx, orderID)
	if err != nil || !held(payment).IsPositive() {
		return err
	}
	return p.noteLapsed(ctx, orderID)
}

// shipped gives the payment after a shipment's capture. One that was voided since is no success: a shipment must not be booked that nobody
// pays for.
func (p *Payments) shipped(ctx context.Context, in CaptureShipmentInput, id string, adopted bool) (Capture, error) {
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return Capture{}, err
	}
	if !slices.ContainsFunc(captures, func(c journal.Captured) bool { return c.ID == id }) {
		return Capture{}, &fault.Fault{Kind: fault.Conflict, System: "tenderline", Code: codeTakenBack, Message: "the shipment was captured and the capture voided since"}
	}
	payment, err := p.payment(ctx, in.OrderID)
	payment.CaptureID = id // of this shipment, whatever was captured after it
	return Capture{Payment: payment, Adopted: adopted}, err
}
