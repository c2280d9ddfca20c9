package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

// TestADisputeThatGoesOnFlagsPaymentAndPeople: each cycle moves the payment, and finance is told what was booked before.
func TestADisputeThatGoesOnFlagsPaymentAndPeople(t *testing.T) {
	c := newChanging(t)
	c.sold(t, "WEB-1")
	at := time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC)
	opened := disputed("WEB-1")
	done(t, c, c.changes.RecordChargeback, opened)
	standing := func() (canonical.PaymentStatus, string) {
		payment, err := c.store.Payment(t.Context(), "WEB-1")
		require.NoError(t, err)
		return payment.Status, payment.Refundable.StringFixed(2)
	}
	for _, step := range []struct {
		in         activities.RecordCycleInput
		status     canonical.PaymentStatus
		refundable string
	}{
		{activities.RecordCycleInput{Cycle: 1, EndedAt: at, RecordChargebackInput: activities.RecordChargebackInput{Note: "won", Outcome: activities.ChargebackWon}}, canonical.PaymentCaptured, total},
		{activities.RecordCycleInput{Cycle: 1, EndedAt: at, RecordChargebackInput: activities.RecordChargebackInput{Note: activities.DisputeContradicted, Outcome: activities.ChargebackWon}}, canonical.PaymentCaptured, total},
		{activities.RecordCycleInput{Cycle: 2, Former: activities.ChargebackWon, RecordChargebackInput: activities.RecordChargebackInput{Note: "reopened"}}, canonical.PaymentChargedBack, "28.19"},
		{activities.RecordCycleInput{Cycle: 2, Former: activities.ChargebackWon, EndedAt: at.AddDate(0, 2, 0), RecordChargebackInput: activities.RecordChargebackInput{Note: "lost", Outcome: activities.ChargebackLost, Actor: "fiona"}}, canonical.PaymentChargedBack, "28.19"},
	} {
		step.in.OrderID, step.in.Case, step.in.At, step.in.Key = "WEB-1", opened.Case, at, "chargeback/D-1/"+step.in.Note
		for range 2 { // told twice
			done(t, c, c.changes.RecordCycle, step.in)
		}
		status, refundable := standing()
		require.Equal(t, []any{step.status, step.refundable}, []any{status, refundable}, step.in.Note)
	}
	record, err := c.store.Chargeback(t.Context(), "D-1")
	require.NoError(t, err)
	require.Equal(t, []any{journal.ChargebackLost, 2, at.AddDate(0, 2, 0)}, []any{record.Outcome, record.Cycle, record.EndedAt})
	require.Len(t, record.Notes, 5)

	notices, err := c.store.DueNotices(t.Context(), c.clock.Now().Add(24*365*time.Hour), 50)
	require.NoError(t, err)
	texts := map[string]string{}
	for _, n := range notices {
		require.Equal(t, journal.AudienceFinance, n.Audience)
		texts[n.Subject] = n.Text
	}
	require.Len(t, texts, 5)
	require.Contains(t, texts["Chargeback D-1 over 20.00 USD lost, after it was won (order WEB-1)"], "That it was won is in the ledger; what follows has a journal of its own.")
	require.Contains(t, texts["Chargeback D-1 over 20.00 USD contradicted (order WEB-1)"], "Nothing is booked for that")
	require.Contains(t, texts["Chargeback D-1 over 20.00 USD reopened, after it was won (order WEB-1)"], "Evidence is due at")
	stranger := activities.RecordCycleInput{Cycle: 2, Former: activities.ChargebackLost, EndedAt: at, RecordChargebackInput: activities.RecordChargebackInput{
		Case: activities.ChargebackCase{ID: "D-2", Amount: usd("5.00"), OpenedAt: at}, Note: "won", Outcome: activities.ChargebackWon, Key: "chargeback/D-2/1", At: at,
	}}
	done(t, c, c.changes.RecordCycle, stranger) // of an order that is not ours: recorded all the same
}
