package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
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

// TestCodesOfOneErpNeverGoToAnother: branch, warehouse and bank of a channel are those of the ERP that it books in now. An order that is in another one is
// refunded, shipped and credited without them: by that ERP's defaults, and never by a code that means something else there.
func TestCodesOfOneErpNeverGoToAnother(t *testing.T) {
	for erp, site := range map[string]activities.Site{config.ERPSyspro: {"bank": "B7"}, config.ERPSagepro: nil} {
		t.Run(erp, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderConfirmed)
			settings, err := config.Load(config.Map(map[string]string{"TENDERLINE_CHANNELS": `{"web-us":{"erp":"` + erp + `","site":{"bank":"B7"}}}`}))
			require.NoError(t, err)
			w.Starter, err = starter.New(starter.Options{Engine: w.engine, Store: w.store, Channels: settings, Clock: func() time.Time { return w.now }})
			require.NoError(t, err)

			require.Equal(t, journal.InboxDelivered, w.told(t, memo("A", nil)).State)
			require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "1", nil)).State)
			_, _, err = w.RequestRefund(t.Context(), "A", starter.RefundRequest{RefundID: "R-1", Actor: "olga", Origin: workflows.OriginOperator})
			require.NoError(t, err)
			w.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) {
				return workflows.DecisionAnswer{Decision: canonical.FraudAccept, Actor: "ann", Late: true}, nil
			}
			_, err = w.Decide(t.Context(), "A", workflows.Decision{Decision: canonical.FraudReject, Actor: "bea", Source: workflows.SourceAPI})
			require.NoError(t, err)

			sites := map[string]activities.Site{}
			for _, in := range w.engine.inputs[1:] {
				switch in := in.(type) {
				case workflows.CreditMemoInput:
					sites["credit memo in "+in.Erp] = in.Site
				case workflows.ShipmentInput:
					sites["shipment in "+in.Erp] = in.Site
				case workflows.RefundInput:
					sites["refund in "+in.Erp] = in.Site
				case workflows.LateRejectInput:
					sites["late reject in "+in.Erp] = in.Site
				}
			}
			require.Equal(t, map[string]activities.Site{
				"credit memo in syspro": site, "shipment in syspro": site, "refund in syspro": site, "late reject in syspro": site,
			}, sites)
		})
	}
}
