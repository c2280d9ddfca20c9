package cybersource

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenderline/tenderline/sandbox/control"
)

// States of a subscription.
const (
	subscriptionPending   = "PENDING_REVIEW"
	subscriptionActive    = "ACTIVE"
	subscriptionInactive  = "INACTIVE"
	subscriptionSuspended = "SUSPENDED" // the health check fails: notifications wait
)

// maxHeld bounds what waits for a suspended subscription.
const maxHeld = 10_000

// subscription is a webhook.
type subscription struct {
	WebhookID         string              `json:"webhookId"`
	OrganizationID    string              `json:"organizationId"`
	Name              string              `json:"name,omitempty"`
	Description       string              `json:"description,omitempty"`
	Products          []subscribedProduct `json:"products"`
	WebhookURL        string              `json:"webhookUrl"`
	HealthCheckURL    string              `json:"healthCheckUrl,omitempty"`
	NotificationScope string              `json:"notificationScope,omitempty"`
	RetryPolicy       retryPolicy         `json:"retryPolicy"`
	SecurityPolicy    object              `json:"securityPolicy,omitempty"`
	CreatedOn         string              `json:"createdOn"`
	Status            string              `json:"status"`
	Version           int                 `json:"version"`

	preset bool    // of the configuration: it hears of every merchant
	held   []event // while suspended
}

type subscribedProduct struct {
	ProductID  string   `json:"productId"`
	EventTypes []string `json:"eventTypes"`
}

// retryPolicy is when a failed delivery is tried again; times are in minutes (Config.RetryUnit).
type retryPolicy struct {
	Algorithm      string   `json:"algorithm,omitempty"` // ARITHMETIC or GEOMETRIC
	FirstRetry     *flexInt `json:"firstRetry,omitempty"`
	Interval       *flexInt `json:"interval,omitempty"`
	Retries        *flexInt `json:"numberOfRetries,omitempty"`
	DeactivateFlag flexBool `json:"deactivateFlag,omitempty"`
}

func (p retryPolicy) retries() int { return intOr(p.Retries, 3) }

// wait is how long before retry n, from 1, in units.
func (p retryPolicy) wait(n int, unit time.Duration) time.Duration {
	first, interval := intOr(p.FirstRetry, 1), intOr(p.Interval, 1)
	if p.Algorithm != "GEOMETRIC" {
		return time.Duration(first+interval*(n-1)) * unit
	}
	wait := time.Duration(first) * unit
	for range n - 1 {
		wait *= time.Duration(interval)
	}
	return wait
}

func intOr(given *flexInt, otherwise int) int {
	if given == nil {
		return otherwise
	}
	return int(*given)
}

// hears says whether the subscription wants an event.
func (f *subscription) hears(merchant, productID, name string) bool {
	if f.Status != subscriptionActive && f.Status != subscriptionSuspended || !f.preset && f.OrganizationID != merchant {
		return false
	}
	return slices.ContainsFunc(f.Products, func(p subscribedProduct) bool {
		return p.ProductID == productID && slices.Contains(p.EventTypes, name)
	})
}

// webhookKey signs the notifications of an organization.
type webhookKey struct {
	KeyID          string    `json:"keyId"`
	Key            string    `json:"key"` // base64
	OrganizationID string    `json:"organizationId"`
	ExpiresAt      time.Time `json:"expiresAt"`
}

// listProducts answers with a bare array, like the list of webhooks: Cybersource's own clients fail on anything else.
func (s *Server) listProducts(c *call) reply {
	if refused := ownOrganization(c, c.PathValue("organization")); refused != nil {
		return refused.reply(c.now)
	}
	list := make([]object, 0, len(products))
	for _, p := range products {
		events := make([]object, 0, len(p.events))
		for _, name := range p.events {
			events = append(events, object{"eventName": name, "displayName": name, "payloadEncryption": p.encrypted})
		}
		list = append(list, object{"productId": p.id, "productName": p.name, "eventTypes": events})
	}
	return reply{status: http.StatusOK, body: list, contentType: "application/json"}
}

// ownOrganization refuses to act for somebody else.
func ownOrganization(c *call, id string) *refusal {
	if id == c.merchant {
		return nil
	}
	return &refusal{http: http.StatusForbidden, status: statusInvalidRequest, reason: "ACCESS_DENIED", message: "The organization is not the caller's"}
}

// webhookRequest is the body of a creation or change: newer bodies have products, older ones a single productId.
type webhookRequest struct {
	Name              *string             `json:"name"`
	Description       *string             `json:"description"`
	OrganizationID    string              `json:"organizationId"`
	Products          []subscribedProduct `json:"products"`
	ProductID         string              `json:"productId"`
	EventTypes        []string            `json:"eventTypes"`
	WebhookURL        string              `json:"webhookUrl"`
	HealthCheckURL    *string             `json:"healthCheckUrl"`
	NotificationScope string              `json:"notificationScope"`
	RetryPolicy       *retryPolicy        `json:"retryPolicy"`
	SecurityPolicy    object              `json:"securityPolicy"`
	Status            string              `json:"status"`
}

func (r webhookRequest) products() []subscribedProduct {
	if len(r.Products) == 0 && r.ProductID != "" {
		return []subscribedProduct{{ProductID: r.ProductID, EventTypes: r.EventTypes}}
	}
	return r.Products
}

// createWebhook is POST /notification-subscriptions/v2/webhooks. A new subscription is looked at first: it becomes
// active once its health check answers.
func (s *Server) createWebhook(c *call) reply {
	var r webhookRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	if refused := s.checkWebhook(c, r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.books.subscriptions {
		if other.OrganizationID == c.merchant && !other.preset && sharesProduct(other.Products, r.products()) {
			refused := invalid("productId")
			refused.message = "A webhook already exists for the product and organization"
			return refused.reply(c.now)
		}
	}
	sub := &subscription{
		WebhookID: uuid.NewString(), OrganizationID: c.merchant, CreatedOn: c.now.Format("2006-01-02 15:04:05.000"), Status: subscriptionPending,
		NotificationScope: "DESCENDANTS",
		SecurityPolicy:    object{"securityType": "KEY", "proxyType": "external"},
	}
	sub.apply(r)
	s.keepSubscription(sub)
	s.outbox.checkHealth(sub.WebhookID)
	return reply{status: http.StatusCreated, body: subscriptionReply(sub), contentType: "application/json"}
}

func sharesProduct(a, b []subscribedProduct) bool {
	return slices.ContainsFunc(a, func(x subscribedProduct) bool {
		return slices.ContainsFunc(b, func(y subscribedProduct) bool { return x.ProductID == y.ProductID })
	})
}

func (s *Server) checkWebhook(c *call, r webhookRequest) *refusal {
	var problems checks
	problems.requiredOnly("organizationId", r.OrganizationID)
	problems.requiredOnly("webhookUrl", r.WebhookURL)
	if len(r.products()) == 0 {
		problems.missing("products")
	}
	s.checkWebhookParts(r, &problems)
	if refused := problems.refusal(); refused != nil {
		return refused
	}
	return ownOrganization(c, r.OrganizationID)
}

// checkWebhookParts checks what is there.
func (s *Server) checkWebhookParts(r webhookRequest, problems *checks) {
	for _, wanted := range r.products() {
		known, found := findProduct(wanted.ProductID)
		if !found {
			problems.invalid("products.productId")
			continue
		}
		if len(wanted.EventTypes) == 0 {
			problems.missing("products.eventTypes")
		}
		for _, name := range wanted.EventTypes {
			if !slices.Contains(known.events, name) {
				problems.invalid("products.eventTypes")
			}
		}
	}
	if r.WebhookURL != "" && !s.webhookURL(r.WebhookURL) {
		problems.invalid("webhookUrl")
	}
	if r.HealthCheckURL != nil && *r.HealthCheckURL != "" && !s.webhookURL(*r.HealthCheckURL) {
		problems.invalid("healthCheckUrl")
	}
	problems.oneOf("notificationScope", r.NotificationScope, "SELF", "DESCENDANTS", "CUSTOM")
	if p := r.RetryPolicy; p != nil {
		problems.oneOf("retryPolicy.algorithm", p.Algorithm, "ARITHMETIC", "GEOMETRIC")
		for field, value := range map[string]*flexInt{"firstRetry": p.FirstRetry, "interval": p.Interval, "numberOfRetries": p.Retries} {
			if value != nil && (*value < 0 || *value > 1440) {
				problems.invalid("retryPolicy." + field)
			}
		}
	}
}

// webhookURL takes https, and http on the loopback interface where that is allowed.
func (s *Server) webhookURL(text string) bool {
	target, err := url.Parse(text)
	if err != nil || target.Hostname() == "" {
		return false
	}
	if target.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(target.Hostname())
	loopback := target.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return target.Scheme == "http" && s.cfg.AllowHTTPWebhooks && loopback
}

// apply takes over what the request names.
func (f *subscription) apply(r webhookRequest) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&f.Name, r.Name)
	set(&f.Description, r.Description)
	set(&f.HealthCheckURL, r.HealthCheckURL)
	if wanted := r.products(); len(wanted) > 0 {
		f.Products = wanted
	}
	f.WebhookURL = orElse(r.WebhookURL, f.WebhookURL)
	f.NotificationScope = orElse(r.NotificationScope, f.NotificationScope)
	if r.RetryPolicy != nil {
		f.RetryPolicy = *r.RetryPolicy
	}
	if r.SecurityPolicy != nil {
		f.SecurityPolicy = r.SecurityPolicy
	}
	f.Version++
}

func (s *Server) keepSubscription(sub *subscription) {
	s.books.subscriptions[sub.WebhookID] = sub
	if sub.preset {
		return // the configuration is its home
	}
	s.put(control.Entry{Kind: entitySubscription, ID: sub.WebhookID, Doc: sub})
}

func subscriptionReply(f *subscription) object {
	security := maps.Clone(f.SecurityPolicy)
	if security == nil {
		security = object{}
	}
	security["digitalSignatureEnabled"] = "yes"
	answer := object{
		"organizationId": f.OrganizationID, "webhookId": f.WebhookID, "name": f.Name, "description": f.Description, "products": f.Products,
		"webhookUrl": f.WebhookURL, "healthCheckUrl": f.HealthCheckURL, "createdOn": f.CreatedOn, "status": f.Status,
		"retryPolicy": f.RetryPolicy, "securityPolicy": security, "version": strconv.Itoa(f.Version), "deliveryType": "nrtdCentral",
		"notificationScope": f.NotificationScope,
	}
	if len(f.Products) > 0 {
		answer["productId"], answer["eventTypes"] = f.Products[0].ProductID, f.Products[0].EventTypes
	}
	return answer
}

// listWebhooks answers with a bare array.
func (s *Server) listWebhooks(c *call) reply {
	asked := c.URL.Query()
	if organization := asked.Get("organizationId"); organization != "" {
		if refused := ownOrganization(c, organization); refused != nil {
			return refused.reply(c.now)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := []object{}
	for _, sub := range s.books.sortedSubscriptions() {
		if sub.OrganizationID == c.merchant && sub.selected(asked.Get("productId"), asked.Get("eventType")) {
			list = append(list, subscriptionReply(sub))
		}
	}
	return reply{status: http.StatusOK, body: list, contentType: "application/json"}
}

func (f *subscription) selected(productID, eventType string) bool {
	return slices.ContainsFunc(f.Products, func(p subscribedProduct) bool {
		return (productID == "" || p.ProductID == productID) && (eventType == "" || slices.Contains(p.EventTypes, eventType))
	})
}

func (b *books) sortedSubscriptions() []*subscription {
	return slices.SortedFunc(maps.Values(b.subscriptions), func(x, y *subscription) int {
		return strings.Compare(x.CreatedOn+x.WebhookID, y.CreatedOn+y.WebhookID)
	})
}

// onWebhook finds the subscription that a call is about.
func (s *Server) onWebhook(c *call, run func(*subscription) reply) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.books.subscriptions[c.PathValue("webhookId")]
	if sub == nil || sub.OrganizationID != c.merchant {
		return notFound("The webhook was not found").reply(c.now)
	}
	return run(sub)
}

func (s *Server) readWebhook(c *call) reply {
	return s.onWebhook(c, func(sub *subscription) reply {
		return reply{status: http.StatusOK, body: subscriptionReply(sub), contentType: "application/json"}
	})
}

func (s *Server) changeWebhook(c *call) reply {
	var r webhookRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	var problems checks
	s.checkWebhookParts(r, &problems)
	if refused := problems.refusal(); refused != nil {
		return refused.reply(c.now)
	}
	return s.onWebhook(c, func(sub *subscription) reply {
		sub.apply(r)
		s.keepSubscription(sub)
		return reply{status: http.StatusOK, body: subscriptionReply(sub), contentType: "application/json"}
	})
}

func (s *Server) deleteWebhook(c *call) reply {
	return s.onWebhook(c, func(sub *subscription) reply {
		delete(s.books.subscriptions, sub.WebhookID)
		s.put(control.Entry{Kind: entitySubscription, ID: sub.WebhookID})
		return reply{status: http.StatusNoContent}
	})
}

// switchWebhook is PUT .../status.
func (s *Server) switchWebhook(c *call) reply {
	var r webhookRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	if r.Status != subscriptionActive && r.Status != subscriptionInactive {
		return invalid("status").reply(c.now)
	}
	return s.onWebhook(c, func(sub *subscription) reply {
		s.setSubscriptionStatus(sub, r.Status)
		return reply{status: http.StatusOK, body: subscriptionReply(sub), contentType: "application/json"}
	})
}

// setSubscriptionStatus changes the state; what waited goes out when it becomes active.
func (s *Server) setSubscriptionStatus(sub *subscription, status string) {
	sub.Status = status
	s.keepSubscription(sub)
	if status != subscriptionActive {
		return
	}
	waiting := sub.held
	sub.held = nil
	for _, e := range waiting {
		s.outbox.send(sub, e)
	}
}

// testWebhook is POST /notification-subscriptions/v1/webhooks/{id}: one delivery without a business payload.
func (s *Server) testWebhook(c *call) reply {
	return s.onWebhook(c, func(sub *subscription) reply {
		first := subscribedProduct{}
		if len(sub.Products) > 0 {
			first = sub.Products[0]
		}
		e := event{product: first.ProductID, merchantID: c.merchant}
		if len(first.EventTypes) > 0 {
			e.name = first.EventTypes[0]
		}
		s.outbox.send(sub, e)
		return reply{status: http.StatusOK, contentType: "application/json", body: object{
			"webhookId": sub.WebhookID, "productId": e.product, "eventTypes": []string{e.name}, "status": "SENT", "dateTime": utc(c.now),
		}}
	})
}

// createWebhookKey is POST /kms/egress/v2/keys-sym. The key is shown this once; it signs from now on.
func (s *Server) createWebhookKey(c *call) reply {
	var r struct {
		Action string `json:"clientRequestAction"`
		Key    struct {
			Provider       string `json:"provider"`
			Tenant         string `json:"tenant"`
			KeyType        string `json:"keyType"`
			OrganizationID string `json:"organizationId"`
			ExpiryDuration string `json:"expiryDuration"` // days
		} `json:"keyInformation"`
	}
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	var problems checks
	problems.requiredOnly("clientRequestAction", r.Action)
	problems.oneOf("clientRequestAction", r.Action, "CREATE")
	problems.requiredOnly("keyInformation.provider", r.Key.Provider)
	problems.requiredOnly("keyInformation.tenant", r.Key.Tenant)
	problems.oneOf("keyInformation.keyType", r.Key.KeyType, "sharedSecret")
	problems.requiredOnly("keyInformation.organizationId", r.Key.OrganizationID)
	days, err := strconv.Atoi(orElse(r.Key.ExpiryDuration, "365"))
	if err != nil || days < 1 || days > 3650 {
		problems.invalid("keyInformation.expiryDuration")
	}
	if refused := problems.refusal(); refused != nil {
		return refused.reply(c.now)
	}
	if refused := ownOrganization(c, r.Key.OrganizationID); refused != nil {
		return refused.reply(c.now)
	}
	key := &webhookKey{KeyID: uuid.NewString(), Key: randomSecret(), OrganizationID: c.merchant, ExpiresAt: c.now.AddDate(0, 0, days)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books.keys = append(s.books.keys, key)
	s.put(control.Entry{Kind: entityKey, ID: key.KeyID, Doc: key})
	return reply{status: http.StatusCreated, contentType: "application/json", body: object{
		"submitTimeUtc": utc(c.now), "status": "SUCCESS", "keyInformation": object{
			"provider": r.Key.Provider, "tenant": r.Key.Tenant, "organizationId": c.merchant, "keyId": key.KeyID, "key": key.Key,
			"keyType": "sharedSecret", "status": "Active", "expirationDate": utc(key.ExpiresAt),
		},
	}}
}

// presetWebhook adds the subscription of the configuration.
func (s *Server) presetWebhook() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addPresetWebhook()
}

// addPresetWebhook must be called with the lock held. Neither it nor its key is written to the state: the configuration
// is their home.
func (s *Server) addPresetWebhook() {
	preset := s.cfg.Webhook
	if preset == nil {
		return
	}
	names := preset.Events
	if len(names) == 0 {
		known, _ := findProduct(productRisk)
		names = known.events
	}
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(s.cfg.MerchantID+" "+preset.URL)).String()
	s.books.subscriptions[id] = &subscription{
		WebhookID: id, OrganizationID: s.cfg.MerchantID, Name: "preset", Products: productsOf(names), WebhookURL: preset.URL,
		CreatedOn: s.cfg.Clock().UTC().Format("2006-01-02 15:04:05.000"), Status: subscriptionActive, Version: 1, NotificationScope: "DESCENDANTS",
		SecurityPolicy: object{"securityType": "KEY", "proxyType": "external"}, preset: true,
	}
	key := &webhookKey{KeyID: preset.KeyID, Key: preset.Key, OrganizationID: s.cfg.MerchantID, ExpiresAt: s.cfg.Clock().AddDate(1, 0, 0)}
	s.books.keys = append([]*webhookKey{key}, s.books.keys...)
}

// productsOf puts each event under the first product that has it, Decision Manager before its sibling.
func productsOf(names []string) []subscribedProduct {
	var grouped []subscribedProduct
	for _, p := range products {
		var taken []string
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			if slices.Contains(p.events, name) {
				taken = append(taken, name)
				return true
			}
			return false
		})
		if len(taken) > 0 {
			grouped = append(grouped, subscribedProduct{ProductID: p.id, EventTypes: taken})
		}
	}
	return grouped
}

// notify hands an event to every subscription that hears it. It must be called with the lock held.
func (s *Server) notify(e event) {
	for _, sub := range s.books.sortedSubscriptions() {
		if !sub.hears(e.merchantID, e.product, e.name) {
			continue
		}
		if sub.Status == subscriptionSuspended {
			if len(sub.held) < maxHeld {
				sub.held = append(sub.held, e)
			}
			continue
		}
		for range 1 + max(s.cfg.WebhookCopies, 0) {
			s.outbox.send(sub, e)
		}
	}
}

// rawPayload is one line of JSON, so that the bytes signed are the bytes sent.
func rawPayload(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	compact, err := encode(raw)
	if err != nil {
		return json.RawMessage("{}")
	}
	return compact
}
