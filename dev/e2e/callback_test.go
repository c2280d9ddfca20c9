package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

// TestShopIsTold: whatever becomes of a delivery, the shop has each message in the end, under one ID.
func TestShopIsTold(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	tests := map[string]struct {
		fault      world.Fault
		deliveries int // that reach the shop's ledger
	}{
		"answer lost":  {world.Fault{Mode: "drop_after", Times: 1}, 2},
		"never there":  {world.Fault{Mode: "drop_before", Times: 1}, 1},
		"shop is down": {world.Fault{Mode: "status", Status: http.StatusServiceUnavailable, Times: 1}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { r.mend(t) })
			test.fault.Route = "POST /callbacks"
			require.NoError(t, r.Break(t.Context(), r.Shop, test.fault))
			id := r.id()
			r.submit(t, r.order(t, id, buy{}))
			r.ended(t, id, "confirmed")
			require.Eventually(t, func() bool {
				told := r.callbacks(t, id)
				return len(told) == 1 && told[0].Verified && told[0].Event == "order.confirmed" && told[0].Deliveries == test.deliveries
			}, patience, 50*time.Millisecond, "the shop was not told as often as it should be")
		})
	}
}
