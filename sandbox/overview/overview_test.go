package overview

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func ledger(t *testing.T, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_sandbox/ledger" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	shopLedger = `{"callbacks":[{"id":"msg_1","event":"order.confirmed","orderId":"WEB-1","deliveries":2,"verified":true,"at":"2026-07-28T09:00:00Z"},
	 {"id":"msg_2","event":"","orderId":"<script>alert(1)</script>","deliveries":1,"verified":false,"at":"2026-07-28T08:00:00Z"}]}`
	gatewayLedger = `{"transactions":[
	 {"id":"1","kind":"auth","status":"AUTHORIZED","amount":"115.39","currency":"USD","reference":"WEB-1","at":"2026-07-28T09:00:00Z"},
	 {"id":"2","kind":"capture","status":"PENDING","amount":"100","currency":"USD","reference":"WEB-1-c1","relatedId":"1","at":"2026-07-28T09:00:01Z"},
	 {"id":"3","kind":"refund","status":"PENDING","amount":20.5,"currency":"USD","reference":"r-9","relatedId":"2","at":"2026-07-28T09:00:02Z"}]}`
	erpLedgerBody = `{"salesOrders":[{"SalesOrder":"000001","OrderNumber":"WEB-1","CustomerCode":"WEB","OrderStatus":"9","OrderStatusDescription":"Complete","OrderTotal":115.39,"Currency":"USD","Payment":{"PaymentStatus":"Captured"},"LastModified":"2026-07-28T09:00:03Z"}],
	 "invoices":[{"InvoiceNumber":"200001","OrderNumber":"WEB-1","InvoiceStatus":"Paid","InvoiceTotal":115.39,"Balance":0.00,"Currency":"USD"}],
	 "payments":[{"PaymentReference":"7031","PaymentType":"Receipt","Amount":115.39,"Currency":"USD","Allocations":[{"InvoiceNumber":"200001"}],"Reversed":true},
	  {"PaymentReference":"7031-R","PaymentType":"Reversal","Amount":115.39,"Currency":"USD","SourceReference":"7031","Allocations":[]}],
	 "creditMemos":[{"CreditMemoNumber":"C00001","OrderNumber":"WEB-1","RefundStatus":"Pending","Amount":20.50,"Currency":"USD"}],
	 "shipments":[{"ShipmentNumber":"1","OrderNumber":"WEB-1","ShipmentStatus":"9","Carrier":"UPS","TrackingNumber":"1Z"}]}`
	sageproLedger = `{"salesOrders":[{"SalesOrder":"10245","OrderNumber":"WEB-2","CustomerCode":"W00012","OrderStatus":"C","OrderTotal":48.19,"Currency":"USD"}]}`
)

func page(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'")
	return answer.Body.String()
}

func TestPageShowsAnOrderSideBySide(t *testing.T) {
	h := Handler(Sandboxes{Gateway: ledger(t, gatewayLedger), Shop: ledger(t, shopLedger), ERPs: []ERP{
		{"SYSPRO", ledger(t, erpLedgerBody)}, {"Sage Pro", ledger(t, sageproLedger)},
	}}, nil)
	got := page(t, h, "/")
	for _, want := range []string{"order.confirmed", "2 deliveries", "captured 100", "refunded 20.5", "open hold 15.39", "Sales order 000001",
		"Invoice 200001", "Receipt 7031", "reversed", "Reversal 7031-R", "Credit memo C00001", "Shipment 1", "3 orders", "SYSPRO documents", "Sage Pro documents", "Sales order 10245"} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, got, "<script>", "what others wrote is shown, not run")
	require.NotContains(t, got, `role="alert"`)
	one := page(t, h, "/?order=WEB-1")
	require.Contains(t, one, "msg_1")
	require.NotContains(t, one, "msg_2")
	require.Contains(t, one, "SYSPRO documents")
	require.NotContains(t, one, "Sage Pro documents", "an order is shown with the ERP that has it")
	require.Contains(t, page(t, h, "/?order=WEB-2"), "Sage Pro documents")
	require.NotContains(t, page(t, h, "/?order=WEB-2"), "SYSPRO documents")
}

func TestPageNamesASandboxThatIsAway(t *testing.T) {
	h := Handler(Sandboxes{Gateway: "http://127.0.0.1:1", Shop: ledger(t, shopLedger), ERPs: []ERP{{"SYSPRO", ledger(t, "{")}, {"Sage Pro", ledger(t, sageproLedger)}}}, &http.Client{Timeout: time.Minute})
	got := page(t, h, "/")
	require.Contains(t, got, "The gateway sandbox did not give its ledger")
	require.Contains(t, got, "The SYSPRO sandbox did not give its ledger")
	require.Contains(t, got, "Sales order 10245", "the others still show")
	require.Contains(t, got, "order.confirmed")
}

func TestSums(t *testing.T) {
	tx := func(id, kind, status, amount, related string) transaction {
		return transaction{ID: id, Kind: kind, Status: status, Amount: decimalOf(amount), Currency: "USD", Reference: "O", RelatedID: related}
	}
	for name, tc := range map[string]struct {
		transactions             []transaction
		captured, refunded, held string
	}{
		"authorized":           {[]transaction{tx("1", "auth", "AUTHORIZED", "10", "")}, "0", "0", "10"},
		"declined":             {[]transaction{tx("1", "auth", "DECLINED", "10", "")}, "", "", ""},
		"sale":                 {[]transaction{tx("1", "sale", "AUTHORIZED", "10", "")}, "10", "0", "0"},
		"held sale":            {[]transaction{tx("1", "sale", "AUTHORIZED_PENDING_REVIEW", "10", "")}, "0", "0", "10"},
		"risk declined":        {[]transaction{tx("1", "auth", "AUTHORIZED_RISK_DECLINED", "10", "")}, "0", "0", "10"},
		"captured":             {[]transaction{tx("1", "auth", "AUTHORIZED", "10", ""), tx("2", "capture", "PENDING", "10", "1")}, "10", "0", "0"},
		"reversed":             {[]transaction{tx("1", "auth", "AUTHORIZED", "10", ""), tx("2", "reversal", "REVERSED", "10", "1")}, "0", "0", "0"},
		"capture voided":       {[]transaction{tx("1", "auth", "AUTHORIZED", "10", ""), tx("2", "capture", "PENDING", "10", "1"), tx("3", "void", "VOIDED", "10", "2")}, "0", "0", "10"},
		"marked as voided":     {[]transaction{tx("1", "auth", "AUTHORIZED", "10", ""), tx("2", "capture", "VOIDED", "10", "1"), tx("3", "void", "VOIDED", "10", "2"), tx("4", "reversal", "REVERSED", "10", "1")}, "0", "0", "0"},
		"sale voided":          {[]transaction{tx("1", "sale", "VOIDED", "10", ""), tx("2", "void", "VOIDED", "10", "1")}, "0", "0", "10"},
		"marked as reversed":   {[]transaction{tx("1", "auth", "REVERSED", "10", ""), tx("2", "reversal", "REVERSED", "10", "1")}, "0", "0", "0"},
		"refund voided":        {[]transaction{tx("1", "sale", "AUTHORIZED", "10", ""), tx("2", "refund", "PENDING", "4", "1"), tx("3", "void", "VOIDED", "4", "2")}, "10", "0", "0"},
		"reversal was refused": {[]transaction{tx("1", "auth", "AUTHORIZED", "10", ""), tx("2", "reversal", "INVALID_REQUEST", "10", "1")}, "0", "0", "10"},
		"a ring must not hang": {[]transaction{tx("1", "capture", "PENDING", "10", "2"), tx("2", "capture", "PENDING", "5", "1")}, "15", "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			byID := map[string]transaction{}
			for _, x := range tc.transactions {
				byID[x.ID] = x
			}
			got := total(tc.transactions, byID)
			if tc.captured == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{tc.captured, tc.refunded, tc.held}, []string{got[0].Captured.String(), got[0].Refunded.String(), got[0].Held.String()})
		})
	}
}

func decimalOf(s string) decimal.Decimal { return decimal.RequireFromString(s) }
