package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
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
	r, worker := killable(t, "TENDERLINE_SETTLEMENT_STEP_TIMEOUT", "3s") // after which a try counts as lost with its worker
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

// push tells Tenderline of a change as the ERP's side does.
func (r *rig) push(t *testing.T, change activities.Change) {
	t.Helper()
	body, err := json.Marshal([]any{pushed(change)})
	require.NoError(t, err)
	stamp := fmt.Sprint(time.Now().Unix())
	key, err := base64.StdEncoding.DecodeString(stack.PushKey())
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	answer, err := r.Call(t.Context(), http.MethodPost, r.API+"/webhooks/erp/syspro", "", body, "X-Tenderline-Timestamp", stamp,
		"X-Tenderline-Signature", stack.ErpKeyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
}

// pushed is a credit memo as it is written in a push.
func pushed(c activities.Change) map[string]any {
	return map[string]any{"id": c.ID, "feed": c.Feed, "number": c.Number, "orderId": c.OrderID, "at": c.At, "memo": map[string]any{
		"amount": c.Memo.Amount, "tax": c.Memo.Tax, "currency": c.Memo.Currency, "refundStatus": c.Memo.RefundStatus, "customerCode": c.Memo.CustomerCode,
		"salesOrder": c.Memo.SalesOrder, "invoice": c.Memo.Invoice, "transactionId": c.Memo.TransactionID,
	}}
}

// TestAMemoThatIsPushedAndPolledIsRefundedOnce makes a credit memo in the ERP, which is pushed and polled: one process, one refund. The poll
// goes on where it was after a restart of everything.
func TestAMemoThatIsPushedAndPolledIsRefundedOnce(t *testing.T) {
	t.Parallel()
	options := stack.Options{Dir: t.TempDir(), Env: map[string]string{"TENDERLINE_SYSPRO_CHANGES_INTERVAL": "1s"}}
	r := start(t, options)
	id := r.id()
	r.submit(t, r.order(t, id, buy{}))
	view := r.ended(t, id, "confirmed")
	number, err := r.CreditMemo(t.Context(), id, "20.00")
	require.NoError(t, err)
	r.push(t, activities.Change{
		ID: "push-" + number, Feed: activities.FeedCreditMemos, Number: number, OrderID: id, At: time.Now().UTC(), Memo: &activities.MemoChange{
			Amount: decimal.RequireFromString("20.00"), Currency: "USD", RefundStatus: "Pending", Invoice: view.ErpInvoice, SalesOrder: view.ErpOrderNumber,
		},
	})
	r.refundedByMemo(t, id, number)
	require.NoError(t, r.stack.Stop())

	again := start(t, options)
	again.refundedByMemo(t, id, number)
	second, err := again.CreditMemo(t.Context(), id, "5.00")
	require.NoError(t, err)
	again.refundedByMemo(t, id, number, second)
}

// refundedByMemo waits until an order's memos are refunded and acknowledged, each once, and by nothing else.
func (r *rig) refundedByMemo(t *testing.T, id string, numbers ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		books, err := r.Books(t.Context(), id)
		if err != nil || len(books.CreditMemos) != len(numbers) {
			return false
		}
		for _, memo := range books.CreditMemos {
			if memo["RefundStatus"] != "Refunded" {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "not every memo is refunded")
	require.Equal(t, len(numbers), r.kinds(t, id)["refund"])
	for _, number := range numbers {
		require.NoError(t, r.temporal(t).GetWorkflow(t.Context(), workflows.CreditMemoWorkflowID("syspro", number), "").Get(t.Context(), nil))
	}
}
