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
	batched map[string]bool // captures that have gone to the processor: too late for a void
	voided  map[string]bool // those that the journal had as captured and that are voided there
	crowded string          // what was done there for which the journal has no room, in words; "" for nothing
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
	captures, err := p.Journal.Captures(ctx, orderID)
	if err != nil {
		return payment, seen{}, err
	}
	records, err := p.recordsOf(ctx, payment, captures)
	if err != nil {
		return payment, seen{}, err
	}
	// Read after the records: whatever of ours they show was begun before it was sent, so that it is here.
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return payment, seen{}, err
	}
	takeover := &takeover{Payments: p, orderID: orderID, ours: oursAmong(operations), payment: payment, captures: captures}
	if err := takeover.run(ctx, records); err != nil {
		return payment, seen{}, err
	}
	return takeover.payment, seen{batched: records.which(batched), voided: records.which(cancelled), crowded: takeover.crowded}, nil
}

// records are the gateway's records of one payment.
type records struct {
	captures map[string]cybersource.Detail // of what is captured, as the journal knows it
	others   []cybersource.Detail          // captures, voids, refunds and reversals, oldest first
}

// which tells of which captures something is true.
func (r records) which(is func(cybersource.Detail) bool) map[string]bool {
	found := map[string]bool{}
	for id, record := range r.captures {
		found[id] = is(record)
	}
	return found
}

// cancelled tells that what was captured is voided. A sale whose hold was released after the void reads as reversed.
func cancelled(record cybersource.Detail) bool { return takenBack(outcomeOf(record).Result) }

func batched(record cybersource.Detail) bool {
	return record.Status == "BATCHED" || record.Status == "TRANSMITTED"
}

func outcomeOf(record cybersource.Detail) cybersource.Outcome {
	return cybersource.OutcomeOf(record.Transaction, record)
}

// recordsOf reads the record of a payment and of everything that follows it: what the records themselves name, and what a search for the
// order's reference and for those of our own follow-ons finds, since either may be late.
func (p *Payments) recordsOf(ctx context.Context, payment journal.Payment, captures []journal.Captured) (records, error) {
	root, err := p.record(ctx, payment.AuthorizationID)
	if err != nil {
		return records{}, err
	}
	r := records{captures: map[string]cybersource.Detail{}}
	known := map[string]bool{root.ID: true, payment.AuthorizationID: true}
	wanted := root.Related
	for _, capture := range captures {
		record := root
		if !known[capture.ID] {
			if record, err = p.record(ctx, capture.ID); err != nil {
				return records{}, err
			}
			known[capture.ID] = true
			wanted = slices.Concat(wanted, record.Related)
		}
		r.captures[capture.ID] = record
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
	voids map[string]bool // captures of which a void is not concluded; "": of any
}

func oursAmong(operations []journal.Operation) ours {
	o := ours{ids: map[string]bool{}, codes: map[string]bool{}, voids: map[string]bool{}}
	for _, stored := range operations {
		if stored.System != system || stored.Effect == "" {
			continue
		}
		if !stored.State.Final() {
			o.codes[stored.Reference] = stored.Reference != stored.OrderID
			if stored.Effect == journal.EffectVoidCapture && !adopted(stored.Key) {
				o.voids[stored.Related] = true
			}
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
	orderID  string
	payment  journal.Payment
	captures []journal.Captured
	crowded  string
}

// run goes by what makes room for what: a void gives the hold back that another capture or a reversal takes, a capture is what a refund
// is of.
func (t *takeover) run(ctx context.Context, r records) error {
	for _, capture := range t.captures {
		if cancelled(r.captures[capture.ID]) && !t.voids[capture.ID] && !t.voids[""] {
			if err := t.take(ctx, journal.EffectVoidCapture, t.voidIn(r, capture)); err != nil {
				return err
			}
		}
	}
	for _, step := range []struct {
		effect journal.Effect
		result cybersource.Result
		kinds  []cybersource.Kind
		room   func(journal.Payment) decimal.Decimal // what of it the journal does not know of yet, at most
	}{
		{journal.EffectCapture, cybersource.Captured, []cybersource.Kind{cybersource.KindCapture}, held},
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
			if err := t.take(ctx, step.effect, named{found, record.Code, t.follows(step.effect, record)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// follows is the transaction that a record refers to: its authorization, or of a refund its capture. Where several captures are named, or
// the one that is has not enough room, nobody can tell.
func (t *takeover) follows(effect journal.Effect, record cybersource.Detail) string {
	if effect != journal.EffectRefund {
		return t.payment.AuthorizationID
	}
	var named []journal.Captured
	for _, capture := range t.captures {
		if slices.Contains(record.Related, capture.ID) {
			named = append(named, capture)
		}
	}
	if len(named) != 1 || record.Amount.Amount.GreaterThan(named[0].Room()) {
		return ""
	}
	return named[0].ID
}

// held is what of an authorization is neither captured nor released.
func held(payment journal.Payment) decimal.Decimal {
	return payment.Authorized.Sub(payment.Captured).Sub(payment.Reversed)
}

// always: a refund that nobody here has made is news however much was refunded.
func always(journal.Payment) decimal.Decimal { return decimal.New(1, 0) }

// named is an outcome with the reference that its transaction has, and the transaction that it follows on.
type named struct {
	cybersource.Outcome
	code string
	of   string
}

// voidIn finds the void of a capture. The capture's own record is proof enough where the void's is not there.
func (t *takeover) voidIn(r records, capture journal.Captured) named {
	whole := canonical.NewMoney(capture.Amount, t.payment.Currency)
	void := named{cybersource.Outcome{Kind: cybersource.KindVoid, Result: cybersource.Voided, Status: "VOIDED", Amount: whole, Adopted: true}, t.orderID, capture.ID}
	for _, record := range r.others {
		found := outcomeOf(record)
		fits := found.Amount.Currency == "" || found.Amount.Equal(whole)
		if found.Kind == cybersource.KindVoid && found.Result == cybersource.Voided && fits && record.RefersTo(capture.ID) && !t.ids[record.ID] && !t.codes[record.Code] {
			void = named{found, record.Code, capture.ID}
			void.Amount = whole
		}
	}
	return void
}

// take stores one movement as an operation of its own. What the journal has no room for stays outside, and is told of.
func (t *takeover) take(ctx context.Context, effect journal.Effect, found named) error {
	key := orderKey(t.orderID, adoptStep+string(found.Kind)+"-"+found.ID, 1)
	if effect == journal.EffectVoidCapture {
		key = orderKey(t.orderID, adoptStep+"void-of-"+found.of, 1) // one of a capture, whether its record is there or not
	}
	op := money{key: key, kind: found.Kind, orderID: t.orderID, code: found.code, effect: effect, amount: found.Amount}
	stored, _, err := t.Journal.BeginPayment(ctx, journal.Operation{
		Key: key, System: system, Kind: string(found.Kind), OrderID: t.orderID, Reference: found.code, Amount: found.Amount,
		InputHash: inputHash(effect, found.Amount), Request: []byte("{}"), Merchant: t.Merchant, Related: found.of,
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
	t.ids[found.ID] = true // one void is not that of two captures
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
