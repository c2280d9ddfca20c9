package webhook_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/webhook"
	"github.com/tenderline/tenderline/workflows"
)

// caseEvent is a decision that the gateway reports; each delivery has a trace id of its own.
func caseEvent(decision, order, trace string) string {
	return `{"eventType":"risk.casemanagement.decision.` + decision + `","webhookId":"w-1","productId":"decisionManager","organizationId":"demo_mid",
 "eventDate":"2026-11-20T14:59:00","transactionTraceId":"` + trace + `","retryNumber":0,
 "payload":{"data":{"id":"7000000000000000000001","referenceNumber":"` + order + `","version":"1.0","notes":[{"comment":"looks fine"}]},"organizationId":"demo_mid"},"requestType":"NEW"}`
}

func (a *api) deliver(body string) answer {
	a.t.Helper()
	return a.call("POST", "/webhooks/cybersource", nobody, body, a.signed(body, a.clock.Now()))
}

func TestGatewayDecisionReachesItsReview(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderInReview)
	require.Equal(t, "accepted", a.deliver(caseEvent("accept", "WEB-10001", "t-1")).is(http.StatusOK).json()["status"])
	require.Eventually(t, func() bool { return len(a.engine.signalled()) == 1 }, time.Minute, 5*time.Millisecond)
	sent := a.engine.signalled()[0]
	require.Equal(t, "fraud-review/WEB-10001", sent.WorkflowID)
	require.Equal(t, workflows.SignalGatewayDecision, sent.Name)
	decision := sent.Arg.(workflows.GatewayDecision)
	require.Equal(t, canonical.FraudAccept, decision.Decision)
	require.Equal(t, "looks fine", decision.Comment)
	item, err := a.store.Event(t.Context(), decision.EventID)
	require.NoError(t, err, "the signal names an event that the inbox holds")
	require.Equal(t, "WEB-10001", item.OrderID)
	require.Equal(t, "risk.casemanagement.decision.accept", item.EventType)

	require.Equal(t, "duplicate", a.deliver(caseEvent("accept", "WEB-10001", "t-2")).is(http.StatusOK).json()["status"], "delivered again under another trace id")
	require.Eventually(t, func() bool {
		item, err := a.store.Event(t.Context(), decision.EventID)
		return err == nil && item.State == journal.InboxDelivered
	}, time.Minute, 5*time.Millisecond)
	require.Len(t, a.engine.signalled(), 1)
}

func TestEventOfAnUnknownOrderWaitsInTheInbox(t *testing.T) {
	a := newAPI(t)
	a.engine.onSignal = func(signal) error { return serviceerror.NewNotFound("no run") }
	a.deliver(caseEvent("reject", "WEB-LATER", "t-1")).is(http.StatusOK)
	require.Eventually(t, func() bool {
		page, _, err := a.store.Inbox(t.Context(), journal.InboxFilter{State: journal.InboxPending})
		return err == nil && len(page) == 1 && page[0].Tries == 1
	}, time.Minute, 5*time.Millisecond)
	require.NotContains(t, a.logs.String(), "not delivered")
}

func TestWebhooksThatAreRefused(t *testing.T) {
	event := caseEvent("accept", "WEB-10001", "t-1")
	for name, test := range map[string]struct {
		body   string
		sign   func(a *api) func(*http.Request)
		status int
		kind   string
	}{
		"no signature":    {event, func(*api) func(*http.Request) { return func(*http.Request) {} }, http.StatusUnauthorized, "signature"},
		"other signature": {event, func(a *api) func(*http.Request) { return a.signed(event+" ", a.clock.Now()) }, http.StatusUnauthorized, "signature"},
		"unknown key": {event, func(*api) func(*http.Request) {
			return header("v-c-signature", "t=1763650800000;keyId=other;sig="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
		}, http.StatusUnauthorized, "signature"},
		"replayed":    {event, func(a *api) func(*http.Request) { return a.signed(event, a.clock.Now().Add(-61*time.Minute)) }, http.StatusUnauthorized, "signature"},
		"from future": {event, func(a *api) func(*http.Request) { return a.signed(event, a.clock.Now().Add(61*time.Minute)) }, http.StatusUnauthorized, "signature"},
		"no event":    {`{"a":1}`, func(a *api) func(*http.Request) { return a.signed(`{"a":1}`, a.clock.Now()) }, http.StatusBadRequest, "malformed"},
		"huge":        {strings.Repeat("x", 300<<10), func(a *api) func(*http.Request) { return a.signed("", a.clock.Now()) }, http.StatusRequestEntityTooLarge, "too-large"},
		"sealed": {`{"encData":"a.b.c.d.e"}`, func(a *api) func(*http.Request) { return a.signed(`{"encData":"a.b.c.d.e"}`, a.clock.Now()) },
			http.StatusBadRequest, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.call("POST", "/webhooks/cybersource", nobody, test.body, test.sign(a)).refused(test.status, test.kind)
			stats, err := a.store.Stats(t.Context())
			require.NoError(t, err)
			require.Empty(t, stats.Inbox)
		})
	}
}

func TestWebhookHealthChecks(t *testing.T) {
	a := newAPI(t)
	require.Equal(t, "ready", a.call("GET", "/webhooks/cybersource", nobody, "").is(http.StatusOK).json()["status"])
	require.Equal(t, "ready", a.call("POST", "/webhooks/cybersource", nobody, "").is(http.StatusOK).json()["status"])
	test := `{"eventType":"risk.casemanagement.decision.accept","payloads":{"testPayload":{"message":"hello"}}}`
	require.Equal(t, "test", a.deliver(test).is(http.StatusOK).json()["status"])
}

func TestEventThatNothingWaitsForIsKeptAndIgnored(t *testing.T) {
	a := newAPI(t)
	body := strings.Replace(caseEvent("accept", "WEB-10001", "t"), "risk.casemanagement.decision.accept", "payments.capture.status.accepted", 1)
	a.deliver(body).is(http.StatusOK)
	require.Eventually(t, func() bool {
		stats, err := a.store.Stats(t.Context())
		return err == nil && stats.Inbox[journal.InboxIgnored] == 1
	}, time.Minute, 5*time.Millisecond)
	require.Empty(t, a.engine.signalled())
}

func sealedPayload(t *testing.T, a *api, value any) string {
	t.Helper()
	payloads, err := engine.DataConverter(a.ring).ToPayloads(value)
	require.NoError(t, err)
	text, err := protojson.Marshal(payloads)
	require.NoError(t, err)
	return string(text)
}

func TestCodec(t *testing.T) {
	a := newAPI(t, func(_ *webhook.Deps, c *config.Config) { c.Codec.Origins = []string{"https://temporal.example"} })
	body := sealedPayload(t, a, map[string]string{"name": "Ada"})
	require.NotContains(t, body, base64.StdEncoding.EncodeToString([]byte(`"Ada"`)))
	opened := a.call("POST", "/codec/decode", operator, body, header("Origin", "https://temporal.example"), header("X-Namespace", "default")).is(http.StatusOK)
	require.Equal(t, "https://temporal.example", opened.Header().Get("Access-Control-Allow-Origin"))
	require.JSONEq(t, `{"name":"Ada"}`, dataOf(t, opened))
	resealed := a.call("POST", "/codec/encode", operator, opened.Body.String()).is(http.StatusOK)
	require.JSONEq(t, `{"name":"Ada"}`, dataOf(t, a.call("POST", "/codec/decode", operator, resealed.Body.String()).is(http.StatusOK)))

	a.call("POST", "/codec/decode", analyst, body).refused(http.StatusForbidden, "forbidden")
	a.call("POST", "/codec/decode", nobody, body).refused(http.StatusUnauthorized, "unauthorized")
	a.call("POST", "/codec/decode", operator, body, header("Origin", "https://evil.example")).refused(http.StatusForbidden, "forbidden")
	a.call("POST", "/codec/reverse", operator, body).refused(http.StatusNotFound, "not-found")
	preflight := a.call("OPTIONS", "/codec/decode", nobody, "", header("Origin", "https://temporal.example")).is(http.StatusNoContent)
	require.Contains(t, preflight.Header().Get("Access-Control-Allow-Headers"), "X-Namespace")
	a.call("OPTIONS", "/codec/decode", nobody, "", header("Origin", "null")).refused(http.StatusForbidden, "forbidden")
}

func dataOf(t *testing.T, r answer) string {
	t.Helper()
	var out struct {
		Payloads []struct{ Data []byte }
	}
	require.NoError(t, json.Unmarshal(r.Body.Bytes(), &out))
	require.Len(t, out.Payloads, 1)
	return string(out.Payloads[0].Data)
}

func TestOpenCodecIsForThisMachineOnly(t *testing.T) {
	a := newAPI(t, func(_ *webhook.Deps, c *config.Config) { c.Codec.Open = true })
	body := sealedPayload(t, a, "hello")
	local := func(r *http.Request) { r.Host = "127.0.0.1:8080" }
	a.call("POST", "/codec/decode", nobody, body, local, header("Origin", "http://localhost:8233")).is(http.StatusOK)
	a.call("POST", "/codec/decode", nobody, body, local, header("Origin", "http://127.0.0.1:8233")).is(http.StatusOK)
	a.call("POST", "/codec/decode", nobody, body, local, header("Origin", "https://evil.example")).refused(http.StatusForbidden, "forbidden")
	a.call("POST", "/codec/decode", nobody, body, func(r *http.Request) { r.Host = "rebound.example:8080" }).refused(http.StatusForbidden, "forbidden")

	_, err := webhook.New(webhook.Deps{
		Starter: nothing{}, Store: a.store, Codec: engine.Codec(a.ring), CodecUse: config.Codec{Open: true}, HTTP: config.HTTP{Address: ":8080", BodyLimit: 1, WebhookLimit: 1, Timeout: 1},
	})
	require.ErrorContains(t, err, "loopback")
}

// nothing stands where a starter must be given.
type nothing struct{ webhook.Starter }

func TestHealth(t *testing.T) {
	var failing error
	a := newAPI(t, func(d *webhook.Deps, _ *config.Config) {
		d.Checks = append(d.Checks, webhook.Check{Name: "temporal", Do: func(context.Context) error { return failing }})
	})
	require.Equal(t, "ok", a.call("GET", "/healthz", nobody, "").is(http.StatusOK).json()["status"])
	require.Equal(t, map[string]any{"journal": "ok", "temporal": "ok"}, a.call("GET", "/readyz", nobody, "").is(http.StatusOK).json()["checks"])
	failing = errors.New("temporal namespace default lacks the search attributes OrderId; run `tenderline setup`")
	a.call("GET", "/readyz", nobody, "").is(http.StatusOK)
	a.clock.advance(time.Second)
	answer := a.call("GET", "/readyz", nobody, "").is(http.StatusServiceUnavailable)
	require.Equal(t, map[string]any{"journal": "ok", "temporal": "failed"}, answer.json()["checks"])
	require.Contains(t, a.logs.String(), "tenderline setup")
	require.Contains(t, a.call("GET", "/openapi.yaml", nobody, "").is(http.StatusOK).Body.String(), "openapi: 3.0.3")
}

// panicking is a starter that breaks.
type panicking struct{ webhook.Starter }

func (panicking) SubmitOrder(context.Context, canonical.Order) (journal.OrderRecord, bool, error) {
	panic("secret detail")
}

func TestPanicIsOneFailedRequest(t *testing.T) {
	a := newAPI(t, func(d *webhook.Deps, _ *config.Config) { d.Starter = panicking{} })
	answer := a.call("POST", "/v1/orders", shopUS, orderJSON()).refused(http.StatusInternalServerError, "internal")
	require.NotContains(t, answer.Body.String()+a.logs.String(), "secret detail")
	a.call("GET", "/healthz", nobody, "").is(http.StatusOK)
}

func TestRunServesUntilItIsStopped(t *testing.T) {
	a := newAPI(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.server.Run(ctx) }()
	require.Eventually(t, func() bool { return strings.Contains(a.logs.String(), "api listens") }, time.Minute, 5*time.Millisecond)
	var line struct{ Address string }
	for text := range strings.SplitSeq(a.logs.String(), "\n") {
		if strings.Contains(text, "api listens") {
			require.NoError(t, json.Unmarshal([]byte(text), &line))
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+line.Address+"/readyz", nil)
	require.NoError(t, err)
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	require.Equal(t, http.StatusOK, response.StatusCode)

	busy := newAPI(t, func(_ *webhook.Deps, c *config.Config) { c.HTTP.Address = line.Address })
	require.ErrorContains(t, busy.server.Run(t.Context()), line.Address)

	stop()
	require.NoError(t, <-ended)
}

// FuzzBodies sends any body to every route that reads one: no answer may be a failure of ours.
func FuzzBodies(f *testing.F) {
	f.Add(orderJSON())
	f.Add(`{"decision":"accept","comment":""}`)
	f.Add(`{"token":{"type":"customer","value":"00000000000000000000000000000000"}}`)
	f.Add(`{"payload":{"data":[]},"eventType":"x"}`)
	f.Add(`{"refundId":"R-1","lines":[{"line":1,"quantity":"0.5"}],"shipping":1.5,"restock":true}`)
	f.Add(`{"refundId":"R-2","amount":"0.01","reason":"x"}`)
	f.Add(`{"resolution":"retry_with","correction":{"order":{"/lines/0/sku":"4012345678901"},"document":{"/a":null},"date":"2026-12-01"}}`)
	f.Add(`{"class":"connection","system":"erp-syspro","step":"invoice","limit":3}`)
	a := newAPI(f)
	a.paid(canonical.OrderConfirmed)
	a.parked()
	a.engine.startErr = serviceerror.NewUnavailable("away")
	f.Fuzz(func(t *testing.T, body string) {
		a.t = t
		for path, caller := range map[string]string{
			"/v1/orders": shopUS, "/v1/fraud-reviews/WEB-1/decision": analyst, "/v1/attention/att-1/resolve": operator, "/codec/decode": operator,
			"/v1/orders/WEB-10001/refunds": shopUS, "/v1/attention/retry": operator, "/v1/inbox/e-1/replay": operator,
		} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+caller)
			recorder := httptest.NewRecorder()
			a.server.Handler().ServeHTTP(recorder, request)
			require.Less(t, recorder.Code, http.StatusInternalServerError, "%s: %s", path, recorder.Body)
		}
		signed := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/cybersource", strings.NewReader(body))
		a.signed(body, a.clock.Now())(signed)
		recorder := httptest.NewRecorder()
		a.server.Handler().ServeHTTP(recorder, signed)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusServiceUnavailable}, recorder.Code)
	})
}
