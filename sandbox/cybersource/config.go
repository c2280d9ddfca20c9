// Package cybersource stands in for the Cybersource REST API: it answers any client of that API, Cybersource's own
// SDKs too, with the paths, shapes, HTTP codes and refusals of the real one, and moves no money.
//
// It is strict where the real system is strict: signatures, digests and clocks, required fields and their lengths,
// and what the state of a transaction forbids. It is written from the public description of the API and shares no code
// with the client that it answers, so that a misreading on either side shows.
//
// TRIGGERS.md lists what to send to get a decline, a review, a lost answer and so on.
package cybersource

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// What the real system shows; Config leaves both lags at zero unless told.
const (
	// DefaultSearchLag is how long a new transaction usually takes to reach the search index.
	DefaultSearchLag = 5 * time.Second
	// DefaultClockSkew is how far the signed time may be off.
	DefaultClockSkew = 5 * time.Minute
)

// Config sets up a Server. MerchantID, KeyID and SharedSecret are required; everything else has a useful zero value.
type Config struct {
	// MerchantID is the organization id (MID) that transacts, sent as v-c-merchant-id.
	MerchantID string
	// KeyID and SharedSecret (base64) are the shared-secret key of HTTP Signature and of JWTs with HS256, HS384, HS512.
	KeyID, SharedSecret string
	// PublicKeys are the P12 keys of JWTs with RS256, by key id (the serialNumber of the certificate's subject).
	PublicKeys map[string]*rsa.PublicKey
	// Accounts are further merchants, each with its own keys and its own transactions.
	Accounts []Account
	// PortfolioID, when set, owns the keys above (a meta key): it is what iss and the signed line v-c-merchant-id
	// carry, while the header or claim v-c-merchant-id names the merchant that transacts.
	PortfolioID string

	// Clock gives the time; nil is time.Now.
	Clock func() time.Time
	// ClockSkew is how far the signed time may be off; zero is DefaultClockSkew, negative allows none.
	ClockSkew time.Duration
	// TimeZone is the merchant's; it decides which day a transaction's batch belongs to. nil is UTC.
	TimeZone *time.Location

	// SearchLag is how long a transaction stays out of the search index, DetailsLag out of the transaction details.
	SearchLag, DetailsLag time.Duration

	// StateDir keeps the state in files there; "" keeps it in memory.
	StateDir string

	// Webhook is a subscription that exists from the start, so that nothing needs to be set up.
	Webhook *PresetWebhook
	// AllowHTTPWebhooks lets subscriptions name http:// URLs on the loopback interface, for local use. The real system
	// takes https:// alone. It also lets Webhook name any http:// URL.
	AllowHTTPWebhooks bool
	// SignInnerPayload signs the inner payload object of a notification in place of the whole body.
	SignInnerPayload bool
	// RetryUnit is the unit of the retry policies and of health checks; zero is a minute, as in the real system.
	RetryUnit time.Duration
	// WebhookCopies sends every notification so many more times, each with a trace id of its own.
	WebhookCopies int
	// WebhookClient sends the notifications; nil is a client with a 10 s time-out.
	WebhookClient *http.Client

	// MultiCapture lets an authorization be captured in parts with captureSequenceNumber and totalCaptureCount.
	MultiCapture bool
	// PartialReversals lets parts of a hold be reversed. Otherwise a reversal must name the whole of it.
	PartialReversals bool
	// AutoVoidReversal releases the hold of a capture or sale that is voided.
	AutoVoidReversal bool
	// CapRefunds refuses refunds beyond what was captured. The real system was seen to accept them.
	CapRefunds bool
	// IgnoreTransactionIDs turns the duplicate guard by transactionId off, as with processors that don't know it.
	IgnoreTransactionIDs bool
	// DuplicateReferenceWindow refuses a payment with the same reference within that time; zero is off, the real
	// feature has 15 minutes.
	DuplicateReferenceWindow time.Duration
	// RelaxedAddress makes the billing address optional.
	RelaxedAddress bool
	// WithoutDecisionManager screens no payment: review and risk triggers approve.
	WithoutDecisionManager bool
	// AuthorizeOnAccept authorizes a payment that was held before authorization when its case is accepted. Otherwise
	// the merchant sends a new authorization.
	AuthorizeOnAccept bool
	// IgnoreAmountTriggers makes amounts ordinary: only names and tokens trigger.
	IgnoreAmountTriggers bool

	// Logger hears why requests were refused and notifications failed; nil discards. No secrets, no card data.
	Logger *slog.Logger
}

// Account is a further merchant.
type Account struct {
	MerchantID          string
	KeyID, SharedSecret string // base64
	PublicKeys          map[string]*rsa.PublicKey
}

// PresetWebhook is a subscription that exists, ACTIVE, from the start.
type PresetWebhook struct {
	URL string
	// KeyID and Key (base64) sign its notifications.
	KeyID, Key string
	// Events are the event types it hears of; empty is every event of decisionManager.
	Events []string
	// EncryptionKey, when set, encrypts the payload of the products that compel it ("payments"): a compact JWE under
	// encData, with EncryptionKeyID in its header. Without it they go in the clear.
	EncryptionKey   *rsa.PublicKey
	EncryptionKeyID string
}

// normalized checks the configuration and fills the defaults in.
func (c Config) normalized() (Config, error) {
	if c.MerchantID == "" || c.KeyID == "" || c.SharedSecret == "" {
		return c, errors.New("cybersource sandbox needs a merchant id, a key id and a shared secret")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	switch {
	case c.ClockSkew == 0:
		c.ClockSkew = DefaultClockSkew
	case c.ClockSkew < 0:
		c.ClockSkew = 0
	}
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	if c.RetryUnit <= 0 {
		c.RetryUnit = time.Minute
	}
	if c.WebhookClient == nil {
		c.WebhookClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Webhook != nil {
		if err := c.checkPresetWebhook(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c Config) checkPresetWebhook() error {
	target, err := url.Parse(c.Webhook.URL)
	if err != nil || target.Host == "" {
		return fmt.Errorf("webhook URL %q is not a URL", c.Webhook.URL)
	}
	if target.Scheme != "https" && !(target.Scheme == "http" && c.AllowHTTPWebhooks) {
		return fmt.Errorf("webhook URL %q is not https", c.Webhook.URL)
	}
	if c.Webhook.KeyID == "" {
		return errors.New("preset webhook needs a key id")
	}
	if _, err := base64.StdEncoding.DecodeString(c.Webhook.Key); err != nil || c.Webhook.Key == "" {
		return errors.New("preset webhook key is not base64")
	}
	return nil
}
