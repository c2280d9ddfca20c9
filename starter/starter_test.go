package starter_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// world is a starter over a journal in a file and a Temporal that the test plays.
type world struct {
	*starter.Starter
	store      *journal.Store
	engine     *engine
	operations int // of payments, that were made
	now        time.Time
}

func newWorld(t *testing.T, env map[string]string) *world {
	t.Helper()
	w := &world{engine: &engine{running: map[string]bool{}, results: map[string]any{}}, now: time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	ring, err := keyring.Parse("test:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, keyring.KeySize)))
	require.NoError(t, err)
	w.store, err = journal.Open(t.Context(), "sqlite:"+journaltest.File(t), journal.Options{Keyring: ring, Clock: clock, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	settings, err := config.Load(config.Map(env))
	require.NoError(t, err)
	w.Starter, err = starter.New(starter.Options{Engine: w.engine, Store: w.store, Channels: settings, Clock: clock, InboxTries: 3})
	require.NoError(t, err)
	return w
}

func order(id string) canonical.Order {
	return canonical.Order{
		OrderID: id, Channel: "web-us", PlacedAt: time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC), Currency: "USD", Total: decimal.RequireFromString("48.19"),
		Payment: canonical.PaymentMethod{Capture: canonical.CaptureImmediate},
	}
}

func TestSweepStartsWhatACrashLeftBehind(t *testing.T) {
	w := newWorld(t, nil)
	w.engine.startErr = serviceerror.NewUnavailable("away")
	for _, id := range []string{"A", "B"} {
		record, created, err := w.SubmitOrder(t.Context(), order(id))
		require.NoError(t, err, "the order is taken")
		require.True(t, created)
		require.Nil(t, record.StartedAt)
	}
	w.engine.startErr = nil
	swept, err := w.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept.Started, "a start may still be under way elsewhere")

	w.now = w.now.Add(6 * time.Second)
	w.engine.running["order/A"] = true // started, but the process died before it noted that
	w.engine.startErr = serviceerror.NewUnavailable("still away")
	_, err = w.Sweep(t.Context())
	require.ErrorContains(t, err, "still away")
	w.engine.startErr = nil
	swept, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, swept.Started)
	require.Equal(t, []string{"order/B"}, w.engine.starts)
	require.Equal(t, "48.19", w.engine.order(0).Order.Total.String(), "the order is the one that was posted")

	swept, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept.Started)
}

func TestChannelDecidesHowAnOrderRuns(t *testing.T) {
	w := newWorld(t, map[string]string{
		"TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD": "verified",
		"TENDERLINE_POLICY_STOCK":                     "park",
		"TENDERLINE_CHANNELS":                         `{"web-us":{"site":{"warehouse":"E"},"policy":{"parkDeadline":"2h","reviewDefault":"accept"}}}`,
	})
	_, _, err := w.SubmitOrder(t.Context(), order("A"))
	require.NoError(t, err)
	in := w.engine.order(0)
	require.Equal(t, "E", in.Site["warehouse"])
	require.Equal(t, workflows.Policy{
		Stock: workflows.StockPark, Credit: workflows.CreditIgnore, Invoice: workflows.InvoiceAtOrder, OnErpFailure: workflows.FailurePark,
		SaleInOneCall: true, PaymentWait: 30 * time.Minute, PaymentTries: 3, PreparationFor: time.Minute, TokenLife: 15 * time.Minute,
		ParkDeadline: 2 * time.Hour, ReviewDeadline: 48 * time.Hour, ReviewDefault: canonical.FraudAccept, UntrustedSignal: false,
		ReviewRemind: 4 * time.Hour, ReviewEscalate: 24 * time.Hour, ReviewPoll: 15 * time.Minute, AuthorizationLife: 168 * time.Hour,
		StepTimeout: 40 * time.Second, GatewayPatience: 20 * time.Minute, ErpPatience: 12 * time.Hour, CallbackFor: 72 * time.Hour,
	}, in.Policy)

	elsewhere := order("B")
	elsewhere.Channel = "web-mars"
	_, _, err = w.SubmitOrder(t.Context(), elsewhere)
	require.True(t, starter.Is(err, starter.Invalid))
}

func TestOrdersAreCapturedOnShipmentWhereShipmentsAreHeardOf(t *testing.T) {
	onShipment := order("C")
	onShipment.Payment.Capture = canonical.CaptureOnShipment

	deaf := newWorld(t, map[string]string{"TENDERLINE_SYSPRO_CHANGES_INTERVAL": "0"})
	_, _, err := deaf.SubmitOrder(t.Context(), onShipment)
	var refused *starter.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "/payment/capture", refused.Problems[0].Pointer)

	polling := newWorld(t, nil)
	_, created, err := polling.SubmitOrder(t.Context(), onShipment)
	require.NoError(t, err)
	require.True(t, created)
}

func TestPaymentOutcomeGivesUpInTime(t *testing.T) {
	w := newWorld(t, nil)
	_, known, err := w.PaymentOutcome(t.Context(), "A", 10*time.Millisecond)
	require.NoError(t, err)
	require.False(t, known)

	w.engine.asked = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-w.engine.asked; cancel() }()
	_, err = w.Cancel(ctx, "A", workflows.CancelRequest{Actor: "shop"})
	require.True(t, starter.Is(err, starter.Unavailable), "%v", err)
}

// event puts a gateway decision into the inbox, due now.
func (w *world) event(t *testing.T, eventType, orderID string) string {
	t.Helper()
	item, err := starter.InboxItem(starter.Delivery{Event: cybersource.Event{
		Type: eventType, ResourceID: "7000000000000000000001", Reference: orderID, Comments: []string{"one", "two"},
	}})
	require.NoError(t, err)
	created, err := w.store.Receive(t.Context(), item)
	require.NoError(t, err)
	require.True(t, created)
	return item.ID
}

func TestSweepDeliversTheInbox(t *testing.T) {
	const accept, reject = "risk.casemanagement.decision.accept", "risk.casemanagement.decision.reject"
	absent := serviceerror.NewNotFound("no run")
	for _, test := range []struct {
		name   string
		event  string
		status canonical.OrderStatus // "": there is no such order
		signal error
		want   journal.InboxState
	}{
		{"a review waits", accept, canonical.OrderInReview, nil, journal.InboxDelivered},
		{"the order is not there yet", accept, "", absent, journal.InboxPending},
		{"the review is not there yet", accept, canonical.OrderAuthorizing, absent, journal.InboxPending},
		{"Temporal is away", accept, canonical.OrderInReview, serviceerror.NewUnavailable("away"), journal.InboxPending},
		{"something else is wrong", accept, canonical.OrderInReview, errors.New("broken"), journal.InboxPending},
		{"accepted long ago", accept, canonical.OrderConfirmed, absent, journal.InboxIgnored},
		{"rejected long ago", reject, canonical.OrderRejected, absent, journal.InboxIgnored},
		{"rejected after the money was taken", reject, canonical.OrderConfirmed, absent, journal.InboxDelivered},
		{"rejected while the order is booked", reject, canonical.OrderBooking, absent, journal.InboxDelivered},
		{"no decision", "risk.casemanagement.addnote", canonical.OrderInReview, absent, journal.InboxIgnored},
		{"of no known type", "risk.casemanagement.decision.perhaps", canonical.OrderInReview, absent, journal.InboxAttention},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if test.status != "" {
				_, _, err := w.SubmitOrder(t.Context(), order("A"))
				require.NoError(t, err)
				require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{OrderID: "A", Seq: 1, Status: test.status}))
			}
			w.engine.signal = test.signal
			id := w.event(t, test.event, "A")
			swept, err := w.Sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, swept.Events)
			item, err := w.store.Event(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, test.want, item.State, item.LastError)
			require.Equal(t, 1, item.Tries)
			if test.want == journal.InboxDelivered && test.signal == nil {
				require.Equal(t, []workflows.GatewayDecision{{EventID: id, Decision: canonical.FraudAccept, Comment: "one; two"}}, w.engine.signals)
			}
		})
	}
}

// TestADecisionThatEndedItsReviewIsNoNews: the gateway tells of it too, before the order goes on; another one than that may have come too early.
func TestADecisionThatEndedItsReviewIsNoNews(t *testing.T) {
	w := newWorld(t, nil)
	w.accepted(t, canonical.OrderInReview)
	told := w.event(t, "risk.casemanagement.decision.accept", "A")
	opposed := w.event(t, rejected, "A")
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	for id, want := range map[string]journal.InboxState{told: journal.InboxIgnored, opposed: journal.InboxPending} {
		item, err := w.store.Event(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, item.State, item.LastError)
	}
}

func TestUndeliverableEventIsTriedEverMoreSlowlyThenLeftToAPerson(t *testing.T) {
	w := newWorld(t, nil)
	w.engine.signal = serviceerror.NewNotFound("no run")
	id := w.event(t, "risk.casemanagement.decision.accept", "A")
	for _, pause := range []time.Duration{2 * time.Second, 4 * time.Second} {
		swept, err := w.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, swept.Events)
		w.now = w.now.Add(pause - time.Millisecond)
		swept, err = w.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, swept.Events, "not due yet")
		w.now = w.now.Add(time.Millisecond)
	}
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	item, err := w.store.Event(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, journal.InboxAttention, item.State)
}

func TestInboxItemIsTheSameForEveryDelivery(t *testing.T) {
	event := cybersource.Event{Type: "risk.casemanagement.decision.accept", ResourceID: "1", Reference: "A"}
	first, err := starter.InboxItem(starter.Delivery{Event: event, Body: []byte(`{"transactionTraceId":"1"}`)})
	require.NoError(t, err)
	second, err := starter.InboxItem(starter.Delivery{Event: event, Body: []byte(`{"transactionTraceId":"2"}`)})
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	event.Type = "risk.casemanagement.decision.reject"
	other, err := starter.InboxItem(starter.Delivery{Event: event})
	require.NoError(t, err)
	require.NotEqual(t, first.ID, other.ID)
}

func TestStoredOrderReadsBackWhole(t *testing.T) {
	w := newWorld(t, nil)
	in := order("A")
	in.Lines = []canonical.LineItem{{SKU: "X", Quantity: decimal.RequireFromString("0.333333"), UnitPrice: decimal.RequireFromString("19.95001")}}
	in.MerchantDefinedData = map[string]string{"1": "web"}
	_, _, err := w.SubmitOrder(t.Context(), in)
	require.NoError(t, err)
	record, err := w.store.Order(t.Context(), "A")
	require.NoError(t, err)
	var back canonical.Order
	require.NoError(t, json.Unmarshal(record.Input, &back))
	require.Equal(t, canonical.Hash(in), canonical.Hash(back))
}

func TestRunSweepsUntilItIsStopped(t *testing.T) {
	w := newWorld(t, nil)
	w.engine.startErr = serviceerror.NewUnavailable("away")
	_, _, err := w.SubmitOrder(t.Context(), order("A"))
	require.NoError(t, err)
	w.engine.startErr = nil
	w.now = w.now.Add(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx, time.Millisecond); close(done) }()
	require.Eventually(t, func() bool {
		record, err := w.store.Order(t.Context(), "A")
		return err == nil && record.StartedAt != nil
	}, time.Minute, 5*time.Millisecond)
	stop()
	<-done
}
