package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// journey is a way of an order from start to end.
type journey struct {
	name   string
	buy    buy
	play   func(t *testing.T, r *rig, id string) // what people do on the way
	end    string
	events int // that the shop is told
}

// journeys are the ways whose every call is broken.
var journeys = []journey{
	{name: "sale", end: "confirmed", events: 1},
	{name: "authorization then capture", buy: buy{capture: "after_authorization"}, end: "confirmed", events: 1},
	{name: "held and accepted", buy: buy{scenario: "review"}, end: "confirmed", events: 2, play: func(t *testing.T, r *rig, id string) {
		r.inReview(t, id)
		r.decide(t, id, "accept")
	}},
	{name: "held and rejected", buy: buy{scenario: "review"}, end: "rejected", events: 2, play: func(t *testing.T, r *rig, id string) {
		r.inReview(t, id)
		r.decide(t, id, "reject")
	}},
	{name: "compensated before the invoice", buy: buy{sku: "FAILINV", channel: "undo"}, end: "compensated", events: 1},
	{name: "compensated after the invoice", buy: buy{sku: "FAILPAY", channel: "undo"}, end: "compensated", events: 1},
}

// retried waits until an order parks, and answers that as an operator does once the cause is mended.
func retried(t *testing.T, r *rig, id string) {
	t.Helper()
	r.await(t, id, func(v world.OrderView) bool { return v.NeedsAttention })
	parked, err := r.Parked(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, parked, 1)
	require.NoError(t, r.Resolve(t.Context(), parked[0].ID, "retry"))
	r.await(t, id, func(v world.OrderView) bool { return !v.NeedsAttention })
}

// travel takes a new order along a journey and gives what it left.
func (r *rig) travel(t *testing.T, j journey) summary {
	t.Helper()
	id := r.id()
	r.submit(t, r.order(t, id, j.buy))
	if j.play != nil {
		j.play(t, r, id)
	}
	r.ended(t, id, j.end)
	return r.summarize(t, id, j.events)
}

// call is one call of a journey: the nth of its route at a sandbox.
type call struct {
	sandbox string
	route   string
	nth     int
}

func (c call) String() string {
	name := strings.NewReplacer("POST ", "", "GET ", "get ", "/APIServices/", "", "/pts/v2/", "", "/", ".").Replace(c.route)
	return fmt.Sprintf("%s#%d", name, c.nth)
}

var (
	gatewayID = regexp.MustCompile(`/[0-9]{12,}`)
	searchID  = regexp.MustCompile(`(/tss/v2/searches/).+`)
)

// calls are those that both sandboxes got since a moment, as routes; the sign-in is broken by a test of its own, since it is not part of
// every order.
func (r *rig) calls(t *testing.T, since time.Time) []call {
	t.Helper()
	var found []call
	seen := map[string]int{}
	for _, sandbox := range []string{r.Gateway, r.ERP.URL} {
		var record struct {
			Requests []struct {
				At           time.Time
				Method, Path string
			} `json:"requests"`
		}
		r.get(t, sandbox+"/_sandbox/requests", &record)
		for _, request := range record.Requests {
			if request.At.Before(since) || strings.HasSuffix(request.Path, "/AuthService/Token") {
				continue
			}
			path := searchID.ReplaceAllString(gatewayID.ReplaceAllString(request.Path, "/*"), "$1*")
			c := call{sandbox: sandbox, route: request.Method + " " + path}
			seen[sandbox+c.route]++
			c.nth = seen[sandbox+c.route]
			found = append(found, c)
		}
	}
	return found
}

// breakCall makes one call of the next order fail in a way: the calls of the same route before it pass (a fault that does nothing but
// count takes them; a database counts by itself).
func (r *rig) breakCall(t *testing.T, c call, fault world.Fault) {
	t.Helper()
	if r.ERP.Database && c.sandbox == r.ERP.URL {
		fault.Skip = c.nth - 1
	} else if c.nth > 1 {
		require.NoError(t, r.Break(t.Context(), c.sandbox, world.Fault{Route: c.route, Mode: "delay", DelayMs: 1, Times: c.nth - 1}))
	}
	fault.Route, fault.Times = c.route, 1
	require.NoError(t, r.Break(t.Context(), c.sandbox, fault))
}

// hits counts the requests that faults of a mode have hit at a sandbox.
func (r *rig) hits(t *testing.T, sandbox, mode string) int {
	t.Helper()
	var list struct {
		Faults []struct {
			Mode string `json:"mode"`
			Hits int    `json:"hits"`
		} `json:"faults"`
	}
	r.get(t, sandbox+"/_sandbox/faults", &list)
	hits := 0
	for _, fault := range list.Faults {
		if fault.Mode == mode {
			hits += fault.Hits
		}
	}
	return hits
}

// TestLostAnswers breaks every single call of every journey once, and wants the end that it has undisturbed, with nothing done twice. The
// calls are those that the undisturbed journey makes, so that none can be forgotten.
func TestLostAnswers(t *testing.T) {
	dropped := []world.Fault{{Mode: "drop_after"}}
	every := []world.Fault{
		{Mode: "drop_after"}, {Mode: "drop_before"}, {Mode: "truncate"}, {Mode: "garbage"}, {Mode: "status", Status: http.StatusBadGateway, Reason: "SYSTEM_ERROR"},
	}
	for _, j := range journeys {
		t.Run(j.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, stack.Options{})
			r.travel(t, journey{name: "sale", end: "confirmed", events: 1}) // signs in, warms up
			since := time.Now()
			stock := r.stock(t, "A100")
			want := r.travel(t, j)
			taken := stock - r.stock(t, "A100")
			calls := r.calls(t, since)
			require.GreaterOrEqual(t, len(calls), 8, "the journey makes fewer calls than it has steps: %v", calls)
			faults := dropped
			if j.name == "sale" {
				faults = every
			}
			for _, c := range calls {
				for _, fault := range faults {
					t.Run(fault.Mode+"/"+c.String(), func(t *testing.T) {
						t.Cleanup(func() { r.mend(t) })
						stock := r.stock(t, "A100")
						r.breakCall(t, c, fault)
						require.Equal(t, want, r.travel(t, j))
						require.Equal(t, 1, r.hits(t, c.sandbox, fault.Mode), "the fault was not hit")
						require.InDelta(t, taken, stock-r.stock(t, "A100"), 0, "stock was taken twice")
					})
				}
			}
		})
	}
}

// TestLostSignIn loses the answer to the ERP's sign-in, which is shared by all orders.
func TestLostSignIn(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	sale := journeys[0]
	want := r.travel(t, sale)
	for _, mode := range []string{"drop_after", "drop_before", "truncate", "garbage"} {
		r := start(t, stack.Options{})
		require.NoError(t, r.Break(t.Context(), r.ERP.URL, world.Fault{Route: "POST /APIServices/AuthService/Token", Mode: mode, Times: 1}))
		require.Equal(t, want, r.travel(t, sale), mode)
		require.Equal(t, 1, r.hits(t, r.ERP.URL, mode))
	}
}

// TestFailuresOfTheGateway has the gateway answer with its own failures, some of which took effect all the same.
func TestFailuresOfTheGateway(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	sale, both, undo := journeys[0], journeys[1], journeys[4]
	for name, j := range map[string]journey{"": sale, "capture_": both, "void_": undo, "reversal_": undo} {
		want := r.travel(t, j)
		failures := []string{"system_error", "server_timeout", "service_timeout"}
		if name != "" {
			failures = failures[:1] // the client takes them alike, which the sale has shown
		}
		for _, failure := range failures {
			for _, committed := range []string{"", "_committed"} {
				j.buy.scenario = name + failure + committed
				t.Run(j.buy.scenario, func(t *testing.T) {
					got := r.travel(t, j)
					require.Equal(t, want, got)
				})
			}
		}
	}
}
