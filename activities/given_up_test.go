package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// TestWhatPeopleAnsweredIsKnownToTheNextRun: a person's word about money outlives the run that it was given to.
func TestWhatPeopleAnsweredIsKnownToTheNextRun(t *testing.T) {
	const process, capture, book = "shipment/WEB-1/S1", "capture-shipment", "book-shipment"
	for name, test := range map[string]struct {
		process, step, kind string
		givenUp, byHand     string
	}{
		"given up":               {process, capture, "compensate", "given up by olga: paid by bank transfer", ""},
		"captured after all":     {process, capture, "retry", "", ""},
		"booked by hand":         {process, book, "skip", "", "left out by olga: paid by bank transfer"},
		"booked after all":       {process, book, "retry", "", ""},
		"of another step":        {process, "other-captures", "compensate", "", ""},
		"of another shipment":    {"shipment/WEB-1/S10", capture, "compensate", "", ""},
		"of another one's books": {"shipment/WEB-1/S10", book, "skip", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChanging(t)
			order := c.sold(t, "WEB-1")
			in := activities.RecordShipmentInput{
				Order: order, Shipment: shipped("S1", shippedLine(1, "A100", "1")), WorkflowID: process, CaptureStep: capture, BookStep: book,
			}
			first := must(t, c.bank, c.changes.RecordShipment, in)
			require.Empty(t, first.GivenUp+first.ByHand)
			require.NoError(t, c.store.Park(t.Context(), journal.Attention{
				ID: "att-1", OrderID: "WEB-1", WorkflowID: test.process, Step: test.step, Class: fault.Conflict, Actions: []string{test.kind},
			}))
			require.Equal(t, first, must(t, c.bank, c.changes.RecordShipment, in), "nobody has answered")
			require.NoError(t, c.store.Resolve(t.Context(), "att-1", test.kind, "olga", "paid by bank transfer"))
			again := must(t, c.bank, c.changes.RecordShipment, in)
			require.Equal(t, []string{test.givenUp, test.byHand}, []string{again.GivenUp, again.ByHand})
		})
	}
}
