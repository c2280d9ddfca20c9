package activities_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

// history plays what processes may do with one order's money, in any sequence, over a gateway that fails in every way.
type history struct {
	*bank
	order    canonical.Order
	attempts map[string]int
	last     activities.AuthorizePaymentInput
	captured string                          // the authorization that the last capture was for: another one is another attempt
	refunded string                          // likewise, what the last refund was of
	parcel   activities.CaptureShipmentInput // the last shipment: carried on until it is captured or refused
}

// attempt is a step's business attempt, from 1.
func (h *history) attempt(step string) int { return h.attempts[step] + 1 }

// answered opens the next business attempt of a step after a refusal, as the workflow does.
func (h *history) answered(t tb, step string, err error) {
	failure := application(err)
	if failure == nil {
		require.NoError(t, err, "%+v", h.server.Ledger().Transactions)
		return
	}
	require.NotEqual(t, string(fault.Bug), failure.Type(), "%v", err)
	if !fault.Kind(failure.Type()).Retryable() {
		h.attempts[step]++
	}
}

// play runs a step: to its end, or, as after a crash, only once.
func play[I, O any](h *history, toTheEnd bool, activity func(context.Context, I) (O, error), in I) (O, error) {
	if toTheEnd {
		return finish(h.bank, activity, in)
	}
	return try(h.bank, activity, in)
}

func (h *history) authorize(t tb, card string, capture, toTheEnd bool) {
	h.last = paying(t, h.order, h.attempt("authorize"), card, capture)
	h.repeat(t, toTheEnd)
}

// repeat carries the last authorization on: what was begun under a key is never begun otherwise.
func (h *history) repeat(t tb, toTheEnd bool) {
	if h.last.OrderID == "" {
		return
	}
	auth, err := play(h, toTheEnd, h.payments.AuthorizePayment, h.last)
	h.answered(t, "authorize", err)
	if err != nil && fault.Kind(application(err).Type()).Retryable() {
		return
	}
	if err == nil && h.last.Attempt == h.attempt("authorize") && auth.Result != "" {
		h.attempts["authorize"]++ // whatever it came to, another payment is another attempt
	}
	h.last = activities.AuthorizePaymentInput{}
}

func (h *history) capture(t tb, toTheEnd bool) {
	payment, err := h.store.Payment(context.Background(), h.order.OrderID)
	if err != nil || !payment.Authorized.Equal(dec(total)) {
		return
	}
	if payment.AuthorizationID != h.captured {
		h.captured = payment.AuthorizationID
		h.attempts["capture"]++
	}
	_, err = play(h, toTheEnd, h.payments.CapturePayment, capturing(h.order.OrderID, payment.AuthorizationID, h.attempt("capture")))
	h.answered(t, "capture", err)
}

// ship captures the next shipment, or carries the last one on. A final one may be followed by others all the same: nobody may rely on that it
// is not.
func (h *history) ship(t tb, cents int64, final, toTheEnd bool) {
	payment, err := h.store.Payment(context.Background(), h.order.OrderID)
	if err != nil || !payment.Authorized.Equal(dec(total)) {
		return
	}
	if h.parcel.OrderID == "" {
		h.attempts["shipments"]++
		h.parcel = shipping(h.attempts["shipments"], decimal.New(cents, -2).StringFixed(2), final)
	}
	_, err = play(h, toTheEnd, h.payments.CaptureShipment, h.parcel)
	h.answered(t, "ship", err)
	if failure := application(err); failure == nil || !fault.Kind(failure.Type()).Retryable() {
		h.parcel = activities.CaptureShipmentInput{}
	}
}

func (h *history) undo(t tb, step string, toTheEnd bool) activities.Undone {
	steps := map[string]func(context.Context, activities.UndoPaymentInput) (activities.Undone, error){
		"void": h.payments.VoidCapture, "reverse": h.payments.ReverseAuthorization, "refund": h.payments.RefundCapture,
	}
	if payment, err := h.store.Payment(context.Background(), h.order.OrderID); err == nil && payment.CaptureID != h.refunded {
		h.refunded = payment.CaptureID
		h.attempts["refund"]++
	}
	undone, err := play(h, toTheEnd, steps[step], undoing(h.order.OrderID, h.attempt(step)))
	h.answered(t, step, err)
	return undone
}

// requireSane holds at every moment.
func (h *history) requireSane(t tb) {
	h.requireOneLive(t, h.order.OrderID)
	for _, sums := range h.server.Balances(h.order.OrderID) {
		require.False(t, sums.Net.IsNegative(), "more paid back than taken: %+v", sums)
		require.False(t, sums.Captured.GreaterThan(dec(total)), "taken twice: %+v", sums)
		require.False(t, sums.Held.Add(sums.Captured).GreaterThan(dec(total)), "held and taken: %+v", sums)
	}
}

// takeEverythingBack is the compensation with a gateway that works again.
func (h *history) takeEverythingBack(t tb) {
	h.healed(t)
	h.clock.Advance(time.Hour) // the index has caught up
	h.payments.Timing.Budget = 1000 * time.Hour
	for range 8 {
		switch h.undo(t, "void", true).Result {
		case activities.UndoDone, activities.UndoNothing:
		default: // too late, or a refund that was begun stands in its way
			h.undo(t, "refund", true)
		}
		h.undo(t, "reverse", true)
		payment, err := h.store.Payment(context.Background(), h.order.OrderID)
		if err != nil || !payment.Open && payment.Refundable.IsZero() && payment.Capturable.IsZero() {
			return
		}
		h.parcel = activities.CaptureShipmentInput{}
	}
	operations, err := h.store.Operations().ByOrder(context.Background(), h.order.OrderID)
	require.NoError(t, err)
	for _, o := range operations {
		t.Errorf("%s %s, sent %d times, %q", o.Key, o.State, o.Sends, o.Detail)
	}
	require.Fail(t, "the compensation does not end", "%+v", h.server.Ledger().Transactions)
}

// breakable are the gateway's routes that may fail, and how.
var (
	breakable = []string{"POST /pts/v2/**", payRoute, captureRoute, "POST /pts/v2/payments/*/voids", "POST /pts/v2/captures/*/voids", "POST /pts/v2/payments/*/reversals",
		"POST /pts/v2/payments/*/refunds", "POST /pts/v2/captures/*/refunds", "POST /pts/v2/reversals", "POST /pts/v2/voids", searchRoute, detailsRoute}
	breaks = []string{"drop_after", "drop_after", "truncate", "drop_before", "garbage", "status"}
	lags   = []time.Duration{0, indexLag, 30 * time.Second, 3 * time.Minute, 40 * time.Minute}
)

func TestMoneyMovesOnceWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{attempts: map[string]int{}}
		parts := rapid.Bool().Draw(rt, "captured in parts")
		h.bank = newBank(t, withLag(rapid.SampledFrom(lags).Draw(rt, "search lag"), rapid.SampledFrom(lags[:4]).Draw(rt, "details lag")),
			func(_ *bank, c *sandbox.Config) { c.MultiCapture, c.PartialReversals = parts, parts })
		h.payments.Timing.Lag = 30 * time.Second // fewer look-ups
		h.payments.GuardVerified = rapid.Bool().Draw(rt, "guard verified")
		h.order = h.bank.order(t, "WEB-1")
		end := func() bool { return rapid.Bool().Draw(rt, "to the end") }
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) { h.requireSane(rt) },
			"authorize": func(rt *rapid.T) {
				if h.last.OrderID != "" {
					h.repeat(rt, end())
					return
				}
				cards := []string{cardApproved, cardApproved, cardApproved, cardDeclined, cardPartial, cardRiskDeclined, "99"}
				h.authorize(rt, rapid.SampledFrom(cards).Draw(rt, "card"), rapid.Bool().Draw(rt, "capture"), end())
			},
			"capture": func(rt *rapid.T) { h.capture(rt, end()) },
			"ship": func(rt *rapid.T) {
				h.ship(rt, rapid.Int64Range(1, 3000).Draw(rt, "cents"), rapid.IntRange(0, 3).Draw(rt, "final") == 0, end())
			},
			"void":    func(rt *rapid.T) { h.undo(rt, "void", end()) },
			"reverse": func(rt *rapid.T) { h.undo(rt, "reverse", end()) },
			"refund":  func(rt *rapid.T) { h.undo(rt, "refund", end()) },
			"batch":   func(rt *rapid.T) { h.closeBatch(rt) },
			"wait": func(rt *rapid.T) {
				h.clock.Advance(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second)
			},
			"break": func(rt *rapid.T) {
				h.broken(rt, rapid.SampledFrom(breakable).Draw(rt, "route"), rapid.SampledFrom(breaks).Draw(rt, "mode"), rapid.IntRange(1, 3).Draw(rt, "times"))
			},
			"heal": func(rt *rapid.T) { h.healed(rt) },
		})
		h.takeEverythingBack(rt)
		h.requireSane(rt)
		h.requireJournal(rt, h.order.OrderID)
		sums := h.server.Balances(h.order.OrderID)
		for _, sum := range sums {
			require.True(rt, sum.Held.IsZero() && sum.Net.IsZero(), "something is left: %+v", sum)
		}
		operations, err := h.store.Operations().ByOrder(context.Background(), h.order.OrderID)
		require.NoError(rt, err)
		for _, operation := range operations {
			require.True(rt, operation.State.Final(), "%s is %s", operation.Key, operation.State)
			require.NotEqual(rt, journal.OperationIntent, operation.State)
		}
	})
}

// refunding is a refund in the course of a history.
type refunding struct {
	amount   string
	way      activities.RefundWay
	attempts map[activities.RefundWay]int
	ended    bool
}

// refunds plays refunds of one order's payment beside what somebody does to it in the gateway's console.
type refunds struct {
	*history
	byID    map[string]*refunding
	records time.Duration // how far they are behind
}

// carryOn brings a refund one step forward, as its process does: plan, void or refund or reversal, release of the hold.
func (r *refunds) carryOn(t tb, id string, toTheEnd bool) {
	refund := r.byID[id]
	if refund.ended {
		return
	}
	if refund.way == "" {
		plan, err := play(r.history, toTheEnd, r.payments.PlanRefund, planning(id, refund.amount))
		r.fine(t, err)
		if err == nil && plan.Way == activities.WayNone {
			require.NotEmpty(t, plan.Refused)
			refund.ended = true
		} else if err == nil {
			refund.way = plan.Way
		}
		return
	}
	steps := map[activities.RefundWay]func(context.Context, activities.UndoPaymentInput) (activities.Undone, error){
		activities.WayVoid: r.payments.VoidCapture, activities.WayReversal: r.payments.ReverseAuthorization, activities.WayRefund: r.payments.RefundCapture,
	}
	undone, err := play(r.history, toTheEnd, steps[refund.way], payingBack(id, refund.amount, refund.attempts[refund.way]+1))
	r.fine(t, err)
	if failure := application(err); failure != nil && !fault.Kind(failure.Type()).Retryable() {
		refund.attempts[refund.way]++
		refund.way = "" // planned anew
	}
	if err == nil {
		r.after(t, refund, undone)
	}
}

// after is what a refund does upon the answer of its step.
func (r *refunds) after(t tb, refund *refunding, undone activities.Undone) {
	switch {
	case undone.Result == activities.UndoRefused:
		require.NotEmpty(t, undone.Why)
		refund.ended = true
	case undone.Result == activities.UndoTooLate:
		require.Equal(t, activities.WayVoid, refund.way)
		refund.way = activities.WayRefund
	case undone.Result == activities.UndoNothing:
		refund.way = ""
	case refund.way == activities.WayVoid:
		refund.way = activities.WayReversal // of the hold that the void leaves
	default:
		refund.ended = true
	}
}

// fine: whatever fails, it is no bug of ours.
func (r *refunds) fine(t tb, err error) {
	if err == nil {
		return
	}
	failure := application(err)
	require.NotNil(t, failure, "%v", err)
	require.NotEqual(t, string(fault.Bug), failure.Type(), "%v: %+v", err, r.server.Ledger().Transactions)
}

// byHand does in the console what the payment's state there allows; a person sees only what we, too, know to be there.
func (r *refunds) byHand(rt *rapid.T) {
	payment, err := r.store.Payment(context.Background(), r.order.OrderID)
	if err != nil || payment.AuthorizationID == "" {
		return
	}
	action := rapid.SampledFrom([]string{"void", "refund", "refund", "capture", "reverse", "expire"}).Draw(rt, "by hand")
	id, amount := payment.AuthorizationID, ""
	if action == "void" || action == "refund" {
		id = payment.CaptureID
	}
	sums := r.server.Balances(r.order.OrderID)[0]
	switch {
	case id == "":
		return
	case action == "void" && sums.Refunded.IsPositive():
		return // the gateway would give it back twice
	case action == "refund":
		if !sums.Net.IsPositive() {
			return
		}
		cents := rapid.Int64Range(1, sums.Net.Shift(2).IntPart()).Draw(rt, "cents")
		amount = decimal.New(cents, -2).StringFixed(2)
	}
	if action == "expire" {
		r.tryPost(rt, "/_sandbox/expire", map[string]any{"id": id})
		return
	}
	r.tryPost(rt, "/_sandbox/console", map[string]any{"id": id, "action": action, "amount": amount, "silent": rapid.Bool().Draw(rt, "silent")})
	r.clock.Advance(r.records) // nobody can count what the gateway's own records do not show yet
}

// end carries everything to its end with a gateway that works again, then pays back all that is left.
func (r *refunds) end(t tb) {
	r.healed(t)
	r.clock.Advance(time.Hour)
	r.payments.Timing.Budget = 1000 * time.Hour
	for range 12 {
		for id := range r.byID {
			r.carryOn(t, id, true)
		}
	}
	for i := range 12 {
		id := fmt.Sprintf("LAST-%d", i)
		r.clock.Advance(r.records)
		must(t, r.bank, r.payments.PlanRefund, planning(id, "0.01")) // takes over what the console did last
		r.requireJournal(t, r.order.OrderID)
		payment, err := r.store.Payment(context.Background(), r.order.OrderID)
		left := payment.Refundable
		if err == nil && !left.IsPositive() {
			if left = payment.Capturable; left.IsPositive() && payment.Captured.IsPositive() {
				r.undo(t, "reverse", true) // beside what was captured, a hold is no refund's
				continue
			}
		}
		if err != nil || !left.IsPositive() {
			return
		}
		r.byID[id] = &refunding{amount: left.StringFixed(2), attempts: map[activities.RefundWay]int{}}
		for range 6 {
			r.carryOn(t, id, true)
		}
	}
	require.Fail(t, "something is left", "%+v", r.server.Ledger().Transactions)
}

func TestTheJournalIsTheGatewaysWhateverTheConsoleDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &refunds{history: &history{attempts: map[string]int{}}, byID: map[string]*refunding{}}
		released, parts := rapid.Bool().Draw(rt, "holds released after voids"), rapid.Bool().Draw(rt, "captured in parts")
		r.records = rapid.SampledFrom(lags[:4]).Draw(rt, "details lag")
		r.bank = newBank(t, withLag(rapid.SampledFrom(lags).Draw(rt, "search lag"), r.records),
			func(_ *bank, c *sandbox.Config) {
				c.AutoVoidReversal, c.MultiCapture, c.PartialReversals = released, parts, parts
			})
		r.payments.Timing.Lag = 30 * time.Second
		r.payments.GuardVerified = rapid.Bool().Draw(rt, "guard verified")
		r.order = r.bank.order(t, "WEB-1")
		end := func() bool { return rapid.Bool().Draw(rt, "to the end") }
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) { r.requireSane(rt) },
			"authorize": func(rt *rapid.T) {
				if r.last.OrderID != "" {
					r.repeat(rt, end())
					return
				}
				cards := []string{cardApproved, cardApproved, cardApproved, cardDeclined, cardPartial}
				r.authorize(rt, rapid.SampledFrom(cards).Draw(rt, "card"), rapid.Bool().Draw(rt, "capture"), end())
			},
			"capture": func(rt *rapid.T) { r.capture(rt, end()) },
			"ship": func(rt *rapid.T) {
				r.ship(rt, rapid.Int64Range(1, 3000).Draw(rt, "cents"), rapid.IntRange(0, 3).Draw(rt, "final") == 0, end())
			},
			"refund": func(rt *rapid.T) {
				id := rapid.SampledFrom([]string{"R-1", "R-2", "R-3", "R-4"}).Draw(rt, "refund")
				if r.byID[id] == nil {
					amounts := []string{total, total, "0.01", "20.00", "28.19", "48.20"}
					r.byID[id] = &refunding{amount: rapid.SampledFrom(amounts).Draw(rt, "amount"), attempts: map[activities.RefundWay]int{}}
				}
				r.carryOn(rt, id, end())
			},
			"by hand": func(rt *rapid.T) { r.byHand(rt) },
			"batch":   func(rt *rapid.T) { r.closeBatch(rt) },
			"wait": func(rt *rapid.T) {
				r.clock.Advance(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second)
			},
			"break": func(rt *rapid.T) {
				r.broken(rt, rapid.SampledFrom(breakable).Draw(rt, "route"), rapid.SampledFrom(breaks).Draw(rt, "mode"), rapid.IntRange(1, 3).Draw(rt, "times"))
			},
			"heal": func(rt *rapid.T) { r.healed(rt) },
		})
		r.end(rt)
		r.requireSane(rt)
		r.requireJournal(rt, r.order.OrderID)
		for _, sum := range r.server.Balances(r.order.OrderID) {
			require.True(rt, sum.Held.IsZero() && sum.Net.IsZero(), "something is left: %+v", sum)
		}
	})
}
