package starter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// TestATrackingNumberOutlivesARunThatHasYetToBegin: pushed and polled changes come close together, and workers may be away: a parcel's tracking number
// can be told while the run that its first notice has started has not recorded anything. That run knows nothing of the number.
func TestATrackingNumberOutlivesARunThatHasYetToBegin(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "1", nil)).State)
	tracked := w.told(t, parcel("A", "2", func(s *canonical.Shipment) { s.Tracking = "1Z999" }))
	require.Equal(t, journal.InboxPending, tracked.State, "nothing has taken it")
	require.Contains(t, tracked.LastError, "has not ended yet")

	_, err := w.store.RecordShipment(t.Context(), "A", w.engine.inputs[1].(workflows.ShipmentInput).Shipment,
		func([]journal.ShipmentRecord) (canonical.Money, bool) {
			return canonical.NewMoney(amount("24.09"), "USD"), false
		})
	require.NoError(t, err)
	w.engine.ended = map[string]bool{"shipment/A/0001": true}
	require.NoError(t, w.Deliver(t.Context(), tracked))
	require.Equal(t, []string{"order/A", "shipment/A/0001", "shipment/A/0001"}, w.engine.starts)
	require.Equal(t, "1Z999", w.engine.inputs[2].(workflows.ShipmentInput).Shipment.Tracking)
}

// TestAShipmentWhoseRunWasEndedBeforeItBeganRunsAnew: nothing of it is recorded, so that nothing of it was done.
func TestAShipmentWhoseRunWasEndedBeforeItBeganRunsAnew(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "1", nil)).State)
	w.engine.ended = map[string]bool{"shipment/A/0001": true}
	require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "2", nil)).State)
	require.Equal(t, []string{"order/A", "shipment/A/0001", "shipment/A/0001"}, w.engine.starts)
}
