package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// TestRecordHistoriesOfShipments plays an order that is captured parcel by parcel, the last parcel included, and a dispute that is won, and reads
// the histories as TestRecordHistories does.
func TestRecordHistoriesOfShipments(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_SYSPRO_CHANGES_INTERVAL": "1s"}})
	date := r.sell(t, 1)

	id := r.id()
	r.submit(t, r.order(t, id, buy{channel: "depot", capture: "on_shipment"}))
	r.await(t, id, func(v world.OrderView) bool { return v.Status == "confirmed" })
	parcels := []world.Parcel{
		{OrderNumber: id, Carrier: "UPS", TrackingNumber: "1Z901", Lines: []world.ParcelLine{{SalesOrderLine: 1, Quantity: "1"}}},
		{OrderNumber: id, Carrier: "UPS", TrackingNumber: "1Z902", Invoice: true},
	}
	for i, name := range []string{"Shipment_part_captured", "Shipment_last_captured"} {
		number, err := r.Ship(t.Context(), parcels[i])
		require.NoError(t, err)
		shipment := r.run(t, "Shipment", fmt.Sprintf("WorkflowId = %q", workflows.ShipmentWorkflowID(id, number)))
		r.keepHistory(t, shipment, name)
	}
	require.Eventually(t, func() bool {
		view, err := r.Order(t.Context(), id)
		return err == nil && view.Status == "shipped"
	}, patience, 50*time.Millisecond)

	disputed := fmt.Sprintf("E2E-%04d", 1)
	opened, err := r.OpenDispute(t.Context(), disputed, "15.00")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	_, err = r.EndDispute(t.Context(), opened.Case, "won")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	r.keepHistory(t, workflows.ChargebackWorkflowID(opened.Case), "Chargeback_won")
}
