package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// inSagepro runs a stack that books all orders in Sage Pro.
func inSagepro(t *testing.T) *rig {
	t.Helper()
	return start(t, stack.Options{Env: map[string]string{"TENDERLINE_ERP": "sagepro"}})
}

// transactions are those that changed something in Sage Pro's database since a moment, each by the statement that tells it best. The nth of a statement
// counts every transaction with such a one, as faults do.
func (r *rig) transactions(t *testing.T, since time.Time) []call {
	t.Helper()
	var record struct {
		Requests []struct {
			At           time.Time
			Method, Path string
			Status       int
			Statements   []string
		} `json:"requests"`
	}
	r.get(t, r.ERP.URL+"/_sandbox/requests", &record)
	var found []call
	seen := map[string]int{}
	for _, request := range record.Requests {
		if request.At.Before(since) {
			continue
		}
		slices.Sort(request.Statements)
		for _, statement := range slices.Compact(request.Statements) {
			seen[statement]++
		}
		if request.Method != "SELECT" && request.Status == http.StatusOK {
			route := request.Method + " " + request.Path
			found = append(found, call{sandbox: r.ERP.URL, route: route, nth: seen[route]})
		}
	}
	return found
}

// noDrift sees that the running totals of the database are what its documents come to.
func (r *rig) noDrift(t *testing.T) {
	t.Helper()
	drifts, err := r.Drifts(t.Context())
	require.NoError(t, err)
	require.Empty(t, drifts)
}

// breakings are what may become of a transaction beside that only its answer is lost.
var breakings = []string{"drop_before", "cut", "deadlock", "locked", "busy"}

// TestLostAnswersThroughSagepro loses the answer to every single transaction of every journey after it was committed, and wants the end that the journey
// has undisturbed, with nothing done twice and no running total off. A sale's transactions meet other troubles too, each another one.
func TestLostAnswersThroughSagepro(t *testing.T) {
	for _, j := range journeys {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			r := inSagepro(t)
			r.travel(t, journey{name: "sale", end: "confirmed", events: 1}) // warms up
			since := time.Now()
			stock := r.stock(t, "A100")
			want := r.travel(t, j)
			taken := stock - r.stock(t, "A100")
			transactions := r.transactions(t, since)
			require.GreaterOrEqual(t, len(transactions), 4, "the journey makes fewer transactions than it has steps: %v", transactions)
			for i, c := range transactions {
				modes := []string{"drop_after"}
				if j.name == "sale" {
					modes = append(modes, breakings[i%len(breakings)])
				}
				for _, mode := range modes {
					t.Run(mode+"/"+c.name(), func(t *testing.T) {
						t.Cleanup(func() { r.mend(t) })
						stock := r.stock(t, "A100")
						r.breakCall(t, c, world.Fault{Mode: mode})
						require.Equal(t, want, r.travel(t, j))
						require.Equal(t, 1, r.hits(t, c.sandbox, mode), "the fault was not hit")
						require.InDelta(t, taken, stock-r.stock(t, "A100"), 0, "stock was taken twice")
						r.noDrift(t)
					})
				}
			}
		})
	}
}

// name is a transaction in a test's name.
func (c call) name() string { return strings.ReplaceAll(c.String(), " ", ".") }

// TestLostAnswersOfRefundsThroughSagepro does the same to every way of an order's money back.
func TestLostAnswersOfRefundsThroughSagepro(t *testing.T) {
	for _, g := range giveBacks {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r := inSagepro(t)
			id := r.confirmed(t, g)
			since := time.Now()
			g.ask(t, r, id)
			want := r.returned(t, id, g)
			transactions := r.transactions(t, since)
			require.GreaterOrEqual(t, len(transactions), 2, "the way makes fewer transactions than it has steps: %v", transactions)
			for _, c := range transactions {
				t.Run(c.name(), func(t *testing.T) {
					t.Cleanup(func() { r.mend(t) })
					id := r.confirmed(t, g)
					r.breakCall(t, c, world.Fault{Mode: "drop_after"})
					g.ask(t, r, id)
					require.Equal(t, want, r.returned(t, id, g))
					require.Equal(t, 1, r.hits(t, c.sandbox, "drop_after"), "the fault was not hit")
					r.noDrift(t)
				})
			}
		})
	}
}

// TestAnswersOfASettlementDayAreLostThroughSagepro loses the answer to each posting of a day after it was committed.
func TestAnswersOfASettlementDayAreLostThroughSagepro(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_ERP": "sagepro", "TENDERLINE_SETTLEMENT_FEES": "invoice"}})
	date := r.sell(t, 2)
	for _, route := range []string{"INSERT glbatch", "INSERT apmast"} {
		require.NoError(t, r.Break(t.Context(), r.ERP.URL, world.Fault{Route: route, Mode: "drop_after", Times: 1}))
	}
	for range 2 { // a rerun posts nothing
		r.settle(t, date)
		r.postedOnce(t, date, 2)
		require.Equal(t, 1, r.feeInvoices(t))
	}
	require.Equal(t, 2, r.hits(t, r.ERP.URL, "drop_after"))
	r.noDrift(t)
}

// TestAnOrderIsRefundedAfterThePeriodClose: the close has moved the order, its invoice and its receipt to the history tables.
func TestAnOrderIsRefundedAfterThePeriodClose(t *testing.T) {
	t.Parallel()
	r := inSagepro(t)
	g := giveBacks[0]
	want := func() summary {
		id := r.confirmed(t, g)
		g.ask(t, r, id)
		return r.returned(t, id, g)
	}()
	id := r.confirmed(t, g)
	r.post(t, r.ERP.URL+"/_sandbox/close-period", map[string]any{})
	tables, err := r.Tables(t.Context())
	require.NoError(t, err)
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(tables["soymst"], func(row world.Row) bool { return row.Text("sono") == books.SalesOrders[0]["SalesOrder"] }), "the order was not moved")
	g.ask(t, r, id)
	require.Equal(t, want, r.returned(t, id, g))
	r.noDrift(t)
}

// TestTheERPKeepsEverybodyOut: while a period is closed every transaction finds the tables in use, for as long as it takes; orders wait for it and nobody has
// to be asked.
func TestTheERPKeepsEverybodyOut(t *testing.T) {
	t.Parallel()
	r := inSagepro(t)
	require.NoError(t, r.Break(t.Context(), r.ERP.URL, world.Fault{Route: "* somast", Mode: "busy"}))
	id := r.id()
	r.submit(t, r.order(t, id, buy{}))
	require.NoError(t, r.Hit(t.Context(), r.ERP.URL, 5, patience))
	view, err := r.Order(t.Context(), id)
	require.NoError(t, err)
	require.False(t, view.NeedsAttention || view.Final(), "%+v", view)
	r.mend(t)
	r.ended(t, id, "confirmed")
	r.noDrift(t)
}
