package cybersource

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

const (
	hookKeyID = "0b4f7a55-0000-4000-8000-00000000aa01"
	hookKey   = "d2ViaG9vayBleGFtcGxlIGtleSAwMDAwMDAwMDAwMQ==" // of the documented example
)

// delivery is what a receiver got.
type delivery struct {
	header http.Header
	raw    []byte
	body   answer
}

// receiver takes notifications; its status can be changed.
type receiver struct {
	*httptest.Server
	mu         sync.Mutex
	status     int
	deliveries []delivery
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		raw, _ := io.ReadAll(request.Body)
		var body any
		_ = json.Unmarshal(raw, &body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.deliveries = append(r.deliveries, delivery{header: request.Header, raw: raw, body: answer{body: body}})
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answerWith(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) got() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery{}, r.deliveries...)
}

// wait gives the deliveries once there are n of them.
func (r *receiver) wait(t *testing.T, n int) []delivery {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.got()) >= n }, time.Minute, time.Millisecond)
	return r.got()
}

func preset(r *receiver, events ...string) func(*Config) {
	return func(c *Config) {
		c.AllowHTTPWebhooks, c.RetryUnit = true, time.Millisecond
		c.Webhook = &PresetWebhook{URL: r.URL + "/cybs", KeyID: hookKeyID, Key: hookKey, Events: events}
	}
}

var signatureHeader = regexp.MustCompile(`^t=(\d{13});keyId=([^;]+);sig=(.+)$`)

func requireSignature(t *testing.T, d delivery, key string, payload []byte) {
	t.Helper()
	parts := signatureHeader.FindStringSubmatch(d.header.Get("v-c-signature"))
	require.NotNil(t, parts, d.header.Get("v-c-signature"))
	secret, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[1] + "." + string(payload)))
	require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), parts[3])
}

func TestSignatureExampleOfTheReference(t *testing.T) {
	signature, err := signNotification(&webhookKey{KeyID: hookKeyID, Key: hookKey}, time.UnixMilli(1767600000000), []byte(`{"data":{"id":"1"}}`))
	require.NoError(t, err)
	require.Equal(t, "t=1767600000000;keyId="+hookKeyID+";sig=5VtlVPxZRtEHSQ0wFEGBvV2U6pIRxuVbCA9H2jsyNtc=", signature)
}

func TestReviewIsAnnounced(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, preset(hook))
	id := g.held("review")
	require.Equal(t, 200, g.control("POST", "/_sandbox/review", map[string]any{"id": id, "decision": "ACCEPT", "actionList": []string{"CAPTURE"}, "comments": "ok"}).status)
	got := hook.wait(t, 1)[0]
	requireSignature(t, got, hookKey, got.raw)
	require.Equal(t, "risk.casemanagement.decision.accept", got.header.Get("v-c-event-type"))
	require.Equal(t, "decisionManager", got.header.Get("v-c-product-name"))
	require.Equal(t, testMerchant, got.header.Get("v-c-organization-id"))
	require.Equal(t, "NEW", got.header.Get("v-c-request-type"))
	require.Equal(t, "0", got.header.Get("v-c-retry-count"))
	require.Equal(t, got.body.text("webhookId"), got.header.Get("v-c-webhook-id"))
	require.Equal(t, got.header.Get("v-c-transaction-trace-id")+"-0", got.body.text("transactionTraceId"))
	require.Equal(t, "2026-01-05T08:00:00", got.body.text("eventDate"))
	require.Equal(t, id, got.body.text("payload.data.id"))
	require.Equal(t, "ORD-1001", got.body.text("payload.data.referenceNumber"))
	require.Equal(t, "ok", answer{body: got.body.at("payload.data.notes").([]any)[0]}.text("comment"))
	require.Contains(t, got.body.text("payload.data._embedded.capture._links.self.href"), "/pts/v2/captures/")
	require.Equal(t, testMerchant, got.body.text("payload.organizationId"))
}

func TestDeliveriesAreRetried(t *testing.T) {
	hook := newReceiver(t)
	hook.answerWith(http.StatusInternalServerError)
	g := newGateway(t, preset(hook))
	g.decide(g.held("review"), "REJECT")
	got := hook.wait(t, 4) // the first one and three more
	traces := map[string]bool{}
	for i, d := range got {
		traces[d.header.Get("v-c-transaction-trace-id")] = true
		require.Equal(t, float64(i), d.body.at("retryNumber"))
		require.Equal(t, requestType(i), d.body.text("requestType"))
		require.Equal(t, "risk.casemanagement.decision.reject", d.body.text("eventType"))
		requireSignature(t, d, hookKey, d.raw)
	}
	require.Len(t, traces, 4, "a trace id of its own for every attempt")
	require.Eventually(t, func() bool { return len(g.server.outbox.deliveries()) == 4 }, time.Minute, time.Millisecond)
	listed := g.control("GET", "/_sandbox/deliveries", nil).at("deliveries").([]any)
	require.Equal(t, 500.0, answer{body: listed[3]}.at("status"))
}

func TestRetryTimes(t *testing.T) {
	n := func(i int) *flexInt { v := flexInt(i); return &v }
	require.Equal(t, 3*time.Minute, retryPolicy{}.wait(3, time.Minute), "1, 1, 3 by default")
	require.Equal(t, 3, retryPolicy{}.retries())
	require.Equal(t, 14*time.Minute, retryPolicy{Algorithm: "ARITHMETIC", FirstRetry: n(2), Interval: n(6)}.wait(3, time.Minute))
	require.Equal(t, 18*time.Minute, retryPolicy{Algorithm: "GEOMETRIC", FirstRetry: n(2), Interval: n(3)}.wait(3, time.Minute))
}

func TestInnerPayloadCanBeSigned(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, preset(hook), func(c *Config) { c.SignInnerPayload = true })
	g.decide(g.held("review"), "ACCEPT")
	got := hook.wait(t, 1)[0]
	var read struct{ Payload json.RawMessage }
	require.NoError(t, json.Unmarshal(got.raw, &read))
	requireSignature(t, got, hookKey, read.Payload)
}

func TestDuplicatesOnDemand(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, preset(hook), func(c *Config) { c.WebhookCopies = 1 })
	id := g.held("review")
	g.decide(id, "ACCEPT")
	got := hook.wait(t, 2)
	require.NotEqual(t, got[0].header.Get("v-c-transaction-trace-id"), got[1].header.Get("v-c-transaction-trace-id"))

	a := g.control("POST", "/_sandbox/emit", map[string]any{"eventType": "risk.casemanagement.decision.reject", "id": id, "copies": 3, "delayMs": 1})
	require.Equal(t, 3.0, a.at("deliveries"), a.raw)
	require.Equal(t, id, hook.wait(t, 5)[4].body.text("payload.data.id"))
	raw := map[string]any{"eventType": "risk.casemanagement.addnote", "payload": map[string]any{"data": map[string]any{"id": "<&>"}}}
	require.Equal(t, 202, g.control("POST", "/_sandbox/emit", raw).status)
	last := hook.wait(t, 6)[5]
	require.Equal(t, "<&>", last.body.text("payload.data.id"))
	requireSignature(t, last, hookKey, last.raw)
	require.Equal(t, 400, g.control("POST", "/_sandbox/emit", map[string]any{"eventType": "risk.casemanagement.addnote", "id": "1"}).status)
}

func TestPaymentEvents(t *testing.T) {
	hook := newReceiver(t)
	known, _ := findProduct(productPayments)
	g := newGateway(t, preset(hook, known.events...))
	sold := g.pay(sale(nil)).id()
	refund := g.post("/pts/v2/payments/"+sold+"/refunds", amountBody("R", "1.00")).id()
	g.settle()
	g.reverse(g.pay(nil).id(), "102.21")
	g.post("/pts/v2/payments", g.tokenPayment("decline", nil))
	voided := g.pay(sale(nil)).id()
	g.post("/pts/v2/payments/"+voided+"/voids", voidBody())
	want := map[string]int{
		"payments.authorization.status.accepted": 3, "payments.capture.status.accepted": 2, "payments.refund.status.accepted": 1,
		"payments.capture.status.updated": 1, "payments.refund.status.updated": 1, "payments.reversal.status.accepted": 1,
		"payments.authorization.status.rejected": 1, "payments.void.status.accepted": 1,
	}
	total := 0
	for _, n := range want {
		total += n
	}
	seen := map[string]int{}
	for _, d := range hook.wait(t, total) {
		seen[d.body.text("eventType")]++
		switch d.body.text("eventType") {
		case "payments.capture.status.updated":
			require.Equal(t, sold, d.body.text("payload.data.id"))
			require.Equal(t, "BATCHED", d.body.text("payload.data.status"))
		case "payments.refund.status.updated":
			require.Equal(t, refund, d.body.text("payload.data.id"))
		}
	}
	require.Equal(t, want, seen)
}

func TestEncryptedPayloads(t *testing.T) {
	hook := newReceiver(t)
	key := browserKey()
	g := newGateway(t, preset(hook, "payments.authorization.status.accepted"), func(c *Config) {
		c.Webhook.EncryptionKey, c.Webhook.EncryptionKeyID = &key.PublicKey, "mle-1"
	})
	id := g.pay(nil).id()
	got := hook.wait(t, 1)[0]
	require.NotContains(t, string(got.raw), id)
	require.Contains(t, decryptPayload(t, got.body.text("payload.encData"), key), id)
}

func decryptPayload(t *testing.T, text string, key *rsa.PrivateKey) string {
	t.Helper()
	sealed, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.RSA_OAEP_256}, []jose.ContentEncryption{jose.A256GCM})
	require.NoError(t, err)
	require.Equal(t, "mle-1", sealed.Header.KeyID)
	plain, err := sealed.Decrypt(key)
	require.NoError(t, err)
	return string(plain)
}

func subscriptionBody(url string) map[string]any {
	return map[string]any{
		"name": "orders", "organizationId": testMerchant, "webhookUrl": url + "/cybs", "healthCheckUrl": url + "/health",
		"products":    []any{map[string]any{"productId": "decisionManager", "eventTypes": []string{"risk.casemanagement.decision.accept"}}},
		"retryPolicy": map[string]any{"algorithm": "ARITHMETIC", "firstRetry": 1, "interval": 1, "numberOfRetries": 0, "deactivateFlag": "false"},
	}
}

const webhooksPath = "/notification-subscriptions/v2/webhooks"

func TestSubscriptionAPI(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, func(c *Config) { c.AllowHTTPWebhooks, c.RetryUnit = true, 2*time.Millisecond })
	key := g.post("/kms/egress/v2/keys-sym", map[string]any{"clientRequestAction": "CREATE", "keyInformation": map[string]any{
		"provider": "nrtd", "tenant": testMerchant, "keyType": "sharedSecret", "organizationId": testMerchant, "expiryDuration": "365"}})
	require.Equal(t, 201, key.status, key.raw)

	made := g.post(webhooksPath, subscriptionBody(hook.URL))
	require.Equal(t, 201, made.status, made.raw)
	require.Equal(t, "PENDING_REVIEW", made.text("status"))
	require.Equal(t, "2026-01-05 08:00:00.000", made.text("createdOn"))
	id := made.text("webhookId")
	require.Equal(t, 400, g.post(webhooksPath, subscriptionBody(hook.URL)).status, "one per product")
	require.Eventually(t, func() bool { return g.get(webhooksPath+"/"+id).text("status") == "ACTIVE" }, time.Minute, time.Millisecond)
	require.Empty(t, hook.wait(t, 1)[0].raw, "the health check has no body")

	list := g.get(webhooksPath + "?organizationId=" + testMerchant + "&productId=decisionManager")
	require.Len(t, list.body.([]any), 1, "a bare array")
	require.Empty(t, g.get(webhooksPath+"?productId=payments").body.([]any))

	g.decide(g.held("review"), "ACCEPT")
	got := hook.wait(t, 2)[1]
	requireSignature(t, got, key.text("keyInformation.key"), got.raw)
	require.Contains(t, got.header.Get("v-c-signature"), key.text("keyInformation.keyId"))

	test := g.post("/notification-subscriptions/v1/webhooks/"+id, "{}")
	require.Equal(t, 200, test.status)
	require.NotEmpty(t, hook.wait(t, 3)[2].body.text("payloads.testPayload.message"))

	require.Equal(t, "INACTIVE", g.send("PUT", webhooksPath+"/"+id+"/status", `{"status":"INACTIVE"}`).text("status"))
	g.decide(g.held("review"), "ACCEPT")
	changed := g.send("PATCH", webhooksPath+"/"+id, `{"name":"renamed"}`)
	require.Equal(t, "renamed", changed.text("name"))
	require.Equal(t, "2", changed.text("version"))
	require.Equal(t, 204, g.send("DELETE", webhooksPath+"/"+id, nil).status)
	require.Equal(t, 404, g.get(webhooksPath+"/"+id).status)
	require.Len(t, hook.got(), 3, "nothing while inactive")
}

func TestSuspendedSubscriptionHoldsItsMessages(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, preset(newReceiver(t)))
	hook.answerWith(http.StatusServiceUnavailable)
	id := g.post(webhooksPath, subscriptionBody(hook.URL)).text("webhookId")
	state := func(want string) func() bool {
		return func() bool { return g.get(webhooksPath+"/"+id).text("status") == want }
	}
	require.Eventually(t, state("SUSPENDED"), time.Minute, time.Millisecond)
	payment := g.held("review")
	g.decide(payment, "ACCEPT")
	hook.answerWith(http.StatusOK)
	require.Eventually(t, state("ACTIVE"), time.Minute, time.Millisecond)
	require.Eventually(t, func() bool {
		for _, d := range hook.got() {
			if d.body.text("payload.data.id") == payment {
				return true
			}
		}
		return false
	}, time.Minute, time.Millisecond)
}

func TestSubscriptionChecks(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.AllowHTTPWebhooks = true })
	tests := map[string]struct {
		path  []string
		value any
		want  int
	}{
		"http elsewhere":       {[]string{"webhookUrl"}, "http://hooks.example/cybs", 400},
		"https":                {[]string{"webhookUrl"}, "https://hooks.example/cybs", 201},
		"no URL":               {[]string{"webhookUrl"}, nil, 400},
		"health check no URL":  {[]string{"healthCheckUrl"}, "x", 400},
		"another organization": {[]string{"organizationId"}, "other", 403},
		"unknown product":      {[]string{"products"}, []any{map[string]any{"productId": "x", "eventTypes": []string{"y"}}}, 400},
		"event of another":     {[]string{"products"}, []any{map[string]any{"productId": "decisionManager", "eventTypes": []string{"payments.payments.accept"}}}, 400},
		"unknown algorithm":    {[]string{"retryPolicy", "algorithm"}, "RANDOM", 400},
		"unknown scope":        {[]string{"notificationScope"}, "ALL", 400},
	}
	for name, test := range tests {
		body := subscriptionBody("https://hooks.example")
		set(body, test.path, test.value)
		a := g.post(webhooksPath, body)
		require.Equal(t, test.want, a.status, "%s: %s", name, a.raw)
	}
	strict := newGateway(t)
	require.Equal(t, 400, strict.post(webhooksPath, subscriptionBody("http://127.0.0.1:1")).status, "https unless the configuration says otherwise")
	require.Equal(t, 400, strict.post("/kms/egress/v2/keys-sym", "{}").status)

	products := strict.get("/notification-subscriptions/v2/products/" + testMerchant)
	require.NotEmpty(t, products.body.([]any), "a bare array")
	require.Equal(t, 403, strict.get("/notification-subscriptions/v2/products/other").status)
}

func TestDeactivation(t *testing.T) {
	hook := newReceiver(t)
	g := newGateway(t, preset(newReceiver(t)))
	body := subscriptionBody(hook.URL)
	set(body, []string{"retryPolicy", "deactivateFlag"}, "true")
	set(body, []string{"healthCheckUrl"}, nil)
	id := g.post(webhooksPath, body).text("webhookId")
	g.send("PUT", webhooksPath+"/"+id+"/status", `{"status":"ACTIVE"}`)
	hook.answerWith(http.StatusInternalServerError)
	g.decide(g.held("review"), "ACCEPT")
	require.Eventually(t, func() bool { return g.get(webhooksPath+"/"+id).text("status") == "INACTIVE" }, time.Minute, time.Millisecond)
}

func TestCloseEndsRetries(t *testing.T) {
	hook := newReceiver(t)
	hook.answerWith(http.StatusInternalServerError)
	g := newGateway(t, preset(hook), func(c *Config) { c.RetryUnit = time.Hour })
	g.decide(g.held("review"), "ACCEPT")
	hook.wait(t, 1)
	closed := make(chan error, 1)
	go func() { closed <- g.server.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("Close waits for a retry")
	}
}

func TestPresetWebhookIsChecked(t *testing.T) {
	base := Config{MerchantID: "m", KeyID: "k", SharedSecret: testSecret}
	for name, hook := range map[string]PresetWebhook{
		"http":       {URL: "http://127.0.0.1/x", KeyID: "k", Key: hookKey},
		"no URL":     {KeyID: "k", Key: hookKey},
		"no key id":  {URL: "https://hooks.example", Key: hookKey},
		"not base64": {URL: "https://hooks.example", KeyID: "k", Key: "%"},
	} {
		cfg := base
		cfg.Webhook = &hook
		_, err := New(cfg)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), hookKey, "no secrets in errors")
	}
}
