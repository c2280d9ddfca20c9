package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// The gateway's console moves money too: somebody voids, reverses, refunds or captures there, and only the gateway's records tell. Before
// money is paid back they are read, and what nobody here has done is taken into the journal as an operation of its own, so that the
// journal's sums are the gateway's.

// seen is what the gateway's records tell of a payment beside the sums.
type seen struct {
	batched bool   // what is captured has gone to the processor: too late for a void
	voided  bool   // what the journal had as captured is voided there
	crowded string // what was done there for which the journal has no room, in words; "" for nothing
}

// reconcile takes what was done to an order's payment outside of our processes into the journal, and gives the payment after it.
func (p *Payments) reconcile(ctx context.Context, orderID string) (journal.Payment, seen, error) {
	payment, err := p.Journal.Payment(ctx, orderID)
	if errors.Is(err, journal.ErrNotFound) {
		return journal.Payment{Payment: canonical.Payment{OrderID: orderID, Status: canonical.PaymentNone}}, seen{}, nil
	}
	if err != nil || payment.AuthorizationID == "" {
		return payment, seen{}, err
	}
	ctx = outbound.WithOperation(ctx, orderKey(orderID, "reconcile", 1))
	records, err := p.recordsOf(ctx, payment)
	if err != nil {
		return payment, seen{}, err
	}
	// Read after the records: whatever of ours they show was begun before it was sent, so that it is here.
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return payment, seen{}, err
	}
	takeover := &takeover{Payments: p, orderID: orderID, ours: oursAmong(operations), payment: payment}
	if err := takeover.run(ctx, records); err != nil {
		return payment, seen{}, err
	}
	return takeover.payment, seen{batched: records.batched(), voided: records.voided(), crowded: takeover.crowded}, nil
}

// records are the gateway's records of one payment.
type records struct {
	capture cybersource.Detail   // of what is captured, as the journal knows it; zero where nothing is
	others  []cybersource.Detail // captures, voids, refunds and reversals, oldest first
}

// voided tells that what the journal has as captured is cancelled. A sale whose hold was released after the void reads as reversed.
func (r records) voided() bool {
	return r.capture.ID != "" && takenBack(outcomeOf(r.capture).Result)
}

func (r records) batched() bool {
	return r.capture.Status == "BATCHED" || r.capture.Status == "TRANSMITTED"
}

func outcomeOf(record cybersource.Detail) cybersource.Outcome {
	return cybersource.OutcomeOf(record.Transaction, record)
}

// recordsOf reads the record of a payment and of everything that follows it: what the records themselves name, and what a search for the
// order's reference and for those of our own follow-ons finds, since either may be late.
func (p *Payments) recordsOf(ctx context.Context, payment journal.Payment) (records, error) {
	root, err := p.record(ctx, payment.AuthorizationID)
	if err != nil {
		return records{}, err
	}
	r := records{}
	known := map[string]bool{root.ID: true, payment.AuthorizationID: true}
	wanted := root.Related
	if payment.CaptureID != "" {
		r.capture = root
		if !known[payment.CaptureID] {
			if r.capture, err = p.record(ctx, payment.CaptureID); err != nil {
				return records{}, err
			}
			known[payment.CaptureID] = true
			wanted = slices.Concat(wanted, r.capture.Related)
		}
	}
	searched, err := p.searched(ctx, payment.OrderID)
	if err != nil {
		return records{}, err
	}
	for _, id := range slices.Concat(wanted, searched) {
		if known[id] {
			continue
		}
		known[id] = true
		record, err := p.record(ctx, id)
		if err != nil {
			return records{}, err
		}
		if record.RefersTo(root.ID) && followsOn(record.Kind()) {
			r.others = append(r.others, record)
		}
	}
	slices.SortStableFunc(r.others, func(a, b cybersource.Detail) int {
		if order := a.SubmittedAt.Compare(b.SubmittedAt); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return r, nil
}

// record reads one transaction that exists: where its record is missing, it is late.
func (p *Payments) record(ctx context.Context, id string) (cybersource.Detail, error) {
	detail, err := p.Gateway.Transaction(ctx, id)
	if fault.Is(err, fault.NotFound) {
		err = &fault.Fault{Kind: fault.Busy, System: system, Code: cybersource.CodeDetailsLag, Message: "the record of a transaction is not there yet", Err: err}
	}
	return detail, p.patient(err)
}

// searched are the follow-ons that the index has under the order's reference, and under those of our own undoings that ended without an id.
func (p *Payments) searched(ctx context.Context, orderID string) ([]string, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return nil, err
	}
	codes := []string{orderID}
	for _, stored := range operations {
		lost := stored.State == journal.OperationRefused || stored.State == journal.OperationAbsent
		if stored.System == system && stored.Effect != "" && lost && stored.Sends > 0 && !slices.Contains(codes, stored.Reference) {
			codes = append(codes, stored.Reference)
		}
	}
	var ids []string
	for _, code := range codes {
		found, err := p.Gateway.Search(ctx, cybersource.Query{Code: code})
		if err != nil {
			return nil, p.patient(err)
		}
		for _, transaction := range found {
			if followsOn(transaction.Kind()) {
				ids = append(ids, transaction.ID)
			}
		}
	}
	return ids, nil
}

// followsOn tells the kinds that move the money of a payment.
func followsOn(kind cybersource.Kind) bool {
	switch kind {
	case cybersource.KindCapture, cybersource.KindRefund, cybersource.KindVoid, cybersource.KindReversal, cybersource.KindTimeoutReversal:
		return true
	default:
		return false
	}
}

// ours is what operations of ours account for.
type ours struct {
	ids   map[string]bool // transactions that answered them
	codes map[string]bool // references of those that are not concluded: what has one is for them to tell
	void  bool            // a void is not concluded
}

func oursAmong(operations []journal.Operation) ours {
	o := ours{ids: map[string]bool{}, codes: map[string]bool{}}
	for _, stored := range operations {
		if stored.System != system || stored.Effect == "" {
			continue
		}
		if !stored.State.Final() {
			o.codes[stored.Reference] = stored.Reference != stored.OrderID
			o.void = o.void || stored.Effect == journal.EffectVoidCapture && !adopted(stored.Key)
			continue
		}
		if stored.OutsideID != "" {
			o.ids[stored.OutsideID] = true
		}
	}
	return o
}

// adoptStep begins the step of what is taken over from the gateway.
const adoptStep = "adopt-"

func adopted(key string) bool {
	return strings.HasPrefix(key, "order:") && strings.Contains(key, ":"+adoptStep)
}

// takeover brings the journal of one order up to the gateway's records.
type takeover struct {
	*Payments
	ours
	orderID string
	payment journal.Payment
	crowded string
}

// run goes by what makes room for what: a void gives the hold back that another capture or a reversal takes, a capture is what a refund
// is of.
func (t *takeover) run(ctx context.Context, r records) error {
	if r.voided() && t.payment.Captured.IsPositive() && !t.void {
		if err := t.take(ctx, journal.EffectVoidCapture, t.voidIn(r)); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		effect journal.Effect
		result cybersource.Result
		kinds  []cybersource.Kind
		room   func(journal.Payment) decimal.Decimal // what of it the journal does not know of yet, at most
	}{
		{journal.EffectCapture, cybersource.Captured, []cybersource.Kind{cybersource.KindCapture}, uncaptured},
		{journal.EffectRefund, cybersource.Refunded, []cybersource.Kind{cybersource.KindRefund}, always},
		{journal.EffectReverse, cybersource.Reversed, []cybersource.Kind{cybersource.KindReversal, cybersource.KindTimeoutReversal}, held},
	} {
		for _, record := range r.others {
			if !slices.Contains(step.kinds, record.Kind()) || t.ids[record.ID] || t.codes[record.Code] {
				continue
			}
			found := outcomeOf(record)
			if found.Result != step.result || !found.Amount.Amount.IsPositive() || !step.room(t.payment).IsPositive() {
				continue
			}
			if err := t.take(ctx, step.effect, named{found, record.Code}); err != nil {
				return err
			}
		}
	}
	return nil
}

// uncaptured is the hold where nothing is captured: a payment is captured once.
func uncaptured(payment journal.Payment) decimal.Decimal {
	if payment.Captured.IsPositive() {
		return decimal.Zero
	}
	return held(payment)
}

// held is what of an authorization is neither captured nor released.
func held(payment journal.Payment) decimal.Decimal {
	return payment.Authorized.Sub(payment.Captured).Sub(payment.Reversed)
}

// always: a refund that nobody here has made is news however much was refunded.
func always(journal.Payment) decimal.Decimal { return decimal.New(1, 0) }

// named is an outcome with the reference that its transaction has.
type named struct {
	cybersource.Outcome
	code string
}

// voidIn finds the void of what is captured. The capture's own record is proof enough where the void's is not there.
func (t *takeover) voidIn(r records) named {
	whole := canonical.NewMoney(t.payment.Captured, t.payment.Currency)
	void := named{cybersource.Outcome{Kind: cybersource.KindVoid, Result: cybersource.Voided, Status: "VOIDED", Amount: whole, Adopted: true}, t.orderID}
	for _, record := range r.others {
		found := outcomeOf(record)
		fits := found.Amount.Currency == "" || found.Amount.Equal(whole)
		if found.Kind == cybersource.KindVoid && found.Result == cybersource.Voided && fits && !t.ids[record.ID] {
			void = named{found, record.Code}
			void.Amount = whole
		}
	}
	return void
}

// take stores one movement as an operation of its own. What the journal has no room for stays outside, and is told of.
func (t *takeover) take(ctx context.Context, effect journal.Effect, found named) error {
	key := orderKey(t.orderID, adoptStep+string(found.Kind)+"-"+found.ID, 1)
	if effect == journal.EffectVoidCapture {
		key = orderKey(t.orderID, adoptStep+"void-of-"+t.payment.CaptureID, 1) // one of a capture, whether its record is there or not
	}
	op := money{key: key, kind: found.Kind, orderID: t.orderID, code: found.code, effect: effect, amount: found.Amount}
	stored, _, err := t.Journal.BeginPayment(ctx, journal.Operation{
		Key: key, System: system, Kind: string(found.Kind), OrderID: t.orderID, Reference: found.code, Amount: found.Amount,
		InputHash: inputHash(effect, found.Amount), Request: []byte("{}"),
	}, effect)
	if noRoom(err) {
		t.crowded = fmt.Sprintf("the gateway shows a %s of %s that was made outside", strings.ReplaceAll(string(found.Kind), "_", " "), found.Amount)
		return nil
	}
	if err != nil {
		return journalFault(err)
	}
	if !stored.State.Final() {
		if _, err := t.conclude(ctx, op, found.Outcome); err != nil {
			return err
		}
	}
	t.payment, err = t.Journal.Payment(ctx, t.orderID)
	return err
}

// noRoom tells that the journal's reservation refuses.
func noRoom(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Conflict && f.System == "journal"
}

// waitForRoom is the failure while something unknown takes the room that what was found at the gateway needs.
func (p *Payments) waitForRoom(crowded string) error {
	return &fault.Fault{
		Kind: fault.Busy, System: "tenderline", Message: crowded + ", and another movement of the payment has not ended yet",
		RetryAfter: max(p.Timing.Lag, time.Second),
	}
}
