package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
)

const (
	journalRoute = "POST /APIServices/GLJournalService/AddJournalEntry"
	feeRoute     = "POST /APIServices/APInvoiceService/AddAPInvoice"
)

// today is the business date of what a test does.
func today() string { return time.Now().UTC().Format(time.DateOnly) }

// sell has some orders paid, and closes their batch.
func (r *rig) sell(t *testing.T, orders int) (date string) {
	t.Helper()
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = r.id()
		r.submit(t, r.order(t, ids[i], buy{}))
	}
	for _, id := range ids {
		r.ended(t, id, "confirmed")
	}
	date = today()
	_, err := r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	return date
}

// temporal is a client with the codec.
func (r *rig) temporal(t *testing.T) client.Client {
	t.Helper()
	connection, err := r.stack.App.Temporal(t.Context())
	require.NoError(t, err)
	return connection.Client
}

// settle runs a day to its end.
func (r *rig) settle(t *testing.T, date string) {
	t.Helper()
	started, err := r.World.Settle(t.Context(), date, false)
	require.NoError(t, err)
	r.dayEnds(t, started.WorkflowID, date)
}

func (r *rig) dayEnds(t *testing.T, workflowID, date string) {
	t.Helper()
	require.NoError(t, r.temporal(t).GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), nil))
	day, err := r.Day(t.Context(), date)
	require.NoError(t, err)
	require.Equal(t, "posted", day.State, "%+v", day)
}

// postedOnce sees that the day has one journal, and that it empties the clearing account of what was captured.
func (r *rig) postedOnce(t *testing.T, date string, orders int) {
	t.Helper()
	journals, err := r.Journals(t.Context(), "CYB"+strings.ReplaceAll(date, "-", "")+"USD")
	require.NoError(t, err)
	require.Len(t, journals, 1)
	captured := decimal.RequireFromString("48.19").Mul(decimal.NewFromInt(int64(orders)))
	require.Equal(t, captured.Neg().StringFixed(2), world.ByAccount(journals, "USD")["1050"].StringFixed(2))
}

// feeInvoices counts the invoices of the processor's fees.
func (r *rig) feeInvoices(t *testing.T) int {
	t.Helper()
	var ledger struct {
		APInvoices []json.RawMessage `json:"apInvoices"`
	}
	r.get(t, r.ERP.URL+"/_sandbox/ledger", &ledger)
	return len(ledger.APInvoices)
}

// TestAnswersOfASettlementDayAreLost loses the answer to each posting of a day, which the ERP has carried out: it is in the ledger once.
func TestAnswersOfASettlementDayAreLost(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_SETTLEMENT_FEES": "invoice"}})
	date := r.sell(t, 2)
	for _, route := range []string{journalRoute, feeRoute} {
		// Go's client sends once more by itself where a used connection is cut: two of them are lost.
		require.NoError(t, r.Break(t.Context(), r.ERP.URL, world.Fault{Route: route, Mode: "drop_after", Times: 2}))
	}
	r.settle(t, date)
	r.postedOnce(t, date, 2)
	require.Equal(t, 1, r.feeInvoices(t))
	r.settle(t, date)
	r.postedOnce(t, date, 2)
	require.Equal(t, 1, r.feeInvoices(t), "a rerun posts nothing")
}

// TestWorkerKilledInASettlementDay kills the worker while it waits for a report, and while the journal is on its way: posted, but not recorded.
func TestWorkerKilledInASettlementDay(t *testing.T) {
	t.Parallel()
	r, worker := killable(t, "TENDERLINE_SETTLEMENT_STEP_TIMEOUT", "8s") // after which a try counts as lost with its worker
	worker.start(t)
	date := r.sell(t, 2)
	var started world.StartedDay
	// A delayed call is carried out when its caller dies.
	hold := func(sandbox, route string, begin func()) {
		before := r.hits(t, sandbox, "delay")
		require.NoError(t, r.Break(t.Context(), sandbox, world.Fault{Route: route, Mode: "delay", DelayMs: 60_000, Times: 1}))
		begin()
		require.Eventually(t, func() bool { return r.hits(t, sandbox, "delay") > before }, patience, 20*time.Millisecond, route)
		worker.kill(t)
		r.mend(t)
	}
	hold(r.Gateway, "GET /reporting/v3/report-downloads", func() {
		var err error
		started, err = r.World.Settle(t.Context(), date, false)
		require.NoError(t, err)
	})
	hold(r.ERP.URL, journalRoute, func() { worker.start(t) })
	worker.start(t)
	r.dayEnds(t, started.WorkflowID, date)
	r.postedOnce(t, date, 2)
}

// TestTheScheduleStartsADay has the schedule's tick come now: it settles the day before.
func TestTheScheduleStartsADay(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	handle := r.temporal(t).ScheduleClient().GetHandle(t.Context(), "settlement/"+stack.Merchant)
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	before := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	require.Eventually(t, func() bool {
		day, err := r.Day(t.Context(), before)
		return err == nil && day.State == "waiting"
	}, patience, 50*time.Millisecond, "the day is not begun")
	// Its batch was closed without a row: the reports say so, and the day ends.
	_, err := r.CloseDay(t.Context(), before, world.Plants{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		day, err := r.Day(t.Context(), before)
		return err == nil && day.State == "empty"
	}, patience, 50*time.Millisecond, "the day does not end")
}
