package cybersource_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/outbound"
)

const secret = "cmVmZXJlbmNlIGV4YW1wbGUgc2VjcmV0IDAwMDAwMDE=" // of cybersource.md 1.2

var now = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

func usd(amount string) canonical.Money {
	return canonical.NewMoney(decimal.RequireFromString(amount), "USD")
}

// gateway answers with whatever handler it has and keeps what it was asked.
type gateway struct {
	*httptest.Server
	mutex    sync.Mutex
	requests []received
	logged   bytes.Buffer
}

type received struct {
	method, path string
	header       http.Header
	body         string
}

func newGateway(t *testing.T, answer http.HandlerFunc) *gateway {
	t.Helper()
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.mutex.Lock()
		g.requests = append(g.requests, received{r.Method, r.URL.RequestURI(), r.Header.Clone(), string(body)})
		g.mutex.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) received() []received {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return append([]received(nil), g.requests...)
}

func (g *gateway) client(t *testing.T, change ...func(*cybersource.Config)) *cybersource.Client {
	t.Helper()
	config := cybersource.Config{
		BaseURL: g.URL, MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret, Clock: func() time.Time { return now },
		Transport: outbound.Transport(outbound.Config{System: cybersource.System, Logger: slog.New(slog.NewJSONHandler(&g.logged, nil))}),
	}
	for _, apply := range change {
		apply(&config)
	}
	client, err := cybersource.New(config)
	require.NoError(t, err)
	return client
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/hal+json")
		w.Header().Set("v-c-correlation-id", "corr-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const document = `{"processingInformation":{"commerceIndicator":"internet"},
 "orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},"billTo":{"email":"ada@example.com"}}}`

// browserToken is shaped as Microform's: three segments, an expiry in the middle one.
var browserToken = "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"Flex/00","exp":1767600900}`)) + ".c2lnbmF0dXJl"

func payment(t *testing.T, capture bool) cybersource.Request {
	t.Helper()
	request, err := cybersource.PaymentRequest(json.RawMessage(document), cybersource.PaymentReference{
		Code: "ORD-1001", TransactionID: "1001A10001", Capture: capture, Amount: usd("102.21"),
		Token: canonical.Token{Type: canonical.TokenTransient, Value: browserToken},
	})
	require.NoError(t, err)
	return request
}

// requestOf gives a request of any kind for the order of the examples.
func requestOf(t *testing.T, kind cybersource.Kind) cybersource.Request {
	t.Helper()
	const id = "7000000000000000000001"
	var request cybersource.Request
	var err error
	switch kind {
	case cybersource.KindAuthorization, cybersource.KindSale:
		return payment(t, kind == cybersource.KindSale)
	case cybersource.KindCapture:
		request, err = cybersource.CaptureRequest(id, "ORD-1001-C1", "1001C10001", usd("102.21"), 1, 1)
	case cybersource.KindReversal:
		request, err = cybersource.ReversalRequest(id, "ORD-1001", usd("102.21"), "cancelled")
	case cybersource.KindVoid:
		request, err = cybersource.VoidRequest(cybersource.Captures, id, "ORD-1001")
	case cybersource.KindRefund:
		request, err = cybersource.RefundRequest(cybersource.Captures, id, "RMA-7", "RMA71", usd("10"))
	case cybersource.KindTimeoutReversal:
		request, err = cybersource.TimeoutReversalRequest("ORD-1001", "1001A10001", usd("102.21"))
	case cybersource.KindTimeoutVoid:
		request, err = cybersource.TimeoutVoidRequest("ORD-1001", "1001A10001")
	case cybersource.KindCaseAction:
		request, err = cybersource.CaseActionRequest(id, canonical.FraudAccept, "ok")
	case cybersource.KindComment:
		request, err = cybersource.CommentRequest(id, "called the customer")
	case cybersource.KindMarking:
		request, err = cybersource.MarkingRequest(id, "rejected by ana")
	}
	require.NoError(t, err)
	return request
}
