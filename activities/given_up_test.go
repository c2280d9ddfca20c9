package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// TestACaptureThatWasGivenUpIsKnownToTheNextRun: a person's word about money outlives the run that it was given to.
func TestACaptureThatWasGivenUpIsKnownToTheNextRun(t *testing.T) {
	const process, step = "shipment/WEB-1/S1", "capture-shipment"
	for name, test := range map[string]struct {
		item  journal.Attention
		kind  string
		known string
	}{
		"given up":         {journal.Attention{WorkflowID: process, Step: step}, "compensate", "given up by olga: paid by bank transfer"},
		"tried again":      {journal.Attention{WorkflowID: process, Step: step}, "retry", ""},
		"another step":     {journal.Attention{WorkflowID: process, Step: "other-captures"}, "compensate", ""},
		"another shipment": {journal.Attention{WorkflowID: "shipment/WEB-1/S10", Step: step}, "compensate", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			order := c.sold(t, "WEB-1")
			in := activities.RecordShipmentInput{Order: order, Shipment: shipped("S1", shippedLine(1, "A100", "1")), WorkflowID: process, CaptureStep: step}
			first := must(t, c.bank, c.changes.RecordShipment, in)
			require.Empty(t, first.GivenUp)
			test.item.ID, test.item.OrderID, test.item.Class, test.item.Actions = "att-1", "WEB-1", fault.Conflict, []string{"retry", "compensate"}
			require.NoError(t, c.store.Park(t.Context(), test.item))
			require.Equal(t, first, must(t, c.bank, c.changes.RecordShipment, in), "nobody has answered")
			require.NoError(t, c.store.Resolve(t.Context(), "att-1", test.kind, "olga", "paid by bank transfer"))
			require.Equal(t, test.known, must(t, c.bank, c.changes.RecordShipment, in).GivenUp)
		})
	}
}
