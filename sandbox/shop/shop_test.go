package shop

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const testSecret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

var now = time.Date(2026, 7, 28, 9, 0, 0, 0, time.UTC)

var client = &http.Client{Timeout: 30 * time.Second}

func open(t *testing.T, dir string) (*Server, *httptest.Server) {
	t.Helper()
	s, err := New(Config{Clock: func() time.Time { return now }, StateDir: dir, Secret: testSecret,
		Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })})
	require.NoError(t, err)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() { server.Close(); _ = s.Close() })
	return s, server
}

func signed(t testing.TB, url, id, body string, at time.Time) *http.Request {
	t.Helper()
	signer, err := webhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	signature, err := signer.Sign(id, at, []byte(body))
	require.NoError(t, err)
	request, err := http.NewRequest(http.MethodPost, url+"/callbacks", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set(webhooks.HeaderWebhookID, id)
	request.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(webhooks.HeaderWebhookSignature, signature)
	return request
}

func status(t testing.TB, request *http.Request) int {
	t.Helper()
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	return response.StatusCode
}

func callbacks(t testing.TB, url string) []Callback {
	t.Helper()
	response, err := client.Get(url + "/_sandbox/ledger")
	require.NoError(t, err)
	defer response.Body.Close()
	var ledger struct{ Callbacks []Callback }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&ledger))
	return ledger.Callbacks
}

const body = `{"type":"order.confirmed","data":{"orderId":"WEB-1"}}`

func TestCallbacksAreVerifiedDedupedAndListed(t *testing.T) {
	_, server := open(t, "")
	require.Equal(t, 204, status(t, signed(t, server.URL, "msg_1", body, now)))
	require.Equal(t, 204, status(t, signed(t, server.URL, "msg_1", body, now.Add(time.Minute))))
	require.Equal(t, 204, status(t, signed(t, server.URL, "msg_2", `{"event":"order.held","orderId":"WEB-2"}`, now)))
	got := callbacks(t, server.URL)
	require.Len(t, got, 2)
	require.Equal(t, Callback{ID: "msg_1", Event: "order.confirmed", OrderID: "WEB-1", Deliveries: 2, Verified: true,
		Body: json.RawMessage(body), At: now, LastAt: now}, got[0])
	require.Equal(t, "order.held WEB-2", got[1].Event+" "+got[1].OrderID)
}

func TestRefusedCallbacks(t *testing.T) {
	_, server := open(t, "")
	change := func(edit func(*http.Request)) *http.Request {
		r := signed(t, server.URL, "msg_1", body, now)
		edit(r)
		return r
	}
	for name, tc := range map[string]struct {
		request *http.Request
		status  int
	}{
		"no signature":    {change(func(r *http.Request) { r.Header.Del(webhooks.HeaderWebhookSignature) }), 401},
		"no ID":           {change(func(r *http.Request) { r.Header.Del(webhooks.HeaderWebhookID) }), 401},
		"other ID":        {change(func(r *http.Request) { r.Header.Set(webhooks.HeaderWebhookID, "msg_9") }), 401},
		"other timestamp": {change(func(r *http.Request) { r.Header.Set(webhooks.HeaderWebhookTimestamp, "1") }), 401},
		"other body":      {change(func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", len(body)))) }), 401},
		"too old":         {signed(t, server.URL, "msg_1", body, now.Add(-5*time.Minute-time.Second)), 401},
		"too new":         {signed(t, server.URL, "msg_1", body, now.Add(5*time.Minute+time.Second)), 401},
		"not JSON":        {signed(t, server.URL, "msg_1", "hello", now), 400},
		"too large":       {signed(t, server.URL, "msg_1", strings.Repeat("x", maxCallback+1), now), 413},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.status, status(t, tc.request)) })
	}
	for _, c := range callbacks(t, server.URL) {
		require.False(t, c.Verified)
		require.Equal(t, "null", string(c.Body))
	}
}

func TestConcurrentDeliveriesAreCounted(t *testing.T) {
	_, server := open(t, "")
	var wait sync.WaitGroup
	for range 20 {
		request := signed(t, server.URL, "msg_1", body, now)
		wait.Go(func() {
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
			}
		})
	}
	wait.Wait()
	got := callbacks(t, server.URL)
	require.Len(t, got, 1)
	require.Equal(t, 20, got[0].Deliveries)
}

func TestCallbacksOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s, server := open(t, dir)
	require.Equal(t, 204, status(t, signed(t, server.URL, "msg_1", body, now)))
	before := callbacks(t, server.URL)
	require.NoError(t, s.Close())
	_, again := open(t, dir)
	require.Equal(t, before, callbacks(t, again.URL))
	require.Equal(t, 204, status(t, signed(t, again.URL, "msg_1", body, now)))
	require.Equal(t, 2, callbacks(t, again.URL)[0].Deliveries)

	reset, err := http.NewRequest(http.MethodPost, again.URL+"/_sandbox/reset", nil)
	require.NoError(t, err)
	require.Equal(t, 204, status(t, reset))
	require.Empty(t, callbacks(t, again.URL))
}

func TestFaultsAndPage(t *testing.T) {
	_, server := open(t, "")
	fault, err := http.NewRequest(http.MethodPost, server.URL+"/_sandbox/faults", strings.NewReader(`{"route":"POST /callbacks","mode":"status","status":503,"times":1}`))
	require.NoError(t, err)
	require.Equal(t, 201, status(t, fault))
	require.Equal(t, 503, status(t, signed(t, server.URL, "msg_1", body, now)))
	require.Equal(t, 204, status(t, signed(t, server.URL, "msg_1", body, now)))
	response, err := client.Get(server.URL + "/")
	require.NoError(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "page", string(page))
}

func TestNewNeedsASecret(t *testing.T) {
	_, err := New(Config{})
	require.Error(t, err)
	_, err = New(Config{Secret: "whsec_not base64!"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "not base64!")
}

func FuzzDescribe(f *testing.F) {
	f.Add(body)
	f.Add(`{"data":[]}`)
	f.Fuzz(func(t *testing.T, payload string) {
		event, order := describe([]byte(payload))
		if event != "" || order != "" {
			require.True(t, json.Valid([]byte(payload)))
		}
	})
}
