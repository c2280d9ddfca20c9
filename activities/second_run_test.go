package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// closedErp is one whose posting period is closed.
type closedErp struct {
	erp.Port
	erp.ChangePort
}

func (closedErp) PostReceipt(context.Context, string, erp.Document) (canonical.Receipt, error) {
	return canonical.Receipt{}, &fault.Fault{Kind: fault.ClosedPeriod, System: "erp-syspro", Code: "PERIOD_CLOSED"}
}

func (closedErp) ApplyDeposit(context.Context, string, erp.DepositApplication) (canonical.Receipt, error) {
	return canonical.Receipt{}, &fault.Fault{Kind: fault.ClosedPeriod, System: "erp-syspro", Code: "PERIOD_CLOSED"}
}

func (closedErp) SetTracking(context.Context, string, erp.Tracking) error {
	return &fault.Fault{Kind: fault.Conflict, System: "erp-syspro", Code: "STATUS_CONFLICT"}
}

// TestASecondRunTakesOverWhatTheFirstHasBooked: a parcel runs once more when its invoice or tracking number is told, and counts its attempts anew. What the
// first run has booked with its second attempt is booked: the refusal of the first one is nobody's concern any more.
func TestASecondRunTakesOverWhatTheFirstHasBooked(t *testing.T) {
	b := newBooks(t, "A100", "2")
	open := b.booking.Port
	closed := closedErp{open, open.(erp.ChangePort)}
	order := b.sell(t, false)
	in := b.shipped(order.Number, "0001", "capture-1", b.order.Total.String())
	steps := []struct {
		step    func(context.Context, activities.ShipInput) (activities.RefundBooked, error)
		refusal fault.Kind
		invoice bool
	}{{b.booking.BookShipment, fault.ClosedPeriod, false}, {b.booking.ApplyDeposits, fault.ClosedPeriod, true}, {b.booking.TrackShipment, fault.Conflict, false}}
	for _, step := range steps {
		if step.invoice {
			in.Shipment.Invoice = b.invoice(t, order.Number).Number
		}
		b.booking.Port, in.Attempt = closed, 1
		_, err := finish(b.bank, step.step, in)
		requireFault(t, err, step.refusal, true)
		b.booking.Port, in.Attempt = open, 2
		booked := must(t, b.bank, step.step, in)
		require.Equal(t, activities.UndoDone, booked.Result)
		in.Attempt = 1
		require.Equal(t, booked, must(t, b.bank, step.step, in))
	}
	require.Len(t, b.ledger(t, "payments"), 2)
}
