package starter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// endedCase is a dispute whose processes have ended, as the journal has it.
func (w *world) endedCase(t *testing.T, cycle int, outcome journal.ChargebackOutcome, ended time.Time) {
	t.Helper()
	require.NoError(t, w.store.RecordChargeback(t.Context(), journal.ChargebackRecord{
		CaseID: "CB-1", OrderID: "A", TransactionID: "7001", Amount: canonical.NewMoney(amount("48.19"), "USD"), Reason: "10.4", Cycle: cycle, Outcome: outcome,
		EndedAt: ended, OpenedAt: changedAt,
	}, journal.ChargebackNote{Key: fmt.Sprint(cycle, outcome), Note: string(outcome)}, nil, nil))
	w.engine.gone = map[string]bool{"chargeback/CB-1": true}
	w.engine.running["chargeback/CB-1"] = true
	for n := 2; n < cycle; n++ {
		w.engine.gone[workflows.ChargebackCycleID("CB-1", n)] = true
	}
}

// rowOf is a row of the dispute at a time.
func rowOf(t *testing.T, action string, at time.Time, outcome activities.ChargebackOutcome, taken string) journal.InboxItem {
	t.Helper()
	dispute := activities.Dispute{Outcome: outcome, Case: activities.ChargebackCase{
		ID: "CB-1", TransactionID: "7001", Reference: "A", Amount: canonical.NewMoney(amount("48.19"), "USD"), OpenedAt: at, RespondBy: at.AddDate(0, 0, 20),
	}}
	if taken != "" {
		dispute.Case.Taken, dispute.Case.Amount = true, canonical.NewMoney(amount(taken), "USD")
	}
	item, err := activities.DisputeEvent(action, dispute)
	require.NoError(t, err)
	return item
}

func TestADisputeThatEndedGoesOn(t *testing.T) {
	ended := changedAt.AddDate(0, 1, 0)
	after, before := ended.AddDate(0, 1, 0), ended.AddDate(0, 0, -3)
	won, lost, open := activities.ChargebackWon, activities.ChargebackLost, activities.ChargebackOpen
	cycle := func(number int, former, outcome activities.ChargebackOutcome, retaken bool) *workflows.ChargebackCycle {
		return &workflows.ChargebackCycle{Number: number, Former: former, Outcome: outcome, Retaken: retaken, At: after}
	}
	for name, test := range map[string]struct {
		at      time.Time
		outcome activities.ChargebackOutcome
		taken   string
		begins  *workflows.ChargebackCycle
		amount  string
		state   journal.InboxState
		why     string
	}{
		"decided otherwise later":          {after, lost, "", cycle(2, won, lost, false), "48.19 USD", journal.InboxDelivered, ""},
		"taken again":                      {after, open, "40.00", cycle(2, won, open, true), "40.00 USD", journal.InboxDelivered, ""},
		"taken again and lost":             {after, lost, "48.19", cycle(2, won, lost, true), "48.19 USD", journal.InboxDelivered, ""},
		"the same again":                   {after, won, "", nil, "", journal.InboxIgnored, "has ended: won"},
		"a row without news":               {after, open, "", nil, "", journal.InboxIgnored, "has ended: won"},
		"its opening once more":            {before, open, "48.19", nil, "", journal.InboxIgnored, "has ended: won"},
		"decided otherwise, not later":     {ended, lost, "", nil, "", journal.InboxAttention, "ended as won and is now told to be lost, at a time that is not after its end"},
		"decided otherwise before its end": {before, lost, "", nil, "", journal.InboxAttention, "correct it by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderConfirmed)
			w.endedCase(t, 1, journal.ChargebackWon, ended)
			started := len(w.engine.starts)
			item := w.delivered(t, rowOf(t, name, test.at, test.outcome, test.taken))
			require.Equal(t, test.state, item.State)
			require.Contains(t, item.LastError, test.why)
			require.Empty(t, w.engine.news)
			if test.begins == nil {
				require.Len(t, w.engine.starts, started)
				return
			}
			require.Equal(t, "chargeback/CB-1/2", w.engine.starts[started])
			in := w.engine.inputs[started].(workflows.ChargebackInput)
			require.Equal(t, test.begins, in.Again)
			require.Equal(t, test.amount, in.Case.Amount.String())
			require.Equal(t, []any{"A", "CB-1", "7001", "015562", 72 * time.Hour}, []any{in.OrderID, in.Case.ID, in.Case.TransactionID, in.SalesOrder, in.RemindFor})

			// The same row of another delivery finds the cycle under way, and is news for it.
			again := w.delivered(t, rowOf(t, name+" once more", test.at, test.outcome, test.taken))
			require.Equal(t, journal.InboxDelivered, again.State)
			require.Equal(t, []string{"chargeback/CB-1/2"}, w.engine.newsTo)
			require.Len(t, w.engine.starts, started+1)
		})
	}
}

func TestFurtherCyclesOfADispute(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	ended := changedAt.AddDate(0, 1, 0)
	w.endedCase(t, 2, journal.ChargebackOpen, time.Time{})
	started := len(w.engine.starts)
	require.Equal(t, journal.InboxDelivered, w.delivered(t, rowOf(t, "second", ended, activities.ChargebackLost, "")).State)
	require.Equal(t, []string{"chargeback/CB-1/2"}, w.engine.newsTo, "the cycle that is open")

	w.endedCase(t, 2, journal.ChargebackLost, ended)
	w.engine.gone["chargeback/CB-1/2"] = true
	require.Equal(t, journal.InboxDelivered, w.delivered(t, rowOf(t, "third", ended.AddDate(0, 1, 0), activities.ChargebackWon, "")).State)
	require.Equal(t, []string{"chargeback/CB-1/3"}, w.engine.starts[started:])

	w.engine.startErr = serviceerror.NewUnavailable("away")
	item := w.delivered(t, rowOf(t, "fourth", ended.AddDate(0, 1, 0), activities.ChargebackWon, ""))
	require.Equal(t, journal.InboxPending, item.State, "it is tried again")
}

// TestADisputeThatEndedBeforeEndsWereKept: what is not later than its record is left to a person.
func TestADisputeThatEndedBeforeEndsWereKept(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	w.endedCase(t, 1, journal.ChargebackWon, time.Time{})
	record, err := w.store.Chargeback(t.Context(), "CB-1")
	require.NoError(t, err)
	started := len(w.engine.starts)
	require.Equal(t, journal.InboxAttention, w.delivered(t, rowOf(t, "first", record.UpdatedAt, activities.ChargebackLost, "")).State)
	require.Equal(t, journal.InboxDelivered, w.delivered(t, rowOf(t, "second", record.UpdatedAt.Add(time.Hour), activities.ChargebackLost, "")).State)
	require.Equal(t, []string{"chargeback/CB-1/2"}, w.engine.starts[started:])
}

func TestAPersonTellsALaterOutcome(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	w.endedCase(t, 1, journal.ChargebackWon, changedAt)
	started := len(w.engine.starts)
	end := starter.EndedCase{CaseID: "CB-1", Outcome: activities.ChargebackLost, Actor: "fay", Reason: "arbitration"}
	_, err := w.EndChargeback(t.Context(), end)
	require.True(t, starter.Is(err, starter.Conflict), "%v", err)
	end.Again = true
	_, err = w.EndChargeback(t.Context(), end)
	require.NoError(t, err)
	in := w.engine.inputs[started].(workflows.ChargebackInput)
	require.Equal(t, []any{2, activities.ChargebackWon, activities.ChargebackLost, false, "fay", "48.19 USD"},
		[]any{in.Again.Number, in.Again.Former, in.Again.Outcome, in.Again.Retaken, in.Again.Actor, in.Case.Amount.String()})

	w.engine.gone = nil // the process of the first end still books it
	_, err = w.EndChargeback(t.Context(), end)
	require.NoError(t, err)
	require.Equal(t, []workflows.ChargebackNews{{Outcome: activities.ChargebackLost, Actor: "fay", Again: true}}, w.engine.news)
	require.Len(t, w.engine.starts, started+1)

	copies := starter.EndedCase{CaseID: "CB-2", Outcome: activities.ChargebackLost, Actor: "fay", Again: true}
	require.NoError(t, w.store.RecordChargeback(t.Context(), journal.ChargebackRecord{
		CaseID: "CB-2", OrderID: "A", Amount: canonical.NewMoney(amount("0"), "USD"), Retrieval: true, Outcome: journal.ChargebackWon,
	}, journal.ChargebackNote{Key: "1", Note: "won"}, nil, nil))
	_, err = w.EndChargeback(t.Context(), copies)
	require.True(t, starter.Is(err, starter.Conflict), "nothing of it was booked: %v", err)
}
