package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/starter"
)

// TestAnOrderStaysInTheErpThatItWasTakenFor: its record names the ERP, whose changes alone reach it; a run in another one, where its channel books
// now, would never hear of its shipments and credit memos.
func TestAnOrderStaysInTheErpThatItWasTakenFor(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, w *world, moved *starter.Starter){
		"the sweeper": func(t *testing.T, w *world, moved *starter.Starter) {
			w.now = w.now.Add(6 * time.Second)
			swept, err := moved.Sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, swept.Started)
		},
		"the shop, which asks once more": func(t *testing.T, _ *world, moved *starter.Starter) {
			_, created, err := moved.SubmitOrder(t.Context(), order("A"))
			require.NoError(t, err)
			require.False(t, created)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.engine.startErr = serviceerror.NewUnavailable("away")
			_, _, err := w.SubmitOrder(t.Context(), order("A"))
			require.NoError(t, err)
			w.engine.startErr = nil

			settings, err := config.Load(config.Map(map[string]string{"TENDERLINE_ERP": config.ERPSagepro}))
			require.NoError(t, err)
			moved, err := starter.New(starter.Options{Engine: w.engine, Store: w.store, Channels: settings, Clock: func() time.Time { return w.now }})
			require.NoError(t, err)
			begin(t, w, moved)

			require.Equal(t, []string{"order/A"}, w.engine.starts)
			record, err := w.store.Order(t.Context(), "A")
			require.NoError(t, err)
			require.Equal(t, config.ERPSyspro, record.Erp)
			require.Equal(t, record.Erp, w.engine.order(0).Erp)
		})
	}
}
