package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/internal/outbound"
	"github.com/tenderline/tenderline/mappings"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

const (
	merchant     = "demo_mid"
	keyID        = "08c94330-f618-42a3-b09d-e1e43be5efda"
	sharedSecret = "cmVmZXJlbmNlIGV4YW1wbGUgc2VjcmV0IDAwMDAwMDE="

	settleWait = time.Minute
	indexLag   = 5 * time.Second
	budget     = 15 * time.Minute
)

// clock only moves when told. It starts at the real time, from which Temporal's test environment takes an activity's scheduled time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Microsecond)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written.String()
}

// testing.TB that rapid's T fulfils too.
type tb interface {
	require.TestingT
	Helper()
}

var mappingSet = sync.OnceValues(func() (*mappings.Set, error) { return mappings.Load(mappings.Options{}) })

func ring(t testing.TB) *keyring.Ring {
	t.Helper()
	made, err := keyring.New("k1", map[string][]byte{"k1": bytes.Repeat([]byte{7}, keyring.KeySize)})
	require.NoError(t, err)
	return made
}

// bank is the payment steps with a real client, a real gateway stand-in and a real journal.
type bank struct {
	clock    *clock
	behind   time.Duration // how far the gateway's clock is behind ours
	server   *sandbox.Server
	url      string
	store    *journal.Store
	file     string // of the journal
	logs     *lockedBuffer
	payments *activities.Payments
	env      *testsuite.TestActivityEnvironment
}

func newBank(t testing.TB, change ...func(*bank, *sandbox.Config)) *bank {
	t.Helper()
	b := &bank{clock: newClock(), logs: &lockedBuffer{}}
	config := sandbox.Config{MerchantID: merchant, KeyID: keyID, SharedSecret: sharedSecret}
	config.Clock = func() time.Time { return b.clock.Now().Add(-b.behind) }
	for _, c := range change {
		c(b, &config)
	}
	server, err := sandbox.New(config)
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { web.Close(); require.NoError(t, server.Close()) })
	b.server, b.url = server, web.URL

	logger := slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client, err := cybersource.New(cybersource.Config{
		BaseURL: web.URL, MerchantID: merchant, KeyID: keyID, SharedSecret: sharedSecret, Clock: b.clock.Now,
		Transport: outbound.Transport(outbound.Config{
			System: cybersource.System, Breaker: outbound.Breaker{MinRequests: 1 << 30}, Logger: logger, Clock: b.clock.Now,
		}),
	})
	require.NoError(t, err)
	b.file = journaltest.File(t)
	b.store, err = journal.Open(t.Context(), "sqlite:"+b.file, journal.Options{Keyring: ring(t), Clock: b.clock.Now, Migrate: true, Logger: logger})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	b.payments = &activities.Payments{
		Gateway: client, Journal: b.store, Deployment: "test", Merchant: merchant, GuardVerified: true,
		Timing: activities.GatewayTiming{Settle: settleWait, Budget: budget, Lag: indexLag}, Clock: b.clock.Now,
	}
	b.env = activityEnvironment()
	b.env.RegisterActivity(b.payments)
	return b
}

// activityEnvironment is Temporal's, without its log of every failed try.
func activityEnvironment() *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	return suite.NewTestActivityEnvironment()
}

func withLag(search, details time.Duration) func(*bank, *sandbox.Config) {
	return func(_ *bank, c *sandbox.Config) { c.SearchLag, c.DetailsLag = search, details }
}

// order puts an order into the journal, so that progress has a place to go.
func (b *bank) order(t testing.TB, orderID string) canonical.Order {
	t.Helper()
	order := sampleOrder(orderID)
	_, _, err := b.store.TakeOrder(t.Context(), journal.OrderRecord{
		OrderID: orderID, Channel: order.Channel, BodyHash: "hash", Input: []byte("{}"), Currency: order.Currency, Total: order.Total,
	})
	require.NoError(t, err)
	return order
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func usd(text string) canonical.Money { return canonical.NewMoney(dec(text), "USD") }

const total = "48.19"

// sampleOrder is two widgets with shipping: 48.19 USD.
func sampleOrder(orderID string) canonical.Order {
	address := canonical.Address{Name: "Ada Park", Line1: "1 Market St", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US"}
	return canonical.Order{
		OrderID: orderID, Channel: "web-us", PlacedAt: time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC), Currency: "USD",
		Customer: canonical.Customer{ID: "C-2001", Email: "ada@example.com", FirstName: "Ada", LastName: "Park", Phone: "+1 415 555 0100"},
		BillTo:   address, ShipTo: address,
		Lines:    []canonical.LineItem{{SKU: "A100", Description: "Widget", Quantity: dec("2"), UnitPrice: dec("19.95"), Tax: dec("3.29")}},
		Shipping: dec("5.00"), Total: dec(total),
		Payment: canonical.PaymentMethod{Token: card("01"), Capture: canonical.CaptureImmediate},
	}
}

// card is a stored customer of the stand-in; its number names the scenario (sandbox/cybersource/TRIGGERS.md).
func card(number string) canonical.Token {
	return canonical.Token{Type: canonical.TokenCustomer, Value: "C00000000000000000000000000000" + number}
}

const (
	cardApproved, cardDeclined, cardHeld, cardRiskDeclined, cardPartial = "01", "02", "03", "04", "05"
	cardHeldUnauthorized, cardAuthentication, cardCommitted502          = "06", "07", "08"
)

// paying is the input of an authorization or sale of a sample order.
func paying(t tb, order canonical.Order, attempt int, number string, capture bool) activities.AuthorizePaymentInput {
	t.Helper()
	set, err := mappingSet()
	require.NoError(t, err)
	mapping, err := set.Mapping("cybersource/payment")
	require.NoError(t, err)
	order.Payment.Token = card(number)
	document, err := mapping.Apply(mappings.Input{Order: order, Date: "2026-11-20"})
	require.NoError(t, err)
	return activities.AuthorizePaymentInput{
		OrderID: order.OrderID, Attempt: attempt, Document: document, Token: card(number), Amount: order.Money(order.Total), Capture: capture,
	}
}

// try runs an activity once, as a worker would.
func try[I, O any](b *bank, activity func(context.Context, I) (O, error), in I) (O, error) {
	var out O
	value, err := b.env.ExecuteActivity(activity, in)
	if err == nil {
		err = value.Get(&out)
	}
	return out, err
}

// finish runs an activity as Temporal would, until it ends: a failure that may be retried comes again after the pause it asks for.
func finish[I, O any](b *bank, activity func(context.Context, I) (O, error), in I) (O, error) {
	const tries = 400
	var err error
	for range tries {
		var out O
		out, err = try(b, activity, in)
		failure := application(err)
		if failure == nil || failure.NonRetryable() {
			return out, err
		}
		b.clock.Advance(max(failure.NextRetryDelay(), time.Second))
	}
	var none O
	return none, fmt.Errorf("the activity does not end: %w", err)
}

// must is finish for an activity that ends well.
func must[I, O any](t tb, b *bank, activity func(context.Context, I) (O, error), in I) O {
	t.Helper()
	out, err := finish(b, activity, in)
	require.NoError(t, err)
	return out
}

// application is the application error that an activity ended with; nil for none.
func application(err error) *temporal.ApplicationError {
	var failure *temporal.ApplicationError
	if errors.As(err, &failure) {
		return failure
	}
	return nil
}

// requireFault holds an activity's failure against a kind, and whether it is the end.
func requireFault(t tb, err error, kind fault.Kind, final bool) *temporal.ApplicationError {
	t.Helper()
	failure := application(err)
	require.NotNil(t, failure, "%v", err)
	require.Equal(t, string(kind), failure.Type(), "%v", err)
	require.Equal(t, final, failure.NonRetryable(), "%v", err)
	return failure
}

// code is the other side's code of a failure.
func code(t tb, err error) string {
	t.Helper()
	failure := application(err)
	require.NotNil(t, failure, "%v", err)
	var detail activities.FaultDetail
	require.NoError(t, failure.Details(&detail))
	return detail.Code
}

// broken makes the next matching request of the gateway fail.
func (b *bank) broken(t tb, route, mode string, times int) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/faults", map[string]any{"route": route, "mode": mode, "status": http.StatusBadGateway, "reason": "SYSTEM_ERROR", "times": times})
}

// answering makes the next matching request be answered by a status, without being carried out.
func (b *bank) answering(t tb, route string, status int, reason string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/faults", map[string]any{"route": route, "mode": "status", "status": status, "reason": reason, "times": 1})
}

// controls talks to the stand-ins' control surface.
var controls = &http.Client{Timeout: 30 * time.Second}

func (b *bank) healed(t tb) {
	t.Helper()
	request, err := http.NewRequest(http.MethodDelete, b.url+"/_sandbox/faults", nil)
	require.NoError(t, err)
	response, err := controls.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
}

func (b *bank) closeBatch(t tb) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/settle?date="+b.clock.Now().AddDate(0, 0, 1).Format(time.DateOnly), nil)
}

// reviewer decides a case in the gateway's own console.
func (b *bank) reviewer(t tb, id, decision string, actions ...string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/review", map[string]any{"id": id, "decision": decision, "actionList": actions})
}

// console moves money by hand in the gateway's own console, of which no webhook tells.
func (b *bank) console(t tb, id, action, amount string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/console", map[string]any{"id": id, "action": action, "amount": amount, "silent": true})
}

// expire lets the bank release a hold.
func (b *bank) expire(t tb, id string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/expire", map[string]any{"id": id})
}

// authorized and captured are the gateway's ids of the order's last authorization and of what is captured.
func (b *bank) authorized(t tb) string { t.Helper(); return b.lastPayment(t).AuthorizationID }
func (b *bank) captured(t tb) string   { t.Helper(); return b.lastPayment(t).CaptureID }

func (b *bank) lastPayment(t tb) journal.Payment {
	t.Helper()
	payment, err := b.store.Payment(context.Background(), "WEB-1")
	require.NoError(t, err)
	return payment
}

// tryPost asks the control surface for something that the state of things may forbid.
func (b *bank) tryPost(t tb, path string, body any) {
	t.Helper()
	written, err := json.Marshal(body)
	require.NoError(t, err)
	response, err := controls.Post(b.url+path, "application/json", bytes.NewReader(written))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Less(t, response.StatusCode, http.StatusInternalServerError)
}

func postJSON(t tb, url string, body any) {
	t.Helper()
	written := []byte{}
	if body != nil {
		var err error
		written, err = json.Marshal(body)
		require.NoError(t, err)
	}
	response, err := controls.Post(url, "application/json", bytes.NewReader(written))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 2, response.StatusCode/100, "POST %s: %s", url, response.Status)
}

// booked are the ledger's entries of a kind.
func (b *bank) booked(kind string) []sandbox.LedgerEntry {
	var found []sandbox.LedgerEntry
	for _, entry := range b.server.Ledger().Transactions {
		if entry.Kind == kind {
			found = append(found, entry)
		}
	}
	return found
}

// requests counts what of a route reached the gateway.
func (b *bank) requests(t tb, method, path string) int {
	t.Helper()
	response, err := controls.Get(b.url + "/_sandbox/requests")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var seen struct {
		Requests []struct{ Method, Path string }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&seen))
	count := 0
	for _, request := range seen.Requests {
		if request.Method == method && request.Path == path {
			count++
		}
	}
	return count
}

// requireBalance holds the gateway's sums of an order against what must be there.
func (b *bank) requireBalance(t tb, orderID, held, captured, refunded string) {
	t.Helper()
	sums := b.server.Balances(orderID)
	if len(sums) == 0 {
		sums = []sandbox.Balance{{}}
	}
	require.Equal(t, []string{held, captured, refunded},
		[]string{sums[0].Held.StringFixed(2), sums[0].Captured.StringFixed(2), sums[0].Refunded.StringFixed(2)}, "held, captured, refunded")
}

// requireJournal holds the journal's sums against the gateway's: once nothing is open they are the same.
func (b *bank) requireJournal(t tb, orderID string) {
	t.Helper()
	payment, err := b.store.Payment(context.Background(), orderID)
	if errors.Is(err, journal.ErrNotFound) {
		b.requireBalance(t, orderID, "0.00", "0.00", "0.00")
		return
	}
	require.NoError(t, err)
	require.False(t, payment.Open, "something is still open")
	hold := payment.Authorized.Sub(payment.Captured).Sub(payment.Reversed)
	b.requireBalance(t, orderID, hold.StringFixed(2), payment.Captured.StringFixed(2), payment.Refunded.StringFixed(2))
}

// requireOneLive: the bank never holds or takes the buyer's money twice.
func (b *bank) requireOneLive(t tb, orderID string) {
	t.Helper()
	live := 0
	for _, entry := range b.server.Ledger().Transactions {
		if entry.Reference == orderID && (entry.Kind == "auth" || entry.Kind == "sale") {
			balances := entry.Held != "" && !dec(entry.Held).IsZero()
			if balances || entry.Kind == "sale" && (entry.Status == "AUTHORIZED" || entry.Status == "PENDING" || entry.Status == "BATCHED") {
				live++
			}
		}
	}
	require.LessOrEqual(t, live, 1, "live authorizations of one order: %v", b.server.Ledger().Transactions)
}

func (b *bank) operation(t tb, key string) journal.Operation {
	t.Helper()
	stored, err := b.store.Operations().Get(context.Background(), key)
	require.NoError(t, err)
	return stored
}

// declining answers every request as processed and declined.
type declining struct{ activities.Gateway }

func (declining) Send(_ context.Context, request cybersource.Request) (cybersource.Outcome, error) {
	return cybersource.Outcome{Kind: request.Kind, Result: cybersource.Declined, ID: "7000000000000000000001", Status: "DECLINED", Reason: "PROCESSOR_DECLINED"}, nil
}

// refusalCode is the code that is stored with a refused operation.
func refusalCode(t tb, b *bank, key string) string {
	t.Helper()
	stored := b.operation(t, key)
	require.Equal(t, journal.OperationRefused, stored.State)
	var concluded struct{ Refusal struct{ Code string } }
	require.NoError(t, json.Unmarshal(stored.Outcome, &concluded))
	return concluded.Refusal.Code
}
