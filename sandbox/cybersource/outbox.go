package cybersource

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

const (
	deliverySlots      = 8 // deliveries on the wire at the same time
	keptDeliveries     = 1000
	healthCheckMinutes = 5
)

// outbox delivers notifications on goroutines of its own, which end with close.
type outbox struct {
	s     *Server
	slots chan struct{}
	work  sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context
	cancel  context.CancelFunc
	closed  bool
	records []deliveryRecord
}

// deliveryRecord is one line of GET /_sandbox/deliveries.
type deliveryRecord struct {
	At        time.Time `json:"at"`
	WebhookID string    `json:"webhookId"`
	EventType string    `json:"eventType"`
	TraceID   string    `json:"transactionTraceId"`
	Retry     int       `json:"retryNumber"`
	Status    int       `json:"status"` // 0: no answer
}

func newOutbox(s *Server) *outbox {
	o := &outbox{s: s, slots: make(chan struct{}, deliverySlots)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

// start runs work until it ends or the outbox is emptied or closed.
func (o *outbox) start(work func(context.Context)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	ctx := o.ctx
	o.work.Go(func() { work(ctx) })
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.cancel()
	o.mu.Unlock()
	o.work.Wait()
}

// forget ends what is under way and starts anew.
func (o *outbox) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancel()
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.records = nil
}

func (o *outbox) record(r deliveryRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records = append(o.records, r)
	if len(o.records) > keptDeliveries {
		o.records = o.records[len(o.records)-keptDeliveries:]
	}
}

func (o *outbox) deliveries() []deliveryRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]deliveryRecord{}, o.records...)
}

// send delivers an event, at once and then by the retry policy. It does not wait.
func (o *outbox) send(sub *subscription, e event) { o.sendAfter(sub, e, 0) }

func (o *outbox) sendAfter(sub *subscription, e event, delay time.Duration) {
	target := *sub // as it was when the event happened
	target.held = nil
	o.start(func(ctx context.Context) {
		if !sleep(ctx, delay) {
			return
		}
		for attempt := 0; ; attempt++ {
			if o.attempt(ctx, &target, e, attempt) {
				return
			}
			if attempt >= target.RetryPolicy.retries() {
				o.giveUp(ctx, &target, e)
				return
			}
			if !sleep(ctx, target.RetryPolicy.wait(attempt+1, o.s.cfg.RetryUnit)) {
				return
			}
		}
	})
}

// sleep waits and says whether the work should go on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o *outbox) giveUp(ctx context.Context, target *subscription, e event) {
	o.s.cfg.Logger.Warn("sandbox notification given up", "webhook", target.WebhookID, "event", e.name)
	if !bool(target.RetryPolicy.DeactivateFlag) || ctx.Err() != nil {
		return
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if sub := o.s.books.subscriptions[target.WebhookID]; sub != nil {
		o.s.setSubscriptionStatus(sub, subscriptionInactive)
	}
}

// attempt sends an event once and says whether it was taken.
func (o *outbox) attempt(ctx context.Context, target *subscription, e event, retry int) bool {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return false
	}
	trace := uuid.NewString() // new for every attempt: receivers must not tell duplicates by it
	status, err := o.post(ctx, target, e, retry, trace)
	if ctx.Err() != nil {
		return false
	}
	o.record(deliveryRecord{At: o.s.cfg.Clock().UTC(), WebhookID: target.WebhookID, EventType: e.name, TraceID: trace, Retry: retry, Status: status})
	if err != nil {
		o.s.cfg.Logger.Warn("sandbox notification failed", "webhook", target.WebhookID, "event", e.name, "retry", retry, "error", err)
		return false
	}
	return true
}

// notification is the body of a delivery.
type notification struct {
	EventType          string          `json:"eventType"`
	WebhookID          string          `json:"webhookId"`
	ProductID          string          `json:"productId"`
	OrganizationID     string          `json:"organizationId"`
	EventDate          string          `json:"eventDate"` // UTC, without a zone
	TransactionTraceID string          `json:"transactionTraceId"`
	RetryNumber        int             `json:"retryNumber"`
	Payload            json.RawMessage `json:"payload,omitempty"`
	Payloads           any             `json:"payloads,omitempty"` // of a test delivery
	RequestType        string          `json:"requestType"`
}

func (o *outbox) post(ctx context.Context, target *subscription, e event, retry int, trace string) (int, error) {
	key := o.signingKey(target.OrganizationID)
	if key == nil {
		return 0, errors.New("the organization has no key to sign with")
	}
	body, inner, err := o.body(target, e, retry, trace)
	if err != nil {
		return 0, err
	}
	signed := body
	if o.s.cfg.SignInnerPayload {
		signed = inner
	}
	signature, err := signNotification(key, o.s.cfg.Clock(), signed)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.WebhookURL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "v-c-signature": signature, "v-c-event-type": e.name, "v-c-organization-id": e.merchantID,
		"v-c-product-name": e.product, "v-c-request-type": requestType(retry), "v-c-retry-count": strconv.Itoa(retry),
		"v-c-transaction-trace-id": trace, "v-c-webhook-id": target.WebhookID,
	} {
		request.Header.Set(name, value)
	}
	return o.do(request)
}

func (o *outbox) do(request *http.Request) (int, error) {
	answer, err := o.s.cfg.WebhookClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // lets the connection be used again
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return answer.StatusCode, fmt.Errorf("answered %d", answer.StatusCode)
	}
	return answer.StatusCode, nil
}

func requestType(retry int) string {
	if retry > 0 {
		return "RETRY"
	}
	return "NEW"
}

func (o *outbox) body(target *subscription, e event, retry int, trace string) (body, inner []byte, err error) {
	made := notification{
		EventType: e.name, WebhookID: target.WebhookID, ProductID: e.product, OrganizationID: e.merchantID,
		EventDate: o.s.cfg.Clock().UTC().Format("2006-01-02T15:04:05"), TransactionTraceID: trace + "-" + strconv.Itoa(retry),
		RetryNumber: retry, RequestType: requestType(retry),
	}
	if e.payload == nil {
		made.Payloads = object{"testPayload": object{"message": "This is a test notification"}}
		inner, err = encode(made.Payloads)
	} else {
		made.Payload, err = o.seal(target, e)
		inner = made.Payload
	}
	if err != nil {
		return nil, nil, err
	}
	body, err = encode(made)
	return body, inner, err
}

// seal encrypts the payload where the product compels it and the configuration has a key for it.
func (o *outbox) seal(target *subscription, e event) (json.RawMessage, error) {
	known, _ := findProduct(e.product)
	preset := o.s.cfg.Webhook
	if !known.encrypted || !target.preset || preset.EncryptionKey == nil {
		return rawPayload(e.payload), nil
	}
	recipient := jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: preset.EncryptionKey, KeyID: preset.EncryptionKeyID}
	options := (&jose.EncrypterOptions{}).WithContentType("JWT").WithHeader("iat", o.s.cfg.Clock().Unix())
	encrypter, err := jose.NewEncrypter(jose.A256GCM, recipient, options)
	if err != nil {
		return nil, fmt.Errorf("encrypt payload: %w", err)
	}
	sealed, err := encrypter.Encrypt(e.payload)
	if err != nil {
		return nil, fmt.Errorf("encrypt payload: %w", err)
	}
	text, err := sealed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("encrypt payload: %w", err)
	}
	return encode(object{"encData": text})
}

// signNotification makes the value of v-c-signature.
func signNotification(key *webhookKey, now time.Time, payload []byte) (string, error) {
	secret, err := base64.StdEncoding.DecodeString(key.Key)
	if err != nil {
		return "", fmt.Errorf("webhook key %s is not base64", key.KeyID)
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(payload)
	return "t=" + stamp + ";keyId=" + key.KeyID + ";sig=" + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// signingKey is the organization's newest key.
func (o *outbox) signingKey(organization string) *webhookKey {
	o.s.mu.RLock()
	defer o.s.mu.RUnlock()
	for _, key := range slices.Backward(o.s.books.keys) {
		if key.OrganizationID == organization {
			return key
		}
	}
	return nil
}

// checkHealth looks at a new subscription after a while: it becomes active, or is suspended and looked at again.
func (o *outbox) checkHealth(webhookID string) {
	o.start(func(ctx context.Context) {
		for sleep(ctx, healthCheckMinutes*o.s.cfg.RetryUnit) {
			healthURL, waiting := o.healthURL(webhookID)
			if !waiting {
				return
			}
			healthy := healthURL == "" || o.healthy(ctx, healthURL)
			if ctx.Err() != nil {
				return
			}
			o.setHealth(webhookID, healthy)
		}
	})
}

// healthURL says where to look, as long as the subscription waits for it.
func (o *outbox) healthURL(webhookID string) (string, bool) {
	o.s.mu.RLock()
	defer o.s.mu.RUnlock()
	sub := o.s.books.subscriptions[webhookID]
	if sub == nil || sub.Status != subscriptionPending && sub.Status != subscriptionSuspended {
		return "", false
	}
	return sub.HealthCheckURL, true
}

func (o *outbox) healthy(ctx context.Context, target string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, http.NoBody)
	if err != nil {
		return false
	}
	status, err := o.do(request)
	return err == nil && status == http.StatusOK
}

func (o *outbox) setHealth(webhookID string, healthy bool) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	sub := o.s.books.subscriptions[webhookID]
	if sub == nil {
		return
	}
	status := subscriptionSuspended
	if healthy {
		status = subscriptionActive
	}
	if sub.Status != status {
		o.s.setSubscriptionStatus(sub, status)
	}
}

// resumeHealthChecks goes on with the subscriptions that were not active when the state was written.
func (s *Server) resumeHealthChecks() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, sub := range s.books.subscriptions {
		if sub.Status == subscriptionPending || sub.Status == subscriptionSuspended {
			s.outbox.checkHealth(id)
		}
	}
}
