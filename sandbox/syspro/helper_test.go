package syspro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time

	keys atomic.Int64 // idempotency keys that were used under this clock
}

func newClock() *clock { return &clock{now: time.Date(2026, 7, 28, 9, 14, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// company is a sandbox with a client.
type company struct {
	t      testing.TB
	server *Server
	http   *httptest.Server
	clock  *clock
	dir    string
}

const testKey = "test-key"

func newCompany(t testing.TB) *company {
	t.Helper()
	return openCompany(t, "", newClock())
}

func openCompany(t testing.TB, dir string, clock *clock) *company {
	t.Helper()
	server, err := New(Config{
		Clock: clock.Now, StateDir: dir, ClientID: "cyb-engine", ClientSecret: "s3cret", APIKeys: []string{"other-key", testKey},
	})
	require.NoError(t, err)
	c := &company{t: t, server: server, http: httptest.NewServer(server.Handler()), clock: clock, dir: dir}
	t.Cleanup(c.close)
	return c
}

func (c *company) close() {
	c.http.Close()
	_ = c.server.Close()
}

// answer is a decoded response.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) code() string {
	errors, _ := a.body["Errors"].([]any)
	if len(errors) == 0 {
		return ""
	}
	return errors[0].(map[string]any)["Code"].(string)
}

func (a answer) codes() []string {
	var codes []string
	errors, _ := a.body["Errors"].([]any)
	for _, e := range errors {
		e := e.(map[string]any)
		field, _ := e["Field"].(string)
		codes = append(codes, e["Code"].(string)+" "+field)
	}
	return codes
}

func (a answer) text(path string) string {
	var v any = a.body
	for part := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(at) {
				return "<absent>"
			}
			v = at[i]
		default:
			return "<absent>"
		}
	}
	if v == nil {
		return "<absent>"
	}
	return fmt.Sprint(v)
}

func (c *company) send(method, path, body string, header map[string]string) (answer, error) {
	request, err := http.NewRequest(method, c.http.URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-API-Key", testKey)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		if value == "" {
			request.Header.Del(name)
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := c.http.Client().Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header, raw: string(raw)}
	if len(bytes.TrimSpace(raw)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(&a.body); err != nil {
			return a, fmt.Errorf("decode %q: %w", raw, err)
		}
	}
	return a, nil
}

func (c *company) do(method, path, body string, header map[string]string) answer {
	c.t.Helper()
	a, err := c.send(method, path, body, header)
	require.NoError(c.t, err)
	return a
}

func (c *company) get(path string) answer {
	c.t.Helper()
	return c.do(http.MethodGet, base+path, "", nil)
}

// post sends with a fresh idempotency key.
func (c *company) post(path, body string) answer {
	c.t.Helper()
	return c.postKey(path, fmt.Sprintf("t:%d", c.clock.keys.Add(1)), body)
}

func (c *company) postKey(path, key, body string) answer {
	c.t.Helper()
	return c.do(http.MethodPost, base+path, body, map[string]string{"Idempotency-Key": key})
}

func (c *company) admin(path, body string) answer {
	c.t.Helper()
	return c.do(http.MethodPost, "/_sandbox/"+path, body, nil)
}

// ok sends and wants success.
func (c *company) ok(path, body string) answer {
	c.t.Helper()
	a := c.post(path, body)
	require.Less(c.t, a.status, 300, a.raw)
	require.Equal(c.t, "Success", a.text("Status"))
	return a
}

const (
	addOrder    = "/SalesOrderService/AddSalesOrder"
	updateOrder = "/SalesOrderService/UpdateSalesOrder"
	addInvoice  = "/ARInvoiceService/AddARInvoice"
	addPayment  = "/ARPaymentService/AddARPayment"
	addMemo     = "/CreditMemoService/AddCreditMemo"
	addJournal  = "/GLJournalService/AddJournalEntry"
	addAP       = "/APInvoiceService/AddAPInvoice"
	addCustomer = "/CustomerService/AddCustomer"
)

// orderOf is two of a stock code at 49.95 with tax 7.99 and freight 7.50: 115.39.
func orderOf(number, stock, extra string) string {
	return `{"OrderNumber":"` + number + `","CustomerCode":"WEB","OrderDate":"2026-07-28","Currency":"USD",
	 "LineItems":[{"LineNumber":1,"StockCode":"` + stock + `","Quantity":2,"UnitPrice":"49.95","TaxAmount":7.99}],
	 "FreightTotal":7.50,"TaxTotal":7.99,"OrderTotal":115.39,
	 "Payment":{"TransactionId":"7031234567890123","PaymentStatus":"Captured","AmountCaptured":115.39,"Currency":"USD"}` + extra + `}`
}

// invoiced adds an order that is ready, and its invoice.
func (c *company) invoiced(number string) (salesOrder, invoiceNumber string) {
	c.t.Helper()
	salesOrder = c.ok(addOrder, orderOf(number, "A100", `,"OrderStatus":"8"`)).text("SalesOrder")
	return salesOrder, c.ok(addInvoice, `{"SalesOrder":"`+salesOrder+`","InvoiceDate":"2026-07-28"}`).text("InvoiceNumber")
}

func receipt(reference, invoiceNumber, amount string) string {
	return `{"PaymentReference":"` + reference + `","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":` + amount + `,"Currency":"USD","PaymentType":"Receipt",
	 "Allocations":[{"InvoiceNumber":"` + invoiceNumber + `","Amount":` + amount + `}],"UnappliedAmount":0}`
}

// balanced checks what must hold after anything: the trial balance is zero, control accounts agree with the
// sub-ledgers, and stock agrees with the orders.
func (c *company) balanced() {
	c.t.Helper()
	require.NoError(c.t, c.server.check())
}

func decimalOf(s string) decimal.Decimal { return decimal.RequireFromString(s) }
