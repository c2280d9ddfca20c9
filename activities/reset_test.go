package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
)

// TestWhatWasTakenBackIsNotBookedByAReset: a run that is reset to before its compensation asks for the same captures again. The stored
// answers say that they succeeded, but the money is gone.
func TestWhatWasTakenBackIsNotBookedByAReset(t *testing.T) {
	for _, sale := range []bool{true, false} {
		b := newBank(t)
		order := b.order(t, "WEB-1")
		pay := func() error {
			auth, err := try(b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, sale))
			if err != nil || sale {
				return err
			}
			_, err = try(b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
			return err
		}
		require.NoError(t, pay())
		require.NoError(t, pay(), "an answer that is asked for twice is the same")
		must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
		must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
		requireFault(t, pay(), fault.Conflict, true)
		b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
	}
}
