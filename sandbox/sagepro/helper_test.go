package sagepro

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/pgtest"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
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

// company is a sandbox on one database, with a client that connects through it.
type company struct {
	t      testing.TB
	server *Server
	web    *httptest.Server
	client *sqlx.DB
	clock  *clock
}

// file is where a test keeps a company. No test looks at what a power cut leaves.
func file(t *testing.T) string {
	t.Helper()
	path := url.URL{Path: filepath.Join(t.TempDir(), "pro01.db")}
	return "file:" + path.EscapedPath() + "?_pragma=synchronous(OFF)"
}

// onBoth runs a test on either database.
func onBoth(t *testing.T, test func(t *testing.T, c *company)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, openCompany(t, Config{Dialect: "sqlite", DSN: file(t)}))
	})
	t.Run("postgres", func(t *testing.T) { test(t, openCompany(t, Config{Dialect: "postgres", DSN: pgtest.New(t, nil)})) })
}

func openCompany(t testing.TB, config Config) *company {
	t.Helper()
	c := &company{t: t, clock: newClock()}
	config.Clock = c.clock.Now
	server, err := New(t.Context(), config)
	require.NoError(t, err)
	c.server = server
	c.client = sqlx.NewDb(sql.OpenDB(server.Connector()), config.Dialect)
	c.web = httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		c.web.Close()
		require.NoError(t, c.client.Close())
		require.NoError(t, server.Close())
	})
	return c
}

// object is a JSON object.
type object map[string]any

// call calls the control surface and gives the status with the body.
func (c *company) call(method, path string, body any) (int, []byte) {
	c.t.Helper()
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(c.t, err)
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.web.URL+"/_sandbox/"+path, content)
	require.NoError(c.t, err)
	response, err := c.web.Client().Do(request)
	require.NoError(c.t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return response.StatusCode, answer
}

// ok calls and wants success.
func (c *company) ok(method, path string, body any) object {
	c.t.Helper()
	status, answer := c.call(method, path, body)
	require.Equal(c.t, 2, status/100, "%s %s: %d %s", method, path, status, answer)
	var decoded object
	if len(answer) > 0 {
		c.read(answer, &decoded)
	}
	return decoded
}

// read decodes an answer. Numbers stay as they were written: what is money is never a float.
func (c *company) read(answer []byte, into any) {
	c.t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	require.NoError(c.t, decoder.Decode(into), string(answer))
}

// post calls the clerk and wants success.
func (c *company) post(path string, body any) object {
	c.t.Helper()
	return c.ok(http.MethodPost, path, body)
}

// refused calls the clerk, wants a status, and gives the code of the refusal.
func (c *company) refused(status int, path string, body any) string {
	c.t.Helper()
	got, answer := c.call(http.MethodPost, path, body)
	require.Equal(c.t, status, got, "%s: %s", path, answer)
	var decoded struct {
		Errors []struct{ Code, Message string }
	}
	require.NoError(c.t, json.Unmarshal(answer, &decoded))
	require.Len(c.t, decoded.Errors, 1)
	require.NotEmpty(c.t, decoded.Errors[0].Message)
	return decoded.Errors[0].Code
}

// plant plants a fault.
func (c *company) plant(fault object) {
	c.t.Helper()
	c.post("faults", fault)
}

func (c *company) ledger() ledger {
	c.t.Helper()
	var l ledger
	_, answer := c.call(http.MethodGet, "ledger", nil)
	require.NoError(c.t, json.Unmarshal(answer, &l))
	return l
}

// drifts gives what the drift check finds.
func (c *company) drifts() []Difference {
	c.t.Helper()
	var found struct{ Differences []Difference }
	_, answer := c.call(http.MethodGet, "drift", nil)
	require.NoError(c.t, json.Unmarshal(answer, &found))
	require.NotNil(c.t, found.Differences)
	return found.Differences
}

// sound wants every counter right and the books balanced.
func (c *company) sound() {
	c.t.Helper()
	require.Empty(c.t, c.drifts())
	balance := c.ok(http.MethodGet, "trial-balance", nil)
	require.Equal(c.t, true, balance["Balanced"], balance)
}

// exec changes the database from beside: as somebody who writes past the ERP.
func (c *company) exec(query string, args ...any) {
	c.t.Helper()
	_, err := c.client.ExecContext(c.t.Context(), c.client.Rebind(query), args...)
	require.NoError(c.t, err)
}

// count counts rows.
func (c *company) count(from string, args ...any) int {
	c.t.Helper()
	var n int
	require.NoError(c.t, c.client.GetContext(c.t.Context(), &n, c.client.Rebind("SELECT count(*) FROM "+from), args...))
	return n
}

// sale is an order as a client writes it: two widgets at 19.95, tax 3.29, freight 5.00, 48.19 in all.
type sale struct {
	number, custno, item, quantity, net, tax, freight, mark string
}

func widgets(orderNumber string) sale {
	return sale{number: orderNumber, custno: "WEB", item: "A100", quantity: "2", net: "39.90", tax: "3.29", freight: "5"}
}

// sell writes an order with all that belongs to it, in one transaction, and gives its number.
func (c *company) sell(s sale) string {
	c.t.Helper()
	sono, err := c.trySell(s)
	require.NoError(c.t, err)
	return sono
}

func (c *company) trySell(s sale) (string, error) {
	tx, err := c.client.BeginTxx(c.t.Context(), nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }()
	w := &writer{ctx: c.t.Context(), tx: tx}
	dec := decimal.RequireFromString
	sono := number(w.next("SO01", "sono"))
	custno, item, location := code(s.custno, custnoWidth), code(s.item, itemWidth), code("N", loctidWidth)
	total := dec(s.net).Add(dec(s.tax)).Add(dec(s.freight))
	w.insert("cyb_xref", row{"company": "01", "entity": "order", "extref": s.number, "erpkey": ours(text(sono)), "amount": amount{total}, "currid": "USD"})
	w.insert("somast", row{"sono": sono, "custno": custno, "sodate": "2026-07-28", "ponum": s.number[:min(20, len(s.number))], "pterms": "VISA", "tax": s.tax, "ordamt": amount{total},
		"loctid": location, "currid": "USD", "orderstat": s.mark})
	for i, l := range []struct{ item, quantity, net, stock string }{{item, s.quantity, s.net, "Y"}, {code("FREIGHT", itemWidth), "1", s.freight, "N"}} {
		w.insert("sotran", row{"sono": sono, "tranlineno": i + 1, "custno": custno, "item": l.item, "qtyord": l.quantity, "origqtyord": l.quantity, "price": l.net,
			"extprice": l.net, "stkcode": l.stock, "loctid": location})
	}
	w.insert("soaddr", row{"sono": sono, "custno": custno, "adtype": "S", "company": "Ada Park", "city": "San Francisco"})
	w.insert("cyb_paystat", row{"company": "01", "sono": sono, "cybtxn": "70" + s.number, "method": "visa", "paystatus": "Captured", "amount": amount{total}, "currid": "USD"})
	cu, st := amount{}, amount{}
	w.get(&cu, "SELECT onorder FROM arcust WHERE custno = ?", custno)
	w.update("arcust", row{"onorder": amount{cu.Add(total)}}, "custno = ?", custno)
	w.get(&st, "SELECT lsoaloc FROM iciloc WHERE item = ? AND loctid = ?", item, location)
	w.update("iciloc", row{"lsoaloc": amount{st.Add(dec(s.quantity))}}, "item = ? AND loctid = ?", item, location)
	if w.err != nil {
		return "", w.err
	}
	return ours(text(sono)), tx.Commit()
}

// receive writes a receipt against an invoice: or, without one, a deposit.
func (c *company) receive(reference, invno, paid, letter string) {
	c.t.Helper()
	tx, err := c.client.BeginTxx(c.t.Context(), nil)
	require.NoError(c.t, err)
	defer func() { _ = tx.Rollback() }()
	w := &writer{ctx: c.t.Context(), tx: tx}
	sum, custno := decimal.RequireFromString(paid), code("WEB", custnoWidth)
	w.insert("arcash", row{"custno": custno, "invno": number(invno), "dtepaid": "2026-07-28", "paidamt": paid, "refno": reference, "paytype": letter, "bankacct": "1050"})
	if invno != depositInvoice {
		var i invoice
		w.get(&i, "SELECT "+invoiceColumns+" FROM armast WHERE invno = ?", number(invno))
		w.update("armast", row{"paidamt": amount{i.Paidamt.Add(sum)}, "balance": amount{i.Balance.Sub(sum)}}, "invno = ?", number(invno))
	}
	owed := amount{}
	w.get(&owed, "SELECT balance FROM arcust WHERE custno = ?", custno)
	w.update("arcust", row{"balance": amount{owed.Sub(sum)}}, "custno = ?", custno)
	require.NoError(c.t, w.err)
	require.NoError(c.t, tx.Commit())
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func customerOf(l ledger, custno string) customerRow {
	for _, c := range l.Customers {
		if c.CustomerCode == custno {
			return c
		}
	}
	return customerRow{}
}

func stockOf(l ledger, item, location string) stockRow {
	for _, s := range l.Stock {
		if s.StockCode == item && s.Warehouse == location {
			return s
		}
	}
	return stockRow{}
}

// decode reads a view of the control surface.
func (c *company) decode(path string, into any) {
	c.t.Helper()
	status, answer := c.call(http.MethodGet, path, nil)
	require.Equal(c.t, http.StatusOK, status, string(answer))
	c.read(answer, into)
}

// faults lists the planted faults, the spent ones last.
func (c *company) faults() []Fault {
	c.t.Helper()
	var found struct{ Faults []Fault }
	c.decode("faults", &found)
	return found.Faults
}
