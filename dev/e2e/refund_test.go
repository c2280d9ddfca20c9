package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// giveBack is a way of a confirmed order's money back to the buyer.
type giveBack struct {
	name   string
	buy    buy
	before func(t *testing.T, r *rig, id string) // once the order is confirmed; not part of what is broken
	ask    func(t *testing.T, r *rig, id string) // sets the refund off
	refund string                                // its ID
	way    string                                // that the money goes back
	left   string                                // of the order's money
	events int                                   // that the shop is told in all
}

// wish is how a shop sets a refund off.
func wish(wish world.RefundWish) func(*testing.T, *rig, string) {
	return func(t *testing.T, r *rig, id string) {
		t.Helper()
		answer, err := r.AskRefund(t.Context(), id, wish)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
	}
}

// giveBacks are the ways whose every call is broken.
var giveBacks = []giveBack{
	{name: "part", refund: "R-1", way: "refund", left: "28.19", events: 2, ask: wish(world.RefundWish{RefundID: "R-1", Amount: "20.00"})},
	{name: "whole before the batch", refund: "R-1", way: "void", left: "0.00", events: 2, ask: wish(world.RefundWish{RefundID: "R-1", Restock: true})},
	{
		name: "whole after the batch", buy: buy{capture: "after_authorization"}, refund: "R-1", way: "refund", left: "0.00", events: 2,
		before: func(t *testing.T, r *rig, _ string) {
			t.Helper()
			require.NoError(t, r.CloseBatch(t.Context()))
		},
		ask: wish(world.RefundWish{RefundID: "R-1"}),
	},
	{
		name: "line that comes back", refund: "R-1", way: "refund", left: "24.09", events: 2,
		ask: wish(world.RefundWish{RefundID: "R-1", Lines: []world.RefundLine{{Line: 1, Quantity: "1"}}, Restock: true}),
	},
	{
		name: "late reject", buy: buy{scenario: "review", channel: "depot"}, refund: "late-reject", way: "void", left: "0.00", events: 3,
		ask: func(t *testing.T, r *rig, id string) {
			t.Helper()
			holding, err := r.Judge(t.Context(), world.Operator, id, world.Verdict{Decision: "reject"})
			require.NoError(t, err)
			require.True(t, holding.LateReject, "%+v", holding)
			require.NoError(t, r.Resolve(t.Context(), r.parkedAt(t, id, "late-reject").ID, "compensate"))
		},
	},
}

// confirmed takes an order of the way to the point where its money may go back.
func (r *rig) confirmed(t *testing.T, g giveBack) string {
	t.Helper()
	id := r.id()
	r.submit(t, r.order(t, id, g.buy))
	if g.buy.scenario == "review" {
		r.inReview(t, id)
		r.decide(t, id, "accept")
	}
	r.ended(t, id, "confirmed")
	require.Eventually(t, func() bool { return len(r.callbacks(t, id)) == g.events-1 }, patience, 50*time.Millisecond, "the shop was not told")
	if g.before != nil {
		g.before(t, r, id)
	}
	return id
}

// returned waits until the refund has ended and gives what it left.
func (r *rig) returned(t *testing.T, id string, g giveBack) summary {
	t.Helper()
	refund := r.refundEnds(t, id, g.refund)
	require.Equal(t, "completed", refund.Status, "%+v", refund)
	require.Equal(t, g.way, refund.Way)
	r.requireAgreed(t, id, g.left)
	return r.summarize(t, id, g.events)
}

// refundEnds waits until a refund has ended; never meanwhile is more paid back than was taken.
func (r *rig) refundEnds(t *testing.T, id, refundID string) world.Refund {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		money, err := r.Money(t.Context(), id)
		require.NoError(t, err)
		require.False(t, money.Captured.IsNegative(), "more was paid back than was taken: %+v", money.Lines)
		refund, err := r.World.Refund(t.Context(), id, refundID)
		if err == nil && refund.Ended() {
			return refund
		}
		select {
		case <-ctx.Done():
			parked, _ := r.Parked(t.Context(), id)
			require.FailNow(t, "the refund does not end", "%+v (%v)\nparked: %+v\nmoney: %+v", refund, err, parked, money.Lines)
		case <-poll.C:
		}
	}
}

// requireAgreed: gateway and ERP have the same of the buyer's money, what went back is credited, and no hold is left.
func (r *rig) requireAgreed(t *testing.T, id, left string) {
	t.Helper()
	money, err := r.Money(t.Context(), id)
	require.NoError(t, err)
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, left, money.Captured.StringFixed(2), "%+v", money.Lines)
	require.True(t, money.Held.IsZero(), "a hold was left: %+v", money.Lines)
	booked, credited := decimal.Zero, decimal.Zero
	for _, payment := range books.Payments {
		switch {
		case payment["Reversed"] == true || payment["PaymentType"] == "Reversal":
		case payment["PaymentType"] == "Refund":
			booked = booked.Sub(amountOf(t, payment))
		default:
			booked = booked.Add(amountOf(t, payment))
		}
	}
	require.Equal(t, left, booked.StringFixed(2), "receivables: %+v", books.Payments)
	for _, memo := range books.CreditMemos {
		credited = credited.Add(amountOf(t, memo))
	}
	if len(books.Invoices) > 0 {
		require.Equal(t, decimal.RequireFromString("48.19").Sub(money.Captured).StringFixed(2), credited.StringFixed(2), "%+v", books.CreditMemos)
	}
}

func amountOf(t *testing.T, document map[string]any) decimal.Decimal {
	t.Helper()
	value, ok := document["Amount"].(float64)
	require.True(t, ok, "%+v", document)
	return decimal.NewFromFloat(value)
}

// parkedAt waits until an order has one parked step, and gives it.
func (r *rig) parkedAt(t *testing.T, id, step string) world.ParkedItem {
	t.Helper()
	var parked []world.ParkedItem
	require.Eventually(t, func() bool {
		var err error
		parked, err = r.Parked(t.Context(), id)
		return err == nil && len(parked) > 0
	}, patience, 50*time.Millisecond, "nothing is parked")
	require.Len(t, parked, 1)
	require.Equal(t, step, parked[0].Step, "%+v", parked[0])
	return parked[0]
}

// TestLostAnswersOfRefunds loses the answer of every single call of every way back, after it was carried out, and wants the end that it has
// undisturbed: nothing is paid back twice, nothing is credited twice.
func TestLostAnswersOfRefunds(t *testing.T) {
	for _, g := range giveBacks {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, stack.Options{})
			id := r.confirmed(t, g)
			since := time.Now()
			g.ask(t, r, id)
			want := r.returned(t, id, g)
			calls := r.calls(t, since)
			require.GreaterOrEqual(t, len(calls), 4, "the way makes fewer calls than it has steps: %v", calls)
			for _, c := range calls {
				if c.looksAgain() {
					continue
				}
				t.Run(c.String(), func(t *testing.T) {
					t.Cleanup(func() { r.mend(t) })
					id := r.confirmed(t, g)
					r.breakCall(t, c, world.Fault{Mode: "drop_after"})
					g.ask(t, r, id)
					require.Equal(t, want, r.returned(t, id, g))
					require.Equal(t, 1, r.hits(t, c.sandbox, "drop_after"), "the fault was not hit")
				})
			}
		})
	}
}

// looksAgain tells of a repeated look at the gateway's records: how often one looks depends on when they show a transaction.
func (c call) looksAgain() bool { return c.nth > 1 && strings.Contains(c.route, "/tss/v2/") }

// TestVoidThatComesTooLate: the batch leaves while the void is on its way, and the answer that says so is lost as well.
func TestVoidThatComesTooLate(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	g := giveBack{refund: "R-1", way: "refund", left: "0.00", events: 2, ask: wish(world.RefundWish{RefundID: "R-1"})}
	for name, mode := range map[string]string{"answered": "delay", "its answer lost": "drop_after"} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { r.mend(t) })
			id := r.confirmed(t, g)
			r.while(t, r.Gateway, voidRoute, mode, func() { g.ask(t, r, id) }, func() { require.NoError(t, r.CloseBatch(t.Context())) })
			r.returned(t, id, g)
			require.Equal(t, 1, r.kinds(t, id)["refund"], "%v", r.kinds(t, id))
		})
	}
}

// TestEverythingAtOnceOfAPaidOrder asks for refunds of every kind, for a cancel and for a late reject at the same moment: the sum never passes
// what was taken, and gateway, ERP and journal agree on it.
func TestEverythingAtOnceOfAPaidOrder(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	for round := range 3 {
		id := r.confirmed(t, giveBack{buy: buy{scenario: "review"}, events: 3})
		ask := func(wish world.RefundWish) func() {
			return func() { _, _ = r.AskRefund(t.Context(), id, wish) } // who comes too late is refused
		}
		hands := []func(){
			func() { _ = r.Cancel(t.Context(), id) },
			func() { _ = r.Decide(t.Context(), id, "reject") },
			ask(world.RefundWish{RefundID: "ALL"}),
			ask(world.RefundWish{RefundID: "LINE", Lines: []world.RefundLine{{Line: 1, Quantity: "1"}}}),
			ask(world.RefundWish{RefundID: "TWICE", Amount: "7.00"}), ask(world.RefundWish{RefundID: "TWICE", Amount: "7.00"}),
		}
		for i := range 4 {
			hands = append(hands, ask(world.RefundWish{RefundID: fmt.Sprintf("PART-%d", i), Amount: "20.00"}))
		}
		var all sync.WaitGroup
		for i := range hands {
			all.Go(hands[(i+round*3)%len(hands)])
		}
		all.Wait()
		refunds, err := r.Refunds(t.Context(), id)
		require.NoError(t, err)
		require.NotEmpty(t, refunds)
		left := decimal.RequireFromString("48.19")
		for _, refund := range refunds {
			ended := r.refundEnds(t, id, refund.RefundID)
			require.Equal(t, "completed", ended.Status, "a refund that was taken has its money: %+v", ended)
			left = left.Sub(ended.Amount)
		}
		require.False(t, left.IsNegative(), "%+v", refunds)
		// What the late reject proposes is what is left, or nothing.
		if left.IsPositive() {
			require.NoError(t, r.Resolve(t.Context(), r.parkedAt(t, id, "late-reject").ID, "compensate"))
			require.Equal(t, left.StringFixed(2), r.refundEnds(t, id, "late-reject").Amount.StringFixed(2))
		}
		r.requireAgreed(t, id, "0.00")
	}
}

// TestRefundBeforeTheOrderIsConfirmed: all of it is a cancel, a part of it is for later.
func TestRefundBeforeTheOrderIsConfirmed(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	id := r.id()
	r.submit(t, r.order(t, id, buy{scenario: "review"}))
	r.inReview(t, id)
	answer, err := r.AskRefund(t.Context(), id, world.RefundWish{RefundID: "PART", Amount: "1.00"})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, answer.Status, string(answer.Body))
	wish(world.RefundWish{RefundID: "ALL"})(t, r, id)
	r.ended(t, id, "cancelled")
	refund := r.refundEnds(t, id, "ALL")
	require.Equal(t, "completed", refund.Status)
	require.True(t, refund.Cancels)
	r.told(t, id, "order.held", "order.cancelled")
}

// TestWorkerKilledInTheMiddleOfARefund holds refunds in each call that changes something, once so that the call is carried out after the
// worker's death and once so that it is not, kills the worker, and starts another: all of them end as if nothing had been.
func TestWorkerKilledInTheMiddleOfARefund(t *testing.T) {
	t.Parallel()
	r, worker := killable(t)
	worker.start(t)
	type point struct {
		call  call
		way   giveBack
		want  summary
		order string
	}
	var points []point
	for _, g := range giveBacks[:2] {
		id := r.confirmed(t, g)
		since := time.Now()
		g.ask(t, r, id)
		want := r.returned(t, id, g)
		for _, c := range r.calls(t, since) {
			if strings.HasPrefix(c.route, "POST ") && !strings.Contains(c.route, "/searches") {
				points = append(points, point{call: c, way: g, want: want})
			}
		}
	}
	require.GreaterOrEqual(t, len(points), 8, "%v", points)
	for _, committed := range []bool{true, false} {
		for i := range points {
			points[i].order = r.confirmed(t, points[i].way)
		}
		for _, p := range points {
			fault := world.Fault{Mode: "delay", DelayMs: 60_000}
			if !committed {
				fault = world.Fault{Mode: "status", Status: http.StatusServiceUnavailable, Reason: "SYSTEM_ERROR"}
			}
			before := r.hits(t, p.call.sandbox, fault.Mode)
			r.breakCall(t, p.call, fault)
			p.way.ask(t, r, p.order)
			require.Eventually(t, func() bool { return r.hits(t, p.call.sandbox, fault.Mode) >= before+p.call.nth }, patience, 10*time.Millisecond, "%s is not reached", p.call)
		}
		worker.kill(t)
		r.mend(t)
		worker.start(t)
		for _, p := range points {
			t.Run(fmt.Sprintf("%s/%s, carried out: %t", p.way.name, p.call, committed), func(t *testing.T) {
				require.Equal(t, p.want, r.returned(t, p.order, p.way))
			})
		}
	}
}

// TestRefundAsksForItselfOnce repeats a refund and reuses its ID.
func TestRefundAsksForItselfOnce(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	g := giveBacks[0]
	id := r.confirmed(t, g)
	var again sync.WaitGroup
	for range 10 {
		again.Go(func() { _, _ = r.AskRefund(t.Context(), id, world.RefundWish{RefundID: "R-1", Amount: "20.00"}) })
	}
	again.Wait()
	r.returned(t, id, g)
	answer, err := r.AskRefund(t.Context(), id, world.RefundWish{RefundID: "R-1", Amount: "20.00"})
	require.NoError(t, err)
	require.Less(t, answer.Status, 300, string(answer.Body))
	answer, err = r.AskRefund(t.Context(), id, world.RefundWish{RefundID: "R-1", Amount: "20.01"})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, answer.Status, string(answer.Body))
	require.Equal(t, 1, r.kinds(t, id)["refund"])
	require.Equal(t, 1, r.runs(t, "refund/"+id))
	events := []string{}
	for _, told := range r.callbacks(t, id) {
		events = append(events, told.Event)
	}
	slices.Sort(events)
	require.Equal(t, []string{"order.confirmed", "refund.completed"}, events)
}
