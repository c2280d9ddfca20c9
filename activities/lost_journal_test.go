package activities_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// forget gives the ERP's worker an empty journal: its own was lost, or another worker with a journal of its own has taken the step.
func (b *books) forget(t *testing.T) {
	t.Helper()
	operations, err := journal.OpenOperations(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "new.db"), journal.Options{Keyring: ring(t), Clock: b.clock.Now, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, operations.Close()) })
	b.booking.Operations = operations
}

// TestWhatAProcessKnowsOfIsUndoneWithoutTheJournal: the buyer gets the money back, so that the goods must not leave, whatever the journal beside the ERP
// has forgotten.
func TestWhatAProcessKnowsOfIsUndoneWithoutTheJournal(t *testing.T) {
	t.Run("before the invoice", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		b.forget(t)
		require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.ReverseReceipt, b.reference(order.Number, "")).Result, "there was none")
		require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CreditInvoice, b.reference(order.Number, "")).Result)
		undone := must(t, b.bank, b.booking.CancelSalesOrder, b.reference(order.Number, ""))
		require.Equal(t, activities.BookingUndone{Result: activities.UndoDone, Document: order.Number}, undone)
		require.Equal(t, `\`, b.status(t))
	})
	t.Run("after it", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		invoice := b.invoice(t, order.Number)
		b.receive(t, order.Number, invoice.Number)
		b.forget(t)
		for range 2 { // an answer may get lost
			require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.ReverseReceipt, b.reference(order.Number, invoice.Number)).Result)
			require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CreditInvoice, b.reference(order.Number, invoice.Number)).Result)
		}
		require.Len(t, b.ledger(t, "payments"), 2)
		require.Len(t, b.ledger(t, "creditMemos"), 1)
	})
}

// TestWhatTheErpRefusedIsNotUndone: a document of the same reference is undone only where nothing is known of how it came to be.
func TestWhatTheErpRefusedIsNotUndone(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	b.forget(t)
	in := b.booked(order.Number, "")
	in.Document, in.Deposit, in.Payment.Captured, in.Attempt = b.docs.Receipt, true, dec("5.00"), 2
	_, err := finish(b.bank, b.booking.PostReceipt, in)
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.ReverseReceipt, b.reference(order.Number, "")).Result)
	require.Len(t, b.ledger(t, "payments"), 1, "it is somebody else's")
}
