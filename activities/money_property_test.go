package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// history plays what processes may do with one order's money, in any sequence, over a gateway that fails in every way.
type history struct {
	*bank
	order    canonical.Order
	attempts map[string]int
	last     activities.AuthorizePaymentInput
	captured string // the authorization that the last capture was for: another one is another attempt
	refunded string // likewise, what the last refund was of
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
	}
	operations, err := h.store.Operations().ByOrder(context.Background(), h.order.OrderID)
	require.NoError(t, err)
	for _, o := range operations {
		t.Errorf("%s %s, sent %d times, %q", o.Key, o.State, o.Sends, o.Detail)
	}
	require.Fail(t, "the compensation does not end", "%+v", h.server.Ledger().Transactions)
}

func TestMoneyMovesOnceWhateverHappens(t *testing.T) {
	routes := []string{"POST /pts/v2/**", payRoute, captureRoute, "POST /pts/v2/payments/*/voids", "POST /pts/v2/captures/*/voids", "POST /pts/v2/payments/*/reversals",
		"POST /pts/v2/payments/*/refunds", "POST /pts/v2/captures/*/refunds", "POST /pts/v2/reversals", "POST /pts/v2/voids", searchRoute, detailsRoute}
	modes := []string{"drop_after", "drop_after", "truncate", "drop_before", "garbage", "status"}
	rapid.Check(t, func(rt *rapid.T) {
		lags := []time.Duration{0, indexLag, 30 * time.Second, 3 * time.Minute, 40 * time.Minute}
		h := &history{attempts: map[string]int{}}
		h.bank = newBank(t, withLag(rapid.SampledFrom(lags).Draw(rt, "search lag"), rapid.SampledFrom(lags[:4]).Draw(rt, "details lag")))
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
			"void":    func(rt *rapid.T) { h.undo(rt, "void", end()) },
			"reverse": func(rt *rapid.T) { h.undo(rt, "reverse", end()) },
			"refund":  func(rt *rapid.T) { h.undo(rt, "refund", end()) },
			"batch":   func(rt *rapid.T) { h.closeBatch(rt) },
			"wait": func(rt *rapid.T) {
				h.clock.Advance(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second)
			},
			"break": func(rt *rapid.T) {
				h.broken(rt, rapid.SampledFrom(routes).Draw(rt, "route"), rapid.SampledFrom(modes).Draw(rt, "mode"), rapid.IntRange(1, 3).Draw(rt, "times"))
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
