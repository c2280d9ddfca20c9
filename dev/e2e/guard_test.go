package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	gatewaysandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

const (
	payRoute  = "POST /pts/v2/payments"
	voidRoute = "POST /pts/v2/*/*/voids"
)

// unguarded is a merchant whose processor does not refuse a repeated transactionId: an authorization that may have arrived must never be
// sent again.
func unguarded(t *testing.T, change func(*gatewaysandbox.Config)) *rig {
	t.Helper()
	return start(t, stack.Options{
		Env: map[string]string{"TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD": "unverified"},
		Gateway: func(c *gatewaysandbox.Config) {
			c.IgnoreTransactionIDs = true
			if change != nil {
				change(c)
			}
		},
	})
}

// kinds counts the transactions of an order by kind.
func (r *rig) kinds(t *testing.T, id string) map[string]int {
	t.Helper()
	money, err := r.Money(t.Context(), id)
	require.NoError(t, err)
	counted := map[string]int{}
	for _, line := range money.Lines {
		counted[line.Kind]++
	}
	return counted
}

// sentPayments counts what was sent to the payments route.
func (r *rig) sentPayments(t *testing.T, since time.Time) int {
	t.Helper()
	sent := 0
	for _, c := range r.calls(t, since) {
		if c.route == payRoute {
			sent++
		}
	}
	return sent
}

func TestLostAuthorizationWithoutAGuard(t *testing.T) {
	t.Parallel()
	r := unguarded(t, nil)
	r.travel(t, journeys[0])

	t.Run("after commit it is found and adopted", func(t *testing.T) {
		since, id := time.Now(), r.id()
		require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_after", Times: 1}))
		r.submit(t, r.order(t, id, buy{}))
		r.ended(t, id, "confirmed")
		require.Equal(t, map[string]int{"auth": 1, "capture": 1}, r.kinds(t, id))
		require.Equal(t, 1, r.sentPayments(t, since))
	})
	t.Run("before commit it is timed out and attempted anew", func(t *testing.T) {
		since, id := time.Now(), r.id()
		require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_before", Times: 1}))
		r.submit(t, r.order(t, id, buy{}))
		r.ended(t, id, "confirmed")
		require.Equal(t, map[string]int{"auth": 1, "capture": 1}, r.kinds(t, id))
		require.Equal(t, 2, r.sentPayments(t, since))
		require.Positive(t, r.requests(t, r.Gateway, "POST /pts/v2/reversals", since), "a new attempt without a time-out reversal")
	})
	t.Run("lost again and again", func(t *testing.T) {
		id := r.id()
		require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_before", Times: 2}))
		require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: "POST /pts/v2/reversals", Mode: "drop_after", Times: 1}))
		r.submit(t, r.order(t, id, buy{}))
		r.ended(t, id, "confirmed")
		require.Equal(t, map[string]int{"auth": 1, "capture": 1}, r.kinds(t, id))
	})
}

// TestLostAuthorizationThatTheSearchDoesNotShow: the index is so late that the authorization looks absent. Its time-out reversal takes
// back what is there before another is asked for.
func TestLostAuthorizationThatTheSearchDoesNotShow(t *testing.T) {
	t.Parallel()
	r := unguarded(t, func(c *gatewaysandbox.Config) { c.SearchLag, c.DetailsLag = time.Hour, time.Hour })
	id := r.id()
	require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_after", Times: 1}))
	r.submit(t, r.order(t, id, buy{}))
	r.ended(t, id, "confirmed")
	require.Equal(t, map[string]int{"auth": 2, "reversal": 1, "capture": 1}, r.kinds(t, id))
}

// requests counts the requests of a route since a moment.
func (r *rig) requests(t *testing.T, sandbox, route string, since time.Time) int {
	t.Helper()
	count := 0
	for _, c := range r.calls(t, since) {
		if c.sandbox == sandbox && c.route == route {
			count++
		}
	}
	return count
}
