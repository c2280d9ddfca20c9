package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/webhook"
	"github.com/tenderline/tenderline/workflows"
)

// ran is what a run of the program left behind.
type ran struct {
	code           int
	stdout, stderr string
}

// execute runs one command line.
func execute(t *testing.T, env map[string]string, stdin string, args ...string) ran {
	t.Helper()
	return executeContext(t.Context(), env, stdin, args...)
}

func executeContext(ctx context.Context, env map[string]string, stdin string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := Run(ctx, Program{Args: args, Env: list(env), Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return ran{code, trimmed(stdout.String()), stderr.String()}
}

func list(env map[string]string) []string {
	var entries []string
	for name, value := range env {
		entries = append(entries, name+"="+value)
	}
	return entries
}

// trimmed takes away the blanks that fill a table's last column.
func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// The API keys of the tests.
const (
	shopKey     = "test-shop-key"
	analystKey  = "test-analyst-key"
	operatorKey = "test-operator-key"
	financeKey  = "test-finance-key"
)

// api is the real API over stand-ins for the processes and the journal.
type api struct {
	*processes
	url      string
	requests func() int // that reached it
}

func newAPI(t *testing.T) *api {
	t.Helper()
	keys := config.Keys{}
	require.NoError(t, keys.Decode(strings.Join([]string{
		"web-shop|shop|web-us|" + config.HashKey(shopKey), "ann|analyst||" + config.HashKey(analystKey), "otto|operator||" + config.HashKey(operatorKey),
		"fay|finance||" + config.HashKey(financeKey),
	}, ",")))
	p := &processes{}
	server, err := webhook.New(webhook.Deps{
		Starter: p, Store: p, Keys: keys, Codec: engine.Codec(testRing(t)),
		HTTP: config.HTTP{Address: "127.0.0.1:0", BodyLimit: 1 << 20, WebhookLimit: 1 << 16, Timeout: time.Minute, MaxWait: 5 * time.Second},
	})
	require.NoError(t, err)
	var mutex sync.Mutex
	count := 0
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		count++
		mutex.Unlock()
		server.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	return &api{processes: p, url: listener.URL, requests: func() int {
		mutex.Lock()
		defer mutex.Unlock()
		return count
	}}
}

// as is the environment of somebody who calls the API.
func (a *api) as(key string) map[string]string {
	return map[string]string{variableAPI: a.url, variableAPIKey: key}
}

// testKeys is one key of 32 zero bytes.
var testKeys = "test:" + base64.StdEncoding.EncodeToString(make([]byte, 32))

func testRing(t *testing.T) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse(testKeys)
	require.NoError(t, err)
	return ring
}

var placed = time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)

// processes stands in for the starter and the journal: it shows two orders and one parked step, and remembers what it was asked for.
type processes struct {
	webhook.Starter // Deliver and Run are not called: no webhook arrives here

	mutex     sync.Mutex
	submitted []canonical.Order
	waited    time.Duration
	cancelled []workflows.CancelRequest
	tokens    []workflows.NewToken
	decisions []workflows.Decision
	late      bool                       // decisions come after an accept
	outcome   workflows.ResolutionAnswer // of the next resolutions
	resolved  []workflows.Resolution
	refunds   []starter.RefundRequest
	bulks     []starter.BulkRetry
	events    []workflows.Resolution // of the inbox
	reviews   []journal.ReviewFilter
	filters   []journal.OrderFilter
	refuse    error

	runs       []starter.SettlementRun
	days       []journal.SettlementFilter
	looks      int // at a settlement day
	payments   []journal.PaymentFilter
	disputes   []journal.ChargebackFilter
	opened     []starter.OpenedCase
	outcomes   []starter.EndedCase
	stockCodes []string
}

func record(id string, status canonical.OrderStatus, payment canonical.PaymentStatus) journal.OrderRecord {
	return journal.OrderRecord{
		OrderID: id, Channel: "web-us", Status: status, PaymentStatus: payment, Currency: "USD", Total: decimal.RequireFromString("48.19"),
		Erp: "syspro", ReceivedAt: placed, UpdatedAt: placed.Add(3 * time.Second),
	}
}

func confirmed() journal.OrderRecord {
	r := record("WEB-10001", canonical.OrderConfirmed, canonical.PaymentCaptured)
	r.ErpOrderNumber, r.ErpInvoice, r.CustomerCode = "015562", "200069", "CUST0042"
	return r
}

func held() journal.OrderRecord {
	r := record("WEB-10004", canonical.OrderInReview, canonical.PaymentHeld)
	r.Reason, r.NeedsAttention, r.Input = "held by Decision Manager", true, []byte(orderDocument)
	return r
}

func (p *processes) SubmitOrder(_ context.Context, order canonical.Order) (journal.OrderRecord, bool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.submitted = append(p.submitted, order)
	return record(order.OrderID, canonical.OrderReceived, canonical.PaymentNone), true, p.refuse
}

func (p *processes) PaymentOutcome(_ context.Context, orderID string, wait time.Duration) (workflows.OrderView, bool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.waited = wait
	return workflows.OrderView{OrderID: orderID, Status: canonical.OrderBooking, PaymentStatus: canonical.PaymentCaptured}, true, nil
}

func (p *processes) Cancel(_ context.Context, _ string, request workflows.CancelRequest) (workflows.CancelAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cancelled = append(p.cancelled, request)
	return workflows.CancelAnswer{Status: canonical.OrderBooking}, p.refuse
}

func (p *processes) NewToken(_ context.Context, _ string, token workflows.NewToken) (workflows.NewTokenAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.tokens = append(p.tokens, token)
	return workflows.NewTokenAnswer{Attempt: 2}, p.refuse
}

func (p *processes) Decide(_ context.Context, _ string, decision workflows.Decision) (starter.Verdict, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.decisions = append(p.decisions, decision)
	if p.late {
		return starter.Verdict{DecisionAnswer: workflows.DecisionAnswer{Decision: canonical.FraudAccept, Actor: "bea", Late: true}, LateReject: true}, nil
	}
	return starter.Verdict{DecisionAnswer: workflows.DecisionAnswer{Decision: decision.Decision, Actor: decision.Actor}}, p.refuse
}

func (p *processes) Resolve(_ context.Context, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.resolved = append(p.resolved, answer)
	out := p.outcome
	out.ID, out.Kind = answer.ID, answer.Kind
	return out, p.refuse
}

func (p *processes) RetryAll(_ context.Context, bulk starter.BulkRetry) ([]starter.Retried, bool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.bulks = append(p.bulks, bulk)
	return []starter.Retried{
		{ID: "0f3c9a", OrderID: "WEB-10007", Step: "invoice"},
		{ID: "0f3c9b", OrderID: "WEB-10008", Step: "invoice", Err: refusal(starter.TooLate, `already resolved with "compensate" by olga`)},
	}, true, p.refuse
}

func (p *processes) ResolveEvent(_ context.Context, eventID string, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	answer.ID = journal.InboxAttentionID(eventID)
	p.events = append(p.events, answer)
	return workflows.ResolutionAnswer{ID: answer.ID, Kind: answer.Kind}, p.refuse
}

func (p *processes) Inbox(context.Context, journal.InboxFilter) ([]journal.InboxItem, string, error) {
	return []journal.InboxItem{{
		ID: "9f2c", Source: "cybersource", EventType: "risk.casemanagement.decision.accept", OrderID: "WEB-404", State: journal.InboxAttention,
		Tries: 20, LastError: "there is no such order", ReceivedAt: placed,
	}}, "", nil
}

func (p *processes) RequestRefund(_ context.Context, orderID string, request starter.RefundRequest) (journal.RefundRecord, bool, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refunds = append(p.refunds, request)
	r := refunded()
	r.OrderID, r.RefundID, r.Status, r.Actor, r.Origin = orderID, request.RefundID, canonical.RefundPaying, request.Actor, string(request.Origin)
	return r, true, p.refuse
}

// refunded is a refund of one of two pieces.
func refunded() journal.RefundRecord {
	return journal.RefundRecord{
		OrderID: "WEB-10001", RefundID: "R-1", Origin: "shop", Actor: "web-shop", Reason: "returned", Currency: "USD", Amount: decimal.RequireFromString("24.10"),
		Breakdown: canonical.RefundBreakdown{
			Lines: []canonical.RefundShare{{
				Line: 1, SKU: "A100", Quantity: decimal.NewFromInt(1), Net: decimal.RequireFromString("19.95"), Tax: decimal.RequireFromString("1.65"),
			}},
			Net: decimal.RequireFromString("19.95"), Tax: decimal.RequireFromString("1.65"), Shipping: decimal.RequireFromString("2.50"), Total: decimal.RequireFromString("24.10"),
		},
		Restock: true, Status: canonical.RefundCompleted, Way: "refund", TransactionID: "7031234567890123456703", ErpCreditMemo: "300021",
		CreatedAt: placed.Add(time.Hour), UpdatedAt: placed.Add(time.Hour + time.Minute),
	}
}

func (p *processes) Refund(_ context.Context, orderID, refundID string) (journal.RefundRecord, error) {
	if orderID != "WEB-10001" {
		return journal.RefundRecord{}, journal.ErrNotFound
	}
	r := refunded()
	r.RefundID = refundID
	return r, nil
}

func (p *processes) Refunds(_ context.Context, orderID string) ([]journal.RefundRecord, error) {
	if orderID != "WEB-10001" {
		return nil, nil
	}
	return []journal.RefundRecord{refunded()}, nil
}

func (p *processes) Audit(context.Context, string) ([]journal.AuditEntry, error) {
	return []journal.AuditEntry{
		{At: placed.Add(time.Second), Call: &journal.Call{
			System: "cybersource", Method: "POST", Route: "/pts/v2/payments", Status: 201, Duration: 312 * time.Millisecond,
			OperationKey: "order:WEB-10001:authorize:1", CorrelationID: "c-1",
		}},
		{At: placed.Add(2 * time.Second), Action: &journal.Action{
			Actor: "ann", Action: "fraud.decision", Reason: "known customer", Detail: map[string]string{"decision": "accept", "source": "api"},
		}},
	}, nil
}

// underReview is a review that was escalated and waits.
func underReview() journal.Review {
	return journal.Review{
		OrderID: "WEB-10004", WorkflowID: "fraud-review/WEB-10004", PaymentID: "7031234567890123456701", State: journal.ReviewOpen, Since: placed,
		RemindedAt: placed.Add(4 * time.Hour), EscalatedAt: placed.Add(24 * time.Hour), Deadline: placed.Add(48 * time.Hour), Default: "reject",
		Amount: canonical.NewMoney(decimal.RequireFromString("48.19"), "USD"),
		Risk: journal.ReviewRisk{
			Score: "84", Factors: []string{"F", "Z"}, Profile: "web", Queue: "night", Rules: []journal.ReviewRule{{Name: "high amount", Decision: "REVIEW"}},
			InfoCodes: map[string][]string{"velocity": {"VELV-EM"}, "phone": {"RISK-PH"}}, AVS: "N", CVN: "M",
		},
		Notes: []journal.ReviewNoteRecord{
			{At: placed.Add(24 * time.Hour), Note: "escalated"},
			{At: placed.Add(25 * time.Hour), Note: "opposed", Decision: canonical.FraudReject, Actor: "bea", Source: "api", Comment: "no", Rule: "the first valid decision holds"},
		},
	}
}

func (p *processes) Reviews(_ context.Context, filter journal.ReviewFilter) ([]journal.Review, string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.reviews = append(p.reviews, filter)
	return []journal.Review{underReview()}, "", nil
}

func (p *processes) Review(_ context.Context, orderID string) (journal.Review, error) {
	if orderID != "WEB-10004" {
		return journal.Review{}, journal.ErrNotFound
	}
	return underReview(), nil
}

func (p *processes) CustomerHistory(context.Context, string) (journal.CustomerHistory, error) {
	return journal.CustomerHistory{
		Orders: 3, Confirmed: 2, ChargedBack: 1, First: placed.Add(-30 * 24 * time.Hour), Last: placed.Add(-time.Hour),
		Spent:  []canonical.Money{canonical.NewMoney(decimal.RequireFromString("96.38"), "USD")},
		Recent: []journal.OrderRecord{confirmed()},
	}, nil
}

func (p *processes) Order(_ context.Context, orderID string) (journal.OrderRecord, error) {
	for _, r := range []journal.OrderRecord{confirmed(), held()} {
		if r.OrderID == orderID {
			return r, nil
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, order := range p.submitted {
		if order.OrderID == orderID {
			return record(orderID, canonical.OrderAuthorizing, canonical.PaymentNone), nil
		}
	}
	return journal.OrderRecord{}, journal.ErrNotFound
}

func (p *processes) Orders(_ context.Context, filter journal.OrderFilter) ([]journal.OrderRecord, string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.filters = append(p.filters, filter)
	switch {
	case filter.Status == canonical.OrderInReview:
		return []journal.OrderRecord{held()}, "", nil
	case filter.Limit == 1:
		return []journal.OrderRecord{held()}, "next-page", nil
	default:
		return []journal.OrderRecord{held(), confirmed()}, "", nil
	}
}

func (p *processes) Timeline(context.Context, string) ([]journal.Event, error) {
	return []journal.Event{
		{At: placed, Kind: "received", Summary: "order taken", Actor: "web-shop"},
		{At: placed.Add(3 * time.Second), Kind: "captured", Summary: "payment\tcaptured\x1b[31m"},
	}, nil
}

func (p *processes) Payment(_ context.Context, orderID string) (journal.Payment, error) {
	if orderID != "WEB-10001" {
		return journal.Payment{}, journal.ErrNotFound
	}
	return journal.Payment{Payment: canonical.Payment{
		OrderID: orderID, Status: canonical.PaymentCaptured, Currency: "USD", AuthorizationID: "7031234567890123456701", CaptureID: "7031234567890123456702",
		Authorized: decimal.RequireFromString("48.19"), Captured: decimal.RequireFromString("48.19"), CardType: "001", CardSuffix: "1111",
	}}, nil
}

func parkedStep() journal.Attention {
	return journal.Attention{
		ID: "0f3c9a", OrderID: "WEB-10007", WorkflowID: "order/WEB-10007", Step: "create invoice", Class: fault.ClosedPeriod, System: "erp-syspro",
		Summary: "the posting period is closed", Suggestion: "open the period, then retry", Sent: []byte(`{"Reference":"WEB-10007"}`),
		Answer: []byte("PERIOD_CLOSED"), Actions: []string{"retry", "retry_with", "compensate"}, Since: placed, Deadline: placed.Add(4 * time.Hour), State: journal.AttentionOpen,
		Fixes: []byte(`[{"text":"Post into December","evidence":"period 2026-12 is open","resolution":"retry_with","correction":{"date":"2026-12-01"}},
			{"text":"Book A200 instead","resolution":"retry_with","correction":{"order":{"/lines/0/sku":"A 200"},"document":{"/Lines/0/Open":true}}},
			{"text":"Ask finance to open November"}]`),
	}
}

func (p *processes) Attention(_ context.Context, id string) (journal.Attention, error) {
	if id != parkedStep().ID {
		return journal.Attention{}, journal.ErrNotFound
	}
	return parkedStep(), nil
}

func (p *processes) Attentions(context.Context, journal.AttentionFilter) ([]journal.Attention, string, error) {
	return []journal.Attention{parkedStep()}, "", nil
}

func (p *processes) Receive(context.Context, journal.InboxItem) (bool, error) { return false, nil }

// refusal is a process that says no.
func refusal(kind starter.Kind, message string) error {
	return &starter.Error{Kind: kind, Message: message}
}

// seedOrder stores an order in a site's journal.
func seedOrder(t *testing.T, s *site) {
	t.Helper()
	store, err := journal.Open(t.Context(), s.env["TENDERLINE_DATABASE_DSN"], journal.Options{Keyring: testRing(t)})
	require.NoError(t, err)
	order := confirmed()
	order.Input, order.BodyHash = []byte(`{}`), "hash"
	_, _, err = store.TakeOrder(t.Context(), order)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}
