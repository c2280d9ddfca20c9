package syspro

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// facade is a stand-in that answers each path by a script and remembers what it was sent.
type facade struct {
	mu      sync.Mutex
	seen    []received
	scripts map[string][]reply // by path below /APIServices; the last reply repeats
	url     string
}

type received struct {
	method, path, query, body string
	header                    http.Header
}

type reply struct {
	status int
	body   string
	header map[string]string
	cut    bool // close the connection instead of answering
}

func newFacade(t *testing.T, scripts map[string][]reply) *facade {
	t.Helper()
	f := &facade{scripts: scripts}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *facade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/APIServices")
	f.mu.Lock()
	f.seen = append(f.seen, received{r.Method, path, r.URL.RawQuery, string(body), r.Header.Clone()})
	next := reply{status: 404, body: "no such page"}
	if script := f.scripts[path]; len(script) > 0 {
		next = script[0]
		if len(script) > 1 {
			f.scripts[path] = script[1:]
		}
	}
	f.mu.Unlock()
	if next.cut {
		panic(http.ErrAbortHandler)
	}
	for name, value := range next.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, next.body)
}

func (f *facade) calls(path string) []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []received
	for _, each := range f.seen {
		if each.path == path {
			out = append(out, each)
		}
	}
	return out
}

func (f *facade) client(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	config := Config{BaseURL: f.url, APIKey: "key-1"}
	for _, each := range change {
		each(&config)
	}
	c, err := New(config)
	require.NoError(t, err)
	return c
}

func withToken(c *Config) { c.APIKey, c.ClientID, c.ClientSecret = "", "engine", "hush-secret" }

func ok(body string) []reply { return []reply{{status: 200, body: body}} }

func refused(status int, code string) reply {
	return reply{status: status, body: `{"Status":"Error","RequestId":"req-9","Errors":[{"Code":"` + code + `","Message":"No."}]}`}
}

var orderDocument = erp.Document{Body: json.RawMessage(
	`{"OrderNumber":"WEB-1","CustomerCode":"C1","Currency":"USD","OrderTotal":48.19,"LineItems":[{"StockCode":"A100"}]}`)}

func TestNewRefusesConfiguration(t *testing.T) {
	good := Config{BaseURL: "https://erp.example", APIKey: "k"}
	_, err := New(good)
	require.NoError(t, err)
	cases := map[string]func(*Config){
		"no address":              func(c *Config) { c.BaseURL = "" },
		"no host":                 func(c *Config) { c.BaseURL = "/APIServices" },
		"other scheme":            func(c *Config) { c.BaseURL = "ftp://erp.example" },
		"password in it":          func(c *Config) { c.BaseURL = "https://me:hush@erp.example" },
		"query in it":             func(c *Config) { c.BaseURL = "https://erp.example?a=b" },
		"no credential":           func(c *Config) { c.APIKey = "" },
		"half a client and a key": func(c *Config) { c.ClientSecret = "hush" },
		"half a client":           func(c *Config) { c.APIKey, c.ClientID = "", "engine" },
		"two credentials":         func(c *Config) { c.ClientID, c.ClientSecret = "engine", "hush" },
		"not an URL at all":       func(c *Config) { c.BaseURL = "http://[::1" },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			config := good
			spoil(&config)
			_, err := New(config)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestBaseURLWithAndWithoutPath(t *testing.T) {
	for _, suffix := range []string{"", "/", "/APIServices", "/apiservices/"} {
		base, err := parseBase("https://erp.example" + suffix)
		require.NoError(t, err)
		require.Equal(t, "/apiservices", strings.ToLower(base.Path))
	}
}

func TestRequestCarriesWhatTheFacadeAsksFor(t *testing.T) {
	f := newFacade(t, map[string][]reply{
		pathAddSalesOrder: {{status: 201, body: `{"status":"Success","salesorder":"015562","OrderNumber":"WEB-1","ORDERSTATUS":"1","OrderTotal":"48.19","Unknown":{}}`}},
		pathGetSalesOrder: ok(`{"Status":"Success","SalesOrder":"015562","OrderStatus":"1"}`),
	})
	c := f.client(t, func(c *Config) { c.CompanyID = "A" })
	order, err := c.CreateSalesOrder(t.Context(), "order/WEB-1:sales-order:1", orderDocument)
	require.NoError(t, err)
	require.Equal(t, canonical.SalesOrder{Number: "015562", OrderNumber: "WEB-1", CustomerCode: "C1", Status: "1",
		Total: decimal.RequireFromString("48.19"), Currency: "USD"}, order)
	_, err = c.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: "WEB 1&x=y"})
	require.NoError(t, err)

	post, get := f.calls(pathAddSalesOrder)[0], f.calls(pathGetSalesOrder)[0]
	require.Equal(t, string(orderDocument.Body), post.body, "the document goes out as it is")
	require.Equal(t, erp.IdempotencyKey("order/WEB-1:sales-order:1"), post.header.Get("Idempotency-Key"))
	require.Equal(t, "application/json", post.header.Get("Content-Type"))
	require.Equal(t, "key-1", post.header.Get("X-API-Key"))
	require.Equal(t, "A", post.header.Get("X-Company-Id"))
	require.Empty(t, get.header.Get("Idempotency-Key"))
	require.Equal(t, "OrderNumber=WEB+1%26x%3Dy", get.query)
	require.NotEmpty(t, post.header.Get("X-Request-Id"))
	require.NotEqual(t, post.header.Get("X-Request-Id"), get.header.Get("X-Request-Id"))
}

func TestMutationsNeedKeyAndDocument(t *testing.T) {
	f := newFacade(t, nil)
	c := f.client(t)
	_, err := c.CreateSalesOrder(t.Context(), "", orderDocument)
	require.True(t, fault.Is(err, fault.Bug), "%v", err)
	for _, body := range []string{"", "[]", "{", `{"OrderTotal":"a lot"}`} {
		_, err = c.CreateSalesOrder(t.Context(), "k", erp.Document{Body: json.RawMessage(body)})
		require.True(t, fault.Is(err, fault.Value), "%v", err)
	}
	require.Empty(t, f.seen, "nothing was sent")
}

// TestRefusals is the error table of the facade, as a process sees it: at a mutation and at a look-up.
func TestRefusals(t *testing.T) {
	const none = fault.Kind("")
	cases := []struct {
		status    int
		code      string
		post, get fault.Kind
	}{
		{400, "MALFORMED_JSON", fault.Value, fault.Value},
		{400, "MISSING_FIELD", fault.Value, fault.Value},
		{400, "INVALID_FIELD", fault.Value, fault.Value},
		{400, "FIELD_TOO_LONG", fault.Value, fault.Value},
		{400, "IDEMPOTENCY_KEY_REQUIRED", fault.Bug, none},
		{400, "SOMETHING_NEW", fault.Value, fault.Value},
		{401, "AUTH_INVALID_CLIENT", fault.Credentials, fault.Credentials},
		{401, "TOKEN_EXPIRED", fault.Credentials, fault.Credentials},
		{401, "TOKEN_INVALID", fault.Credentials, fault.Credentials},
		{401, "API_KEY_INVALID", fault.Credentials, fault.Credentials},
		{401, "", fault.Credentials, fault.Credentials},
		{403, "OPERATOR_NOT_AUTHORISED", fault.Credentials, fault.Credentials},
		{403, "LICENCE_MISSING", fault.Credentials, fault.Credentials},
		{403, "", fault.Credentials, fault.Credentials},
		{404, "ORDER_NOT_FOUND", fault.MissingReference, fault.NotFound},
		{404, "CUSTOMER_NOT_FOUND", fault.MissingReference, fault.NotFound},
		{404, "INVOICE_NOT_FOUND", fault.MissingReference, fault.NotFound},
		{404, "PAYMENT_NOT_FOUND", fault.MissingReference, fault.NotFound},
		{404, "JOURNAL_NOT_FOUND", fault.MissingReference, fault.NotFound},
		{404, "", fault.Bug, fault.Bug}, // proves no absence: no look-up may take it for one
		{405, "", fault.Bug, fault.Bug},
		{408, "", fault.UnknownOutcome, fault.Connection},
		{302, "", fault.Bug, fault.Bug},
		{409, "IDEMPOTENCY_KEY_REUSED", fault.Bug, none},
		{409, "REQUEST_IN_PROGRESS", fault.Busy, none},
		{409, "RECORD_LOCKED", fault.Busy, fault.Busy},
		{409, "STATUS_CONFLICT", fault.Conflict, fault.Conflict},
		{409, "SOMETHING_NEW", fault.Conflict, fault.Conflict},
		{409, "", fault.UnknownOutcome, fault.Conflict},
		{413, "", fault.Value, none},
		{422, "CUSTOMER_ON_HOLD", fault.DeclinedByPolicy, none},
		{422, "CREDIT_LIMIT_EXCEEDED", fault.DeclinedByPolicy, none},
		{422, "INSUFFICIENT_STOCK", fault.DeclinedByPolicy, none},
		{422, "BUSINESS_RULE", fault.DeclinedByPolicy, none},
		{422, "ACCOUNT_ON_HOLD", fault.DeclinedByPolicy, none},
		{422, "CUSTOMER_NOT_FOUND", fault.MissingReference, none},
		{422, "STOCK_NOT_FOUND", fault.MissingReference, none},
		{422, "ACCOUNT_NOT_FOUND", fault.MissingReference, none},
		{422, "SUPPLIER_NOT_FOUND", fault.MissingReference, none},
		{422, "CURRENCY_MISMATCH", fault.Value, none},
		{422, "TOTAL_MISMATCH", fault.Value, none},
		{422, "JOURNAL_UNBALANCED", fault.Value, none},
		{422, "PERIOD_CLOSED", fault.ClosedPeriod, none},
		{422, "INVOICE_OVERPAID", fault.Conflict, none},
		{422, "ORDER_NOT_CANCELLABLE", fault.Conflict, none},
		{422, "SOMETHING_NEW", fault.Value, none},
		{429, "SESSION_LIMIT", fault.RateLimit, fault.RateLimit},
		{429, "RATE_LIMITED", fault.RateLimit, fault.RateLimit},
		{429, "", fault.RateLimit, fault.RateLimit},
		{500, "ERP_ERROR", fault.UnknownOutcome, fault.Connection},
		{502, "", fault.UnknownOutcome, fault.Connection},
		{503, "ERP_UNAVAILABLE", fault.UnknownOutcome, fault.Connection},
		{503, "RECORD_LOCKED", fault.UnknownOutcome, fault.Connection},
		{504, "ERP_TIMEOUT", fault.UnknownOutcome, fault.Connection},
	}
	for _, tc := range cases {
		t.Run(http.StatusText(tc.status)+" "+tc.code, func(t *testing.T) {
			answer := refused(tc.status, tc.code)
			if tc.code == "" {
				answer.body = "<html>a proxy's page</html>"
			}
			answer.header = map[string]string{"Retry-After": "7", "Location": "/elsewhere", "X-Request-Id": "req-9"}
			f := newFacade(t, map[string][]reply{pathAddSalesOrder: {answer}, pathGetSalesOrder: {answer}})
			c := f.client(t)
			check := func(err error, kind fault.Kind) {
				got := fault.As(err)
				require.NotNil(t, got, "%v", err)
				require.Equal(t, kind, got.Kind, "%v", err)
				require.Equal(t, tc.code, got.Code)
				require.Equal(t, tc.status, got.HTTPStatus)
				require.Equal(t, 7*time.Second, got.RetryAfter)
				require.Equal(t, "req-9", got.RequestID)
				require.Equal(t, "erp-syspro", got.System)
				require.NotEmpty(t, got.Message)
				require.NotContains(t, got.Message, "html")
			}
			_, err := c.CreateSalesOrder(t.Context(), "k1", orderDocument)
			check(err, tc.post)
			if tc.get != none {
				_, err = c.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: "1"})
				check(err, tc.get)
			}
			require.Len(t, f.calls(pathAddSalesOrder), 1, "nobody sends again by himself")
		})
	}
}

func TestRefusalTellsFieldsAndKeepsValues(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathAddSalesOrder: {{status: 400, body: `{"Status":"Error","RequestId":"r1","Errors":[
		{"Code":"FIELD_TOO_LONG","Message":"Name 'Augusta Ada King' is too long\nfor ada@example.com and 4111 1111 1111 1111","Field":"ShipToAddress.Name","Value":"Augusta Ada King"},
		{"Code":"MISSING_FIELD","Message":"Currency is missing","Field":"Currency"}]}`}}})
	_, err := f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
	got := fault.As(err)
	require.Equal(t, []fault.Field{{Path: "ShipToAddress.Name", Rule: "FIELD_TOO_LONG"}, {Path: "Currency", Rule: "MISSING_FIELD"}}, got.Fields)
	require.Equal(t, "Name '…' is too long for … and …", got.Message)

	f.scripts[pathAddSalesOrder] = []reply{{status: 400, body: `{"Errors":[
		{"Code":"FIELD_TOO_LONG","Message":"LineItems[3].Description '12 x 50 mm' takes 50 characters","Field":"LineItems[3].Description","Value":"12 x 50 mm"},
		{"Code":"FIELD_TOO_LONG","Message":"between 3 and 9","Field":"TermsCode"},{"Code":"INVALID_FIELD","Message":"takes 2","Field":"Area"}]}`}}
	_, err = f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
	require.Equal(t, []fault.Field{{Path: "LineItems[3].Description", Rule: "FIELD_TOO_LONG: at most 50 characters"},
		{Path: "TermsCode", Rule: "FIELD_TOO_LONG"}, {Path: "Area", Rule: "INVALID_FIELD"}}, fault.As(err).Fields)

	f.scripts[pathAddSalesOrder] = []reply{{status: 422, body: `{"Errors":[{"Code":"STOCK_NOT_FOUND","Message":"Stock code 'X' not found","Field":"LineItems[0].StockCode","Value":"X"}]}`}}
	_, err = f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
	require.Equal(t, "Stock code 'X' not found", fault.As(err).Message, "who corrects it must know which")

	f.scripts[pathAddSalesOrder] = []reply{{status: 422, body: `{"Errors":[{"Code":"PERIOD_CLOSED","Message":"Closed","CurrentYear":2026,"CurrentPeriod":7}]}`}}
	_, err = f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
	require.Equal(t, "Closed (current period 2026/7)", fault.As(err).Message)
}

func TestAnswersThatTellNothing(t *testing.T) {
	huge := `{"Status":"Success","SalesOrder":"1","OrderStatus":"1","Filler":"` + strings.Repeat("x", maxBody) + `"}`
	cases := []struct {
		name      string
		reply     reply
		post, get fault.Kind
	}{
		{"connection cut", reply{cut: true}, fault.UnknownOutcome, fault.Connection},
		{"empty body", reply{status: 201}, fault.UnknownOutcome, fault.Connection},
		{"broken off", reply{status: 201, body: `{"Status":"Success","SalesOr`}, fault.UnknownOutcome, fault.Connection},
		{"no JSON", reply{status: 200, body: "<html>login</html>"}, fault.UnknownOutcome, fault.Connection},
		{"no object", reply{status: 200, body: "null"}, fault.UnknownOutcome, fault.Bug},
		{"no number in it", reply{status: 200, body: `{"Status":"Success"}`}, fault.UnknownOutcome, fault.Bug},
		{"other types", reply{status: 200, body: `{"SalesOrder":{},"OrderStatus":"1"}`}, fault.UnknownOutcome, fault.Bug},
		{"amount beyond reason", reply{status: 200, body: `{"SalesOrder":"1","OrderStatus":"1","OrderTotal":1e99999999}`}, fault.UnknownOutcome, fault.Bug},
		{"an error that says it is fine", reply{status: 200, body: `{"Status":"Error","SalesOrder":"1","OrderStatus":"1"}`}, fault.UnknownOutcome, fault.Bug},
		{"too long", reply{status: 200, body: huge}, fault.UnknownOutcome, fault.Connection},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := newFacade(t, map[string][]reply{pathAddSalesOrder: {tc.reply}, pathGetSalesOrder: {tc.reply}})
			c := f.client(t)
			_, err := c.CreateSalesOrder(t.Context(), "k", orderDocument)
			require.True(t, fault.Is(err, tc.post), "%v", err)
			_, err = c.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: "1"})
			require.True(t, fault.Is(err, tc.get), "%v", err)
			require.Len(t, f.calls(pathAddSalesOrder), 1)
		})
	}
	t.Run("about another order", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathAddSalesOrder: ok(`{"SalesOrder":"1","OrderNumber":"WEB-2","OrderStatus":"1"}`)})
		_, err := f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
		require.True(t, fault.Is(err, fault.UnknownOutcome), "%v", err)
	})
}

// TestForeignTransport: of a transport that is not ours only a failed dial proves that nothing was sent, and net/http must not replay a
// mutation on a connection that broke.
func TestForeignTransport(t *testing.T) {
	f := newFacade(t, map[string][]reply{
		pathGetSalesOrder: ok(`{"SalesOrder":"1","OrderStatus":"1"}`),
		pathAddSalesOrder: {{cut: true}},
	})
	foreign := func(c *Config) { c.Transport = &http.Transport{} }
	c := f.client(t, foreign)
	_, err := c.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: "1"}) // leaves an idle connection, on which net/http would replay
	require.NoError(t, err)
	_, err = c.CreateSalesOrder(t.Context(), "k", orderDocument)
	require.True(t, fault.Is(err, fault.UnknownOutcome), "%v", err)
	require.Len(t, f.calls(pathAddSalesOrder), 1)

	gone := httptest.NewServer(nil)
	gone.Close()
	_, err = f.client(t, foreign, func(c *Config) { c.BaseURL = gone.URL }).CreateSalesOrder(t.Context(), "k", orderDocument)
	require.True(t, fault.Is(err, fault.Connection), "%v", err)
}

func TestTimeout(t *testing.T) {
	calls := func(timeout time.Duration) (arrived bool, create, find error) {
		var posted atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			posted.CompareAndSwap(false, r.Method == http.MethodPost)
			<-r.Context().Done()
		}))
		c, err := New(Config{BaseURL: server.URL, APIKey: "k", Timeout: timeout})
		require.NoError(t, err)
		_, create = c.CreateSalesOrder(t.Context(), "k", orderDocument)
		_, find = c.FindReceipt(t.Context(), "P1")
		server.Close() // waits for its handlers
		return posted.Load(), create, find
	}
	arrived, create, find := calls(50 * time.Millisecond)
	for timeout := 100 * time.Millisecond; !arrived && timeout < time.Minute; timeout *= 2 { // a busy machine takes its time to send
		arrived, create, find = calls(timeout)
	}
	require.True(t, arrived)
	require.True(t, fault.Is(create, fault.UnknownOutcome), "%v", create)
	require.True(t, fault.Is(find, fault.Connection), "%v", find)
}

const tokenBody = `{"AccessToken":"tok-secret-%","TokenType":"Bearer","ExpiresIn":900,"CompanyId":"A"}`

func token(n string) reply { return reply{status: 200, body: strings.Replace(tokenBody, "%", n, 1)} }

// clock stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(c.at.Load(), 0) }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d / time.Second)) }
func (c *clock) set(config *Config)      { config.Clock = c.now }
func find(ctx context.Context, c *Client) error {
	_, err := c.FindReceipt(ctx, "P1")
	return err
}

func TestTokenIsRenewedAt80Percent(t *testing.T) {
	f := newFacade(t, map[string][]reply{
		pathToken:      {token("1"), refused(503, "ERP_UNAVAILABLE"), token("2"), refused(503, "ERP_UNAVAILABLE")},
		pathGetPayment: ok(`{"PaymentReference":"P1"}`),
	})
	var now clock
	c := f.client(t, withToken, now.set)
	bearer := func() string {
		calls := f.calls(pathGetPayment)
		return calls[len(calls)-1].header.Get("Authorization")
	}
	require.NoError(t, find(t.Context(), c))
	now.forward(719 * time.Second)
	require.NoError(t, find(t.Context(), c))
	require.Len(t, f.calls(pathToken), 1)
	require.JSONEq(t, `{"GrantType":"client_credentials","ClientId":"engine","ClientSecret":"hush-secret"}`, f.calls(pathToken)[0].body)
	require.Empty(t, f.calls(pathToken)[0].header.Get("Authorization"))

	now.forward(time.Second) // 80 %: renewal is due and fails, but the old token is still good
	require.NoError(t, find(t.Context(), c))
	require.Equal(t, "Bearer tok-secret-1", bearer())
	require.NoError(t, find(t.Context(), c))
	require.Equal(t, "Bearer tok-secret-2", bearer())
	require.Len(t, f.calls(pathToken), 3)

	now.forward(900 * time.Second) // dead, and there is no other
	_, err := c.CreateSalesOrder(t.Context(), "k", orderDocument)
	require.True(t, fault.Is(err, fault.Connection), "the order was not sent: %v", err)
	require.Empty(t, f.calls(pathAddSalesOrder))
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	for _, code := range []string{"TOKEN_EXPIRED", "TOKEN_INVALID"} {
		t.Run(code, func(t *testing.T) {
			f := newFacade(t, map[string][]reply{
				pathToken:         {token("1"), token("2"), token("3")},
				pathAddSalesOrder: {refused(401, code), {status: 201, body: `{"SalesOrder":"1","OrderNumber":"WEB-1","OrderStatus":"1"}`}},
				pathGetPayment:    {refused(401, code)},
			})
			c := f.client(t, withToken)
			_, err := c.CreateSalesOrder(t.Context(), "k", orderDocument)
			require.NoError(t, err)
			calls := f.calls(pathAddSalesOrder)
			require.Len(t, calls, 2)
			require.Equal(t, "Bearer tok-secret-1", calls[0].header.Get("Authorization"))
			require.Equal(t, "Bearer tok-secret-2", calls[1].header.Get("Authorization"))
			require.Equal(t, calls[0].header.Get("Idempotency-Key"), calls[1].header.Get("Idempotency-Key"))
			require.Equal(t, calls[0].body, calls[1].body)

			require.True(t, fault.Is(find(t.Context(), c), fault.Credentials), "twice is enough")
			require.Len(t, f.calls(pathGetPayment), 2)
		})
	}
	t.Run("an API key can't be renewed", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathGetPayment: {refused(401, "TOKEN_EXPIRED")}})
		require.True(t, fault.Is(find(t.Context(), f.client(t)), fault.Credentials))
		require.Len(t, f.calls(pathGetPayment), 1)
	})
	t.Run("wrong secret", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathToken: {refused(401, "AUTH_INVALID_CLIENT")}})
		require.True(t, fault.Is(find(t.Context(), f.client(t, withToken)), fault.Credentials))
		require.Len(t, f.calls(pathToken), 1)
	})
	t.Run("a token without a life", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathToken: ok(`{"AccessToken":"x","ExpiresIn":0}`)})
		require.True(t, fault.Is(find(t.Context(), f.client(t, withToken)), fault.Bug))
	})
}

func TestTokenIsFetchedOnceForAll(t *testing.T) {
	var fetched atomic.Int32
	entered, release := make(chan struct{}), make(chan struct{})
	tokens := newTokens(func(context.Context) (string, time.Duration, error) {
		fetched.Add(1)
		close(entered)
		<-release
		return "tok", time.Minute, nil
	}, time.Now)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			got, err := tokens.get(t.Context())
			require.NoError(t, err)
			require.Equal(t, "tok", got)
		})
	}
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tokens.get(gone)
	require.ErrorIs(t, err, context.Canceled, "who gives up does not wait for the fetch of another")
	close(release)
	group.Wait()
	require.EqualValues(t, 1, fetched.Load())
	tokens.drop("an older one")
	got, fresh := tokens.current()
	require.Equal(t, "tok", got)
	require.True(t, fresh)
}

func TestDuplicates(t *testing.T) {
	duplicate := reply{status: 409, body: `{"Errors":[{"Code":"DUPLICATE_REFERENCE","Message":"exists"}],"Existing":{"SalesOrder":"015562","OrderTotal":48.19}}`}
	held := func(total, currency, status string) []reply {
		return ok(`{"SalesOrder":"015562","OrderNumber":"WEB-1","CustomerCode":"C1","OrderTotal":` + total + `,"Currency":"` + currency +
			`","OrderStatus":"` + status + `"}`)
	}
	cases := []struct {
		name  string
		found []reply
		kind  fault.Kind // "": adopted
	}{
		{"identical", held("48.190", "USD", "9"), ""},
		{"another total", held("48.20", "USD", "1"), fault.Conflict},
		{"another currency", held("48.19", "CAD", "1"), fault.Conflict},
		{"a currency nobody tells", held("48.19", "", "1"), fault.Conflict},
		{"a total nobody tells", held("null", "USD", "1"), fault.Conflict},
		{"cancelled", held("48.19", "USD", `\\`), fault.Conflict},
		{"another order of ours", ok(`{"SalesOrder":"015562","OrderNumber":"web-1","OrderTotal":48.19,"Currency":"USD","OrderStatus":"1"}`), fault.Conflict},
		{"not to be seen yet", []reply{refused(404, "ORDER_NOT_FOUND")}, fault.Busy},
		{"look-up fails", []reply{refused(503, "ERP_UNAVAILABLE")}, fault.Connection},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := newFacade(t, map[string][]reply{pathAddSalesOrder: {duplicate}, pathGetSalesOrder: tc.found})
			order, err := f.client(t).CreateSalesOrder(t.Context(), "k", orderDocument)
			require.Equal(t, "CustomerCode=C1&OrderNumber=WEB-1", f.calls(pathGetSalesOrder)[0].query)
			if tc.kind == "" {
				require.NoError(t, err)
				require.Equal(t, "015562", order.Number)
				return
			}
			require.True(t, fault.Is(err, tc.kind), "%v", err)
		})
	}
	t.Run("a reversal is no receipt", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{
			pathAddPayment: {refused(409, "DUPLICATE_REFERENCE")},
			pathGetPayment: ok(`{"PaymentReference":"P1","PaymentType":"Reversal","SourceReference":"P0","Amount":5,"Currency":"USD"}`),
		})
		doc := erp.Document{Body: json.RawMessage(`{"PaymentReference":"P1","PaymentType":"Receipt","Amount":5,"Currency":"USD"}`)}
		_, err := f.client(t).PostReceipt(t.Context(), "k", doc)
		require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	})
}

func TestFindCreditMemoPages(t *testing.T) {
	page := func(reference, cursor, more string) reply {
		return reply{status: 200, body: `{"CreditMemos":[{"CreditMemoNumber":"C1","Reference":"` + reference + `","OriginalInvoice":"0200069","Amount":53.00,"Currency":"USD"}],"NextCursor":"` + cursor + `","HasMore":` + more + `}`}
	}
	ref := erp.CreditMemoRef{Reference: "ours", Invoice: "200069", Since: time.Date(2026, 8, 2, 10, 0, 0, 0, time.UTC)}
	t.Run("found on a later page", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathListCreditMemos: {page("theirs", "c1", "true"), page("theirs", "c2", "true"), page("ours", "", "false")}})
		memo, err := f.client(t).FindCreditMemo(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, "C1", memo.Number)
		calls := f.calls(pathListCreditMemos)
		require.Equal(t, "ChangedSince=2026-08-02T09%3A59%3A00Z&Limit=500", calls[0].query)
		require.Equal(t, "ChangedSince=2026-08-02T09%3A59%3A00Z&Cursor=c2&Limit=500", calls[2].query)
	})
	t.Run("absent", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathListCreditMemos: {page("theirs", "c1", "true"), page("theirs", "c9", "false")}})
		_, err := f.client(t).FindCreditMemo(t.Context(), ref)
		require.True(t, fault.Is(err, fault.NotFound), "%v", err)
	})
	t.Run("a cursor that stands still proves no absence", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathListCreditMemos: {page("theirs", "c1", "true")}})
		_, err := f.client(t).FindCreditMemo(t.Context(), ref)
		require.True(t, fault.Is(err, fault.Bug), "%v", err)
		require.Len(t, f.calls(pathListCreditMemos), 2)
	})
	t.Run("a list without end", func(t *testing.T) {
		var n atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, page("theirs", strings.Repeat("c", int(n.Add(1))), "true").body)
		}))
		t.Cleanup(server.Close)
		c, err := New(Config{BaseURL: server.URL, APIKey: "k"})
		require.NoError(t, err)
		_, err = c.FindCreditMemo(t.Context(), ref)
		require.True(t, fault.Is(err, fault.Bug), "%v", err)
		require.EqualValues(t, maxPages, n.Load())
	})
}

func TestCustomerCredit(t *testing.T) {
	cases := []struct {
		name, body string
		want       erp.Customer
	}{
		{"limit and terms", `"CreditCheckFlag":"B","CreditLimit":5000,"AvailableCredit":4664.51`, erp.Customer{CreditLimited: true, CreditLimit: decimal.NewFromInt(5000), AvailableCredit: decimal.RequireFromString("4664.51")}},
		{"terms only", `"CreditCheckFlag":"T","CreditLimit":5000,"AvailableCredit":"1.5"`, erp.Customer{AvailableCredit: decimal.RequireFromString("1.5")}},
		{"company default with a limit", `"CreditCheckFlag":" ","CreditLimit":50,"CurrentBalance":20,"OpenOrderValue":10`, erp.Customer{CreditLimited: true, CreditLimit: decimal.NewFromInt(50), AvailableCredit: decimal.NewFromInt(20)}},
		{"company default without one", `"CreditLimit":0,"AvailableCredit":0`, erp.Customer{}},
		{"held by hand", `"CreditStatus":"9","CreditCheckFlag":"N"`, erp.Customer{OnHold: true}},
		{"on hold", `"OnHold":true,"CreditCheckFlag":"N"`, erp.Customer{OnHold: true}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := newFacade(t, map[string][]reply{pathGetCustomer: ok(`{"CustomerCode":"C1","Currency":"USD","TermsCode":"CC",` + tc.body + `}`)})
			got, err := f.client(t).FindCustomer(t.Context(), erp.CustomerRef{Code: "C1"})
			require.NoError(t, err)
			require.True(t, tc.want.AvailableCredit.Equal(got.AvailableCredit), "%s", got.AvailableCredit)
			require.True(t, tc.want.CreditLimit.Equal(got.CreditLimit), "%s", got.CreditLimit)
			tc.want.Code, tc.want.Currency, tc.want.TermsCode = "C1", "USD", "CC"
			tc.want.AvailableCredit, tc.want.CreditLimit = got.AvailableCredit, got.CreditLimit
			require.Equal(t, tc.want, got)
		})
	}
}

func TestMoneyOutsideMappingsIsExact(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathPaymentStatus: ok(`{"Status":"Success","Changed":true}`)})
	c := f.client(t)
	for _, tc := range []struct{ amount, currency, want string }{
		{"48.1", "USD", "48.10"}, {"500", "JPY", "500"}, {"1.5", "KWD", "1.500"},
		{"1.005", "USD", "1.005"}, // refused there, never rounded here
		{"90071992547409.93", "USD", "90071992547409.93"},
	} {
		require.NoError(t, c.SetPaymentStatus(t.Context(), "k", erp.PaymentStatusChange{SalesOrder: "1", TransactionID: "T1",
			Status: erp.TagCaptured, Amount: decimal.RequireFromString(tc.amount), Currency: tc.currency, At: time.Unix(0, 0)}))
		calls := f.calls(pathPaymentStatus)
		require.Equal(t, `{"SalesOrder":"1","TransactionId":"T1","PaymentStatus":"Captured","Amount":`+tc.want+`,"At":"1970-01-01T00:00:00Z"}`,
			calls[len(calls)-1].body)
	}
}

func TestLogsHoldNoSecretAndNoBody(t *testing.T) {
	var log bytes.Buffer
	f := newFacade(t, map[string][]reply{
		pathToken:       {token("1")},
		pathAddCustomer: {{status: 400, body: `{"Errors":[{"Code":"INVALID_FIELD","Message":"Email ada@example.com","Field":"Email","Value":"ada@example.com"}]}`}},
		pathGetCustomer: {refused(404, "CUSTOMER_NOT_FOUND")},
	})
	c := f.client(t, withToken, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Logger.Info("start", "config", *c)
	})
	_, err := c.PutCustomer(t.Context(), "k", erp.Document{Body: json.RawMessage(`{"CustomerCode":"C1","Name":"Ada Park","Email":"ada@example.com"}`)})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "ada@")
	_, err = c.FindCustomer(t.Context(), erp.CustomerRef{ExternalID: "shop-789"})
	require.Error(t, err)
	require.Contains(t, log.String(), "INVALID_FIELD")
	for _, secret := range []string{"hush-secret", "tok-secret", "ada@", "Ada Park", "shop-789"} {
		require.NotContains(t, log.String(), secret)
	}
}

func TestSameKey(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"015562", "15562", true}, {"  10245", "000000000010245", true}, {"cust1", "CUST1 ", true}, {"0", "000", true},
		{"0A1", "A1", false}, {"", "0", false}, {"1", "10", false},
	} {
		require.Equal(t, tc.same, sameKey(tc.a, tc.b), "%q %q", tc.a, tc.b)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"Status":"Success","SalesOrder":"1","OrderStatus":"1","OrderTotal":48.19,"LineItems":[{"LineNumber":1,"Quantity":"2"}],"CustomFields":{"A":"b","C":1}}`,
		`{"CreditMemos":[{"Amount":-1.5}],"HasMore":true}`, `{"Lines":[{"Debit":1e5}]}`, `{"Status":"Error"}`, `[]`, `{"a":`, "", `{"Amount":"   "}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		order := &wireOrder{}
		for _, into := range []wireAnswer{order, &answer{}, &wireCustomer{}, &wireStock{}, &wireUpdate{}, &wireInvoice{}, &wirePayment{},
			&wireCreditMemo{}, &wireCreditMemos{}, &wireJournal{}, &wireAPInvoice{}, &tokenAnswer{}} {
			err := into.decode(body)
			if err != nil {
				require.Less(t, len(err.Error()), 200, "errors do not quote bodies")
			}
		}
		if order.decode(body) == nil {
			got := order.canonical()
			require.NotEmpty(t, got.Number)
			require.Less(t, len(got.Total.String()), 64, "an amount is small enough to calculate with")
		}
	})
}

func FuzzRefusals(f *testing.F) {
	f.Add(409, []byte(`{"Errors":[{"Code":"DUPLICATE_REFERENCE"}],"Existing":{}}`))
	f.Add(400, []byte(`{"RequestId":"x","Errors":[{"Code":"INVALID_FIELD","Message":"4111111111111111","Value":1,"Field":"a\u0000"}]}`))
	f.Add(503, []byte(`<html>`))
	c, err := New(Config{BaseURL: "http://erp.example", APIKey: "k"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		response := &http.Response{StatusCode: status, Header: http.Header{}}
		for _, request := range []call{{method: http.MethodGet}, {method: http.MethodPost, key: "k"}} {
			got := c.refusal(request, response, body, "r")
			require.NotEmpty(t, got.Kind)
			require.LessOrEqual(t, len(got.Fields), maxFields)
			require.LessOrEqual(t, len([]rune(got.Message)), maxMessage+60)
			require.NotRegexp(t, `\d{13,19}`, got.Message)
			if request.changes() {
				require.NotEqual(t, fault.NotFound, got.Kind)
				require.False(t, status >= 500 && got.Kind != fault.UnknownOutcome)
			}
		}
	})
}
