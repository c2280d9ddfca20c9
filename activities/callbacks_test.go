package activities_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
)

const callbackSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// delivery is one message as a shop received it.
type delivery struct {
	header http.Header
	body   []byte
}

// shopping is a shop with a journal and the step that tells it.
type shopping struct {
	shop      activities.Shop
	shopError error
	callbacks *activities.Callbacks
	env       *testsuite.TestActivityEnvironment
	store     *journal.Store
	received  []delivery
	answer    http.HandlerFunc
}

func newShopping(t *testing.T) *shopping {
	t.Helper()
	s := &shopping{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.received = append(s.received, delivery{r.Header.Clone(), body})
		s.answer(w, r)
	}))
	t.Cleanup(web.Close)
	var err error
	s.store, err = journal.Open(t.Context(), "sqlite:"+journaltest.File(t), journal.Options{Keyring: ring(t), Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	_, _, err = s.store.TakeOrder(t.Context(), journal.OrderRecord{OrderID: "WEB-1", Channel: "web-us", BodyHash: "h", Currency: "USD", Total: dec(total)})
	require.NoError(t, err)
	s.shop = activities.Shop{URL: web.URL + "/callbacks", Secret: callbackSecret}
	s.callbacks = &activities.Callbacks{
		Client: web.Client(), Shop: func(string) (activities.Shop, error) { return s.shop, s.shopError }, Journal: s.store, Clock: time.Now,
	}
	s.env = activityEnvironment()
	s.env.RegisterActivity(s.callbacks)
	return s
}

func (s *shopping) tell() error {
	_, err := s.env.ExecuteActivity(s.callbacks.DeliverCallback, activities.CallbackInput{
		ID: "callback/WEB-1/order.confirmed", OrderID: "WEB-1", Channel: "web-us", Event: "order.confirmed", At: time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC),
		Status: canonical.OrderConfirmed, Payment: canonical.PaymentCaptured, Data: map[string]string{"erpOrderNumber": "015562", "invoice": "200069"},
		Lines: []activities.Shortage{{StockCode: "LOW3", Wanted: dec("4"), Available: dec("3")}},
	})
	return err
}

func (s *shopping) told(t *testing.T) int {
	t.Helper()
	events, err := s.store.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	return len(events)
}

func TestACallbackIsSignedAfterStandardWebhooks(t *testing.T) {
	s := newShopping(t)
	require.NoError(t, s.tell())
	require.Len(t, s.received, 1)
	got := s.received[0]
	webhook, err := standardwebhooks.NewWebhook(callbackSecret)
	require.NoError(t, err)
	require.NoError(t, webhook.Verify(got.body, got.header))
	require.Error(t, webhook.Verify(append([]byte(" "), got.body...), got.header))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.JSONEq(t, `{"type":"order.confirmed","timestamp":"2026-11-20T14:03:22Z","data":{"orderId":"WEB-1","status":"confirmed",
		"paymentStatus":"captured","erpOrderNumber":"015562","invoice":"200069","backOrdered":[{"stockCode":"LOW3","wanted":"4","available":"3"}]}}`, string(got.body))
	require.Equal(t, 1, s.told(t))
}

func TestACallbackIsTriedAgainUnderTheSameID(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusGone,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := newShopping(t)
			working := s.answer
			s.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "17")
				w.WriteHeader(status)
			}
			err := s.tell()
			failure := requireFault(t, err, fault.Connection, false)
			require.Equal(t, 17*time.Second, failure.NextRetryDelay())
			var detail activities.FaultDetail
			require.NoError(t, failure.Details(&detail))
			require.Equal(t, status, detail.HTTPStatus)
			require.Zero(t, s.told(t))

			s.answer = working
			require.NoError(t, s.tell())
			require.Len(t, s.received, 2)
			require.Equal(t, s.received[0].header.Get("webhook-id"), s.received[1].header.Get("webhook-id"))
			require.Equal(t, "callback/WEB-1/order.confirmed", s.received[0].header.Get("webhook-id"))
			require.Equal(t, s.received[0].body, s.received[1].body)
			require.Equal(t, 1, s.told(t))
		})
	}
}

func TestAShopThatCutsTheConnectionIsTriedAgain(t *testing.T) {
	s := newShopping(t)
	s.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	requireFault(t, s.tell(), fault.Connection, false)
	require.Zero(t, s.told(t))
}

func TestCallbackSettings(t *testing.T) {
	t.Run("no URL", func(t *testing.T) {
		s := newShopping(t)
		s.shop.URL = ""
		require.NoError(t, s.tell())
		require.Empty(t, s.received)
		require.Zero(t, s.told(t), "nobody was told")
	})
	t.Run("channel gone", func(t *testing.T) {
		s := newShopping(t)
		s.shopError = errors.New("the channel is not configured any more")
		requireFault(t, s.tell(), fault.Credentials, true)
		require.Empty(t, s.received)
	})
	t.Run("secret that is none", func(t *testing.T) {
		s := newShopping(t)
		s.shop.Secret = "whsec_not base64 at all"
		err := s.tell()
		requireFault(t, err, fault.Credentials, true)
		require.NotContains(t, err.Error(), "not base64 at all")
		require.Empty(t, s.received)
	})
	t.Run("URL that is none", func(t *testing.T) {
		s := newShopping(t)
		s.shop.URL = "http://user:hunter2@[bad"
		err := s.tell()
		requireFault(t, err, fault.Value, true)
		written, encodeErr := json.Marshal(err.Error())
		require.NoError(t, encodeErr)
		require.NotContains(t, string(written), "hunter2")
	})
}

func TestCallbackTellsOfARefundAndWhereTheOrderStands(t *testing.T) {
	s := newShopping(t)
	require.NoError(t, s.store.RecordProgress(t.Context(), journal.Progress{
		OrderID: "WEB-1", Seq: 1, Status: canonical.OrderConfirmed, PaymentStatus: canonical.PaymentPartiallyRefunded,
	}))
	_, err := s.env.ExecuteActivity(s.callbacks.DeliverCallback, activities.CallbackInput{
		ID: "callback/WEB-1/refund.completed/R-1", OrderID: "WEB-1", Channel: "web-us", Event: "refund.completed",
		At:     time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
		Refund: &activities.RefundNotice{RefundID: "R-1", Amount: canonical.NewMoney(dec("10"), "USD"), Way: activities.WayRefund, Reason: "returned"},
	})
	require.NoError(t, err)
	require.Len(t, s.received, 1)
	require.JSONEq(t, `{"type":"refund.completed","timestamp":"2026-11-21T09:00:00Z","data":{"orderId":"WEB-1","status":"confirmed",
		"paymentStatus":"partially_refunded","refund":{"refundId":"R-1","amount":"10.00","currency":"USD","way":"refund","reason":"returned"}}}`, string(s.received[0].body))
}

func TestCallbackTellsOfAShipmentAndOfStock(t *testing.T) {
	s := newShopping(t)
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	_, err := s.env.ExecuteActivity(s.callbacks.DeliverCallback, activities.CallbackInput{
		ID: "callback/WEB-1/order.shipped/1", OrderID: "WEB-1", Channel: "web-us", Event: "order.shipped", At: at,
		Status: canonical.OrderShipped, Payment: canonical.PaymentCaptured,
		Shipment: &activities.ShipmentNotice{Number: "1", Carrier: "UPS", Tracking: "1Z", ShippedOn: "2026-11-21", Complete: true},
	})
	require.NoError(t, err)
	_, err = s.env.ExecuteActivity(s.callbacks.DeliverCallback, activities.CallbackInput{
		ID: "callback/stock.changed/1", Channel: "web-us", Event: "stock.changed", At: at,
		Data: map[string]string{"stockCode": "A100", "warehouse": "E", "available": "7"},
	})
	require.NoError(t, err)
	require.Len(t, s.received, 2)
	require.JSONEq(t, `{"type":"order.shipped","timestamp":"2026-11-21T09:00:00Z","data":{"orderId":"WEB-1","status":"shipped","paymentStatus":"captured",
		"shipment":{"number":"1","carrier":"UPS","tracking":"1Z","shippedOn":"2026-11-21","complete":true}}}`, string(s.received[0].body))
	require.JSONEq(t, `{"type":"stock.changed","timestamp":"2026-11-21T09:00:00Z",
		"data":{"stock":{"stockCode":"A100","warehouse":"E","available":"7"}}}`, string(s.received[1].body))
}
