package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// paid is an order whose money is captured.
func (a *api) paid(status canonical.OrderStatus) {
	a.t.Helper()
	a.taken(status)
	_, _, err := a.store.BeginPayment(a.t.Context(), journal.Operation{
		Key: "order:WEB-10001:authorize:1", System: "cybersource", Kind: "sale", OrderID: "WEB-10001", InputHash: "hash", Request: []byte("{}"),
		Amount: canonical.NewMoney(decimal.RequireFromString("48.19"), "USD"),
	}, journal.EffectSale)
	require.NoError(a.t, err)
	require.NoError(a.t, a.store.SucceedPayment(a.t.Context(), "order:WEB-10001:authorize:1", "7001", []byte("{}"),
		journal.PaymentChange{CardType: "001", CardSuffix: "1111"}, nil))
}

const refundsPath = "/v1/orders/WEB-10001/refunds"

func TestRefund(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	body := `{"refundId":"R-1","lines":[{"line":1,"quantity":1}],"shipping":"2.50","restock":true,"reason":"returned"}`
	first := a.call("POST", refundsPath, shopUS, body).is(http.StatusAccepted)
	require.Equal(t, refundsPath+"/R-1", first.Header().Get("Location"))
	taken := first.json()
	require.Equal(t, []any{"received", "USD", "19.95", "2.50", "shop", shopUS, true, "returned"},
		[]any{taken["status"], taken["currency"], taken["net"], taken["shipping"], taken["origin"], taken["actor"], taken["restock"], taken["reason"]})
	require.Equal(t, "A100", taken["lines"].([]any)[0].(map[string]any)["sku"])
	require.Len(t, a.engine.started(), 2)
	require.Equal(t, "refund/WEB-10001/R-1", a.engine.started()[1].ID)

	again := strings.NewReplacer(`"quantity":1`, `"quantity":"1.00"`, "2.50", "2.5").Replace(body)
	require.Equal(t, taken, a.call("POST", refundsPath, shopUS, again).is(http.StatusAccepted).json(), "the same body, written otherwise")
	a.call("POST", refundsPath, shopUS, strings.Replace(body, "true", "false", 1)).refused(http.StatusConflict, "conflict")
	require.Len(t, a.engine.started(), 2)

	require.Equal(t, taken, a.call("GET", refundsPath+"/R-1", shopUS, "").is(http.StatusOK).json())
	require.Equal(t, []any{taken}, a.call("GET", refundsPath, finance, "").is(http.StatusOK).json()["refunds"])
	order := a.call("GET", "/v1/orders/WEB-10001", shopUS, "").is(http.StatusOK).json()
	require.Equal(t, []any{taken}, order["refunds"])
	require.Equal(t, refundsPath, order["links"].(map[string]any)["refunds"])
	a.call("GET", refundsPath+"/R-2", shopUS, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", refundsPath+"/no%20id", shopUS, "").refused(http.StatusNotFound, "not-found")

	more := a.call("POST", refundsPath, finance, `{"refundId":"R-2","amount":48.19}`).refused(http.StatusConflict, "conflict").names("/amount", "maximum")
	require.Contains(t, more.Body.String(), "24.09 USD that are left", "the figures")
	rest := a.call("POST", refundsPath, operator, `{"refundId":"R-2"}`).is(http.StatusAccepted).json()
	require.Equal(t, []any{"24.09", "operator", operator}, []any{rest["amount"], rest["origin"], rest["actor"]})
	require.Contains(t, a.call("POST", refundsPath, operator, `{"refundId":"R-3"}`).refused(http.StatusConflict, "conflict").json()["detail"], "already refunded")
}

func TestARefundThatIsWaitedFor(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	a.call("POST", refundsPath, shopUS, `{"refundId":"R-1","amount":"5"}`, header("Prefer", "wait=1")).is(http.StatusAccepted)
	require.NoError(t, a.store.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-10001", RefundID: "R-1", Status: canonical.RefundCompleted, Way: "refund", TransactionID: "7002", ErpCreditMemo: "300021",
	}, nil))
	ended := a.call("POST", refundsPath, shopUS, `{"refundId":"R-1","amount":"5"}`, header("Prefer", "wait=5")).is(http.StatusOK)
	require.Equal(t, "wait=5", ended.Header().Get("Preference-Applied"))
	require.Equal(t, []any{"completed", "refund", "7002", "300021"},
		[]any{ended.json()["status"], ended.json()["way"], ended.json()["transactionId"], ended.json()["erpCreditMemo"]})

	a.engine.onStart = func(client.StartWorkflowOptions) error {
		return a.store.RecordRefund(t.Context(), journal.RefundProgress{
			OrderID: "WEB-10001", RefundID: "R-2", Status: canonical.RefundRefused, Why: "charged back meanwhile",
		}, nil)
	}
	refused := a.call("POST", refundsPath, shopUS, `{"refundId":"R-2","amount":"6"}`, header("Prefer", "wait=10")).is(http.StatusOK).json()
	require.Equal(t, []any{"refused", "charged back meanwhile"}, []any{refused["status"], refused["why"]})
}

func TestARefundBeforeTheOrderIsConfirmed(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderBooking)
	a.call("POST", refundsPath, shopUS, `{"refundId":"R-1","amount":"5"}`).refused(http.StatusConflict, "not-now")
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		return workflows.CancelAnswer{Status: canonical.OrderBooking}, nil
	}
	taken := a.call("POST", refundsPath, shopUS, `{"refundId":"R-1","amount":"48.19"}`).is(http.StatusAccepted).json()
	require.Equal(t, []any{true, "48.19"}, []any{taken["cancelsOrder"], taken["amount"]})
	require.Equal(t, workflows.UpdateCancel, a.engine.updates[0].UpdateName)
	require.Len(t, a.engine.started(), 1)
}

func TestWrongRefundsAreExplained(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	for body, want := range map[string][2]string{
		`{"refundId":"a b"}`:                                               {"/refundId", "pattern"},
		`{"refundId":"R","amount":"1e9"}`:                                  {"/amount", "type"},
		`{"refundId":"R","amount":"-1"}`:                                   {"/amount", "minimum"},
		`{"refundId":"R","amount":"0.001"}`:                                {"/amount", "scale"},
		`{"refundId":"R","amount":true}`:                                   {"/amount", "type"},
		`{"refundId":"R","lines":[{"line":1}]}`:                            {"/lines/0/quantity", "required"},
		`{"refundId":"R","lines":[{"line":7,"quantity":"1"}]}`:             {"/lines/0/line", "enum"},
		`{"refundId":"R","lines":[]}`:                                      {"/lines", "required"},
		`{"refundId":"R","amount":"1","lines":[{"line":1,"quantity":1}]}`:  {"/lines", "combination"},
		`{"refundId":"R","reason":"` + strings.Repeat("x", 501) + `"}`:     {"/reason", "max_length"},
		`{"refundId":"R","everything":true}`:                               {"", "unknown_field"},
		`{"refundId":"R","lines":[{"line":"first","quantity":"1"}]}`:       {"/lines/line", "type"},
		`{"refundId":"R","shipping":"1000000000000000000000000000000000"}`: {"/shipping", "type"},
	} {
		a.call("POST", refundsPath, shopUS, body).refused(http.StatusUnprocessableEntity, "invalid").names(want[0], want[1])
	}
	a.call("POST", refundsPath, shopUS, `{"refundId":"R","reason":"card 4111111111111111"}`).refused(http.StatusUnprocessableEntity, "card-data")
	a.call("POST", refundsPath, shopEU, `{"refundId":"R"}`).refused(http.StatusNotFound, "not-found")
	a.call("GET", refundsPath, shopEU, "").refused(http.StatusNotFound, "not-found")
	require.Len(t, a.engine.started(), 1)
}

func TestAudit(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	ctx, at := t.Context(), a.clock.Now()
	require.NoError(t, a.store.RecordCalls(ctx, []journal.Call{
		{At: at.Add(time.Second), System: "cybersource", Method: "POST", Route: "/pts/v2/payments", Status: 201, Duration: 312 * time.Millisecond,
			CorrelationID: "c-1", OperationKey: "order:WEB-10001:authorize:1", OrderID: "WEB-10001"},
		{At: at.Add(3 * time.Second), System: "erp-syspro", Method: "POST", Route: "/sales-orders", Duration: 25 * time.Second, OrderID: "WEB-10001", Error: "unknown_outcome"},
	}))
	require.NoError(t, a.store.RecordAction(ctx, journal.Action{
		At: at.Add(2 * time.Second), OrderID: "WEB-10001", Actor: analyst, Action: "fraud.decision", Reason: "known customer", Detail: map[string]string{"decision": "accept"},
	}))
	require.NoError(t, a.store.RecordProgress(ctx, journal.Progress{OrderID: "WEB-10001", Seq: 2, Events: []journal.Event{
		{Key: "a", At: at.Add(4 * time.Second), Kind: "sales-order", Summary: "Sales order SO-1 in the ERP"},
	}}))
	trail := a.call("GET", "/v1/orders/WEB-10001/audit", finance, "").is(http.StatusOK).json()
	var summaries []string
	for _, entry := range trail["entries"].([]any) {
		e := entry.(map[string]any)
		summaries = append(summaries, fmt.Sprintf("%s: %s", e["kind"], e["summary"]))
	}
	require.Equal(t, []string{
		"call: POST /pts/v2/payments at cybersource: 201 in 312 ms",
		"action: fraud.decision by analyst: decision accept",
		"call: POST /sales-orders at erp-syspro: no answer in 25000 ms (unknown_outcome)",
		"event: Sales order SO-1 in the ERP",
	}, summaries)
	require.Equal(t, "known customer", trail["entries"].([]any)[1].(map[string]any)["reason"])
	a.call("GET", "/v1/orders/WEB-NONE/audit", finance, "").refused(http.StatusNotFound, "not-found")
}
