package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/webhook"
)

// client talks to the HTTP API as webhook/openapi.yaml describes it. Nothing with a card number in it leaves this process.
type client struct {
	base *url.URL
	key  string
	http *http.Client
}

const (
	answerLimit    = 16 << 20         // bytes of an answer that are read
	requestTimeout = 30 * time.Second // beside what the caller asked the API to wait
)

// newClient checks address and key; it sends nothing.
func newClient(address, key string) (*client, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, usage("the API's address must be like https://tenderline.example (--api or TENDERLINE_API_URL)")
	}
	if key == "" {
		return nil, usage("an API key is needed: set TENDERLINE_API_KEY")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	return &client{base: base, key: key, http: &http.Client{
		// A redirect would carry the key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// answer is what the API said: as it stands for programs, decoded for people.
type answer[T any] struct {
	raw   json.RawMessage
	value T
}

// MarshalJSON gives what the API said, fields that this program does not know included.
func (a answer[T]) MarshalJSON() ([]byte, error) { return a.raw, nil }

// order is an order as the API shows it. Amounts are decimals in the order's currency.
type order struct {
	OrderID        string            `json:"orderId"`
	Channel        string            `json:"channel"`
	Status         string            `json:"status"`
	PaymentStatus  string            `json:"paymentStatus"`
	Reason         string            `json:"reason"`
	NeedsAttention bool              `json:"needsAttention"`
	Currency       string            `json:"currency"`
	Total          string            `json:"total"`
	Erp            string            `json:"erp"`
	ErpOrderNumber string            `json:"erpOrderNumber"`
	ErpInvoice     string            `json:"erpInvoice"`
	CustomerCode   string            `json:"customerCode"`
	ReceivedAt     time.Time         `json:"receivedAt"`
	UpdatedAt      time.Time         `json:"updatedAt"`
	Payment        *payment          `json:"payment"`
	Timeline       []event           `json:"timeline"`
	Refunds        []refund          `json:"refunds"`
	Links          map[string]string `json:"links"`
}

type payment struct {
	Status          string `json:"status"`
	AuthorizationID string `json:"authorizationId"`
	CaptureID       string `json:"captureId"`
	Authorized      string `json:"authorized"`
	Captured        string `json:"captured"`
	Refunded        string `json:"refunded"`
	CardType        string `json:"cardType"`
	CardSuffix      string `json:"cardSuffix"`
	ApprovalCode    string `json:"approvalCode"`
	Reason          string `json:"reason"`
}

type event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Summary string    `json:"summary"`
	Actor   string    `json:"actor"`
}

// orderPage is a part of a list; next is the cursor of the following one, "" at the end.
type orderPage struct {
	Orders []order `json:"orders"`
	Next   string  `json:"next"`
}

type cancelled struct {
	OrderID string `json:"orderId"`
	Status  string `json:"status"`
}

type attempted struct {
	OrderID string `json:"orderId"`
	Attempt int    `json:"attempt"`
}

// refund is money that goes back, as the API shows it. Amounts are decimals in Currency.
type refund struct {
	OrderID       string       `json:"orderId"`
	RefundID      string       `json:"refundId"`
	Status        string       `json:"status"`
	Amount        string       `json:"amount"`
	Currency      string       `json:"currency"`
	Net           string       `json:"net"`
	Tax           string       `json:"tax"`
	Shipping      string       `json:"shipping"`
	Lines         []refundLine `json:"lines"`
	Way           string       `json:"way"`
	Restock       bool         `json:"restock"`
	Reason        string       `json:"reason"`
	Origin        string       `json:"origin"`
	Actor         string       `json:"actor"`
	CancelsOrder  bool         `json:"cancelsOrder"`
	TransactionID string       `json:"transactionId"`
	ErpCreditMemo string       `json:"erpCreditMemo"`
	ErpRefund     string       `json:"erpRefund"`
	Why           string       `json:"why"`
	CreatedAt     time.Time    `json:"createdAt"`
	UpdatedAt     time.Time    `json:"updatedAt"`
}

type refundLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity string `json:"quantity"`
	Net      string `json:"net"`
	Tax      string `json:"tax"`
}

type refundPage struct {
	Refunds []refund `json:"refunds"`
}

// refundWish is the body that asks for a refund; without amount and lines all that is left is meant.
type refundWish struct {
	RefundID string       `json:"refundId"`
	Amount   string       `json:"amount,omitempty"`
	Lines    []wishedLine `json:"lines,omitempty"`
	Shipping string       `json:"shipping,omitempty"`
	Restock  bool         `json:"restock,omitempty"`
	Reason   string       `json:"reason,omitempty"`
}

type wishedLine struct {
	Line     int    `json:"line"`
	Quantity string `json:"quantity"`
}

// audited is one thing that was done to an order.
type audited struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Summary string    `json:"summary"`
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason"`
	Call    *struct {
		OperationKey  string `json:"operationKey"`
		CorrelationID string `json:"correlationId"`
	} `json:"call"`
}

type auditTrail struct {
	OrderID string    `json:"orderId"`
	Entries []audited `json:"entries"`
}

// review is an order that waits for a verdict, or has had one.
type review struct {
	OrderID     string    `json:"orderId"`
	Channel     string    `json:"channel"`
	State       string    `json:"state"`
	Currency    string    `json:"currency"`
	Total       string    `json:"total"`
	Score       string    `json:"score"`
	OrderStatus string    `json:"orderStatus"`
	Since       time.Time `json:"since"`
	RemindedAt  time.Time `json:"remindedAt"`
	EscalatedAt time.Time `json:"escalatedAt"`
	Deadline    time.Time `json:"deadline"`
	Default     string    `json:"default"`
	Decision    string    `json:"decision"`
	Actor       string    `json:"actor"`
	Source      string    `json:"source"`
	Comment     string    `json:"comment"`
	DecidedAt   time.Time `json:"decidedAt"`
}

type reviewPage struct {
	Reviews []review `json:"reviews"`
	Next    string   `json:"next"`
}

// reviewCase is all that a person needs to decide.
type reviewCase struct {
	Review    review      `json:"review"`
	Risk      caseRisk    `json:"risk"`
	PaymentID string      `json:"paymentId"`
	Order     caseOrder   `json:"order"`
	Match     caseMatch   `json:"match"`
	History   caseHistory `json:"history"`
	Notes     []caseNote  `json:"notes"`
}

type caseRisk struct {
	Score     string              `json:"score"`
	Factors   []string            `json:"factors"`
	Model     string              `json:"model"`
	Profile   string              `json:"profile"`
	Queue     string              `json:"queue"`
	Priority  string              `json:"priority"`
	Rules     []caseRule          `json:"rules"`
	Velocity  []string            `json:"velocity"`
	InfoCodes map[string][]string `json:"infoCodes"`
	AVS       string              `json:"avs"`
	CVN       string              `json:"cvn"`
}

type caseRule struct {
	Name     string `json:"name"`
	Decision string `json:"decision"`
}

type caseOrder struct {
	PlacedAt            time.Time         `json:"placedAt"`
	Customer            caseCustomer      `json:"customer"`
	BillTo              caseAddress       `json:"billTo"`
	ShipTo              caseAddress       `json:"shipTo"`
	Lines               []caseLine        `json:"lines"`
	CardType            string            `json:"cardType"`
	CardSuffix          string            `json:"cardSuffix"`
	Device              *caseDevice       `json:"device"`
	MerchantDefinedData map[string]string `json:"merchantDefinedData"`
}

type caseCustomer struct {
	ID        string `json:"id"`
	Company   string `json:"company"`
	Email     string `json:"email"`
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Phone     string `json:"phone"`
}

type caseAddress struct {
	Name       string `json:"name"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	Region     string `json:"region"`
	PostalCode string `json:"postalCode"`
	Country    string `json:"country"`
}

type caseLine struct {
	Line        int    `json:"line"`
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Quantity    string `json:"quantity"`
	UnitPrice   string `json:"unitPrice"`
}

type caseDevice struct {
	IPAddress            string `json:"ipAddress"`
	FingerprintSessionID string `json:"fingerprintSessionId"`
	UserAgent            string `json:"userAgent"`
}

type caseMatch struct {
	Same    bool     `json:"same"`
	Differs []string `json:"differs"`
}

type caseHistory struct {
	Orders      int         `json:"orders"`
	Confirmed   int         `json:"confirmed"`
	Declined    int         `json:"declined"`
	Rejected    int         `json:"rejected"`
	Refunded    int         `json:"refunded"`
	ChargedBack int         `json:"chargedBack"`
	First       time.Time   `json:"first"`
	Spent       []string    `json:"spent"`
	Recent      []pastOrder `json:"recent"`
}

type pastOrder struct {
	OrderID       string    `json:"orderId"`
	Status        string    `json:"status"`
	PaymentStatus string    `json:"paymentStatus"`
	Total         string    `json:"total"`
	Currency      string    `json:"currency"`
	ReceivedAt    time.Time `json:"receivedAt"`
}

type caseNote struct {
	At       time.Time `json:"at"`
	Note     string    `json:"note"`
	Decision string    `json:"decision"`
	Actor    string    `json:"actor"`
	Source   string    `json:"source"`
	Comment  string    `json:"comment"`
	Rule     string    `json:"rule"`
}

// decided is the verdict that holds; late: another one had been given before.
type decided struct {
	OrderID    string `json:"orderId"`
	Decision   string `json:"decision"`
	Actor      string `json:"actor"`
	Late       bool   `json:"late"`
	LateReject bool   `json:"lateReject"` // a refund is proposed
}

// correction is what retry_with changes. Keys are JSON pointers.
type correction struct {
	Order    map[string]any `json:"order,omitempty"`
	Document map[string]any `json:"document,omitempty"`
	Date     string         `json:"date,omitempty"`
}

// resolution is the body that answers a parked item.
type resolution struct {
	Resolution string      `json:"resolution"`
	Reason     string      `json:"reason,omitempty"`
	Reference  string      `json:"reference,omitempty"`
	Correction *correction `json:"correction,omitempty"`
}

// fix is what may mend a parked item.
type fix struct {
	Text       string          `json:"text"`
	Evidence   string          `json:"evidence"`
	Resolution string          `json:"resolution"`
	Correction json.RawMessage `json:"correction"`
}

// parked is a step that waits for a person.
type parked struct {
	ID         string          `json:"id"`
	OrderID    string          `json:"orderId"`
	WorkflowID string          `json:"workflowId"`
	Step       string          `json:"step"`
	Class      string          `json:"class"`
	System     string          `json:"system"`
	Summary    string          `json:"summary"`
	Suggestion string          `json:"suggestion"`
	Fixes      []fix           `json:"fixes"`
	Sent       json.RawMessage `json:"sent"`
	Answer     json.RawMessage `json:"answer"`
	Actions    []string        `json:"actions"`
	Since      time.Time       `json:"since"`
	Deadline   time.Time       `json:"deadline"`
	State      string          `json:"state"`
	Resolution string          `json:"resolution"`
	Actor      string          `json:"actor"`
	Reason     string          `json:"reason"`
	ResolvedAt time.Time       `json:"resolvedAt"`
}

type parkedPage struct {
	Items []parked `json:"items"`
	Next  string   `json:"next"`
}

type resolved struct {
	ID         string `json:"id"`
	Resolution string `json:"resolution"`
	RefundID   string `json:"refundId"`
	Why        string `json:"why"`
}

// bulk is the body that retries many parked items.
type bulk struct {
	Class  string `json:"class,omitempty"`
	System string `json:"system,omitempty"`
	Step   string `json:"step,omitempty"`
	Reason string `json:"reason,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

type retried struct {
	Resolved int           `json:"resolved"`
	Refused  int           `json:"refused"`
	More     bool          `json:"more"`
	Items    []retriedItem `json:"items"`
}

type retriedItem struct {
	ID       string `json:"id"`
	OrderID  string `json:"orderId"`
	Step     string `json:"step"`
	Resolved bool   `json:"resolved"`
	Why      string `json:"why"`
}

// inboxEvent is an event that came from outside.
type inboxEvent struct {
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	EventType   string    `json:"eventType"`
	ResourceID  string    `json:"resourceId"`
	OrderID     string    `json:"orderId"`
	State       string    `json:"state"`
	Tries       int       `json:"tries"`
	Reason      string    `json:"reason"`
	ReceivedAt  time.Time `json:"receivedAt"`
	AttentionID string    `json:"attentionId"`
}

type inboxPage struct {
	Events []inboxEvent `json:"events"`
	Next   string       `json:"next"`
}

// submitOrder sends an order document as it stands. With a wait the API answers once the payment's outcome is known, if that is in time.
func (c *client) submitOrder(ctx context.Context, document []byte, wait time.Duration) (answer[order], error) {
	return send[order](ctx, c, request{method: http.MethodPost, path: []string{"orders"}, body: document, wait: wait})
}

func (c *client) order(ctx context.Context, id string) (answer[order], error) {
	return fetch[order](ctx, c, nil, "orders", id)
}

func (c *client) orders(ctx context.Context, query url.Values) (answer[orderPage], error) {
	return fetch[orderPage](ctx, c, query, "orders")
}

func (c *client) cancelOrder(ctx context.Context, id, reason string) (answer[cancelled], error) {
	return post[cancelled](ctx, c, map[string]string{"reason": reason}, "orders", id, "cancel")
}

// newToken gives a declined order another card.
func (c *client) newToken(ctx context.Context, id string, token canonical.Token) (answer[attempted], error) {
	body, err := json.Marshal(map[string]canonical.Token{"token": token})
	if err != nil {
		return answer[attempted]{}, err
	}
	return send[attempted](ctx, c, request{method: http.MethodPost, path: []string{"orders", id, "payment"}, body: body, inside: "payment"})
}

// requestRefund asks for a refund. With a wait the API answers once it has ended, if that is in time.
func (c *client) requestRefund(ctx context.Context, orderID string, wish refundWish, wait time.Duration) (answer[refund], error) {
	body, err := json.Marshal(wish)
	if err != nil {
		return answer[refund]{}, err
	}
	return send[refund](ctx, c, request{method: http.MethodPost, path: []string{"orders", orderID, "refunds"}, body: body, wait: wait})
}

func (c *client) refund(ctx context.Context, orderID, refundID string) (answer[refund], error) {
	return fetch[refund](ctx, c, nil, "orders", orderID, "refunds", refundID)
}

func (c *client) refunds(ctx context.Context, orderID string) (answer[refundPage], error) {
	return fetch[refundPage](ctx, c, nil, "orders", orderID, "refunds")
}

func (c *client) audit(ctx context.Context, orderID string) (answer[auditTrail], error) {
	return fetch[auditTrail](ctx, c, nil, "orders", orderID, "audit")
}

func (c *client) reviews(ctx context.Context, query url.Values) (answer[reviewPage], error) {
	return fetch[reviewPage](ctx, c, query, "fraud-reviews")
}

func (c *client) review(ctx context.Context, orderID string) (answer[reviewCase], error) {
	return fetch[reviewCase](ctx, c, nil, "fraud-reviews", orderID)
}

func (c *client) decide(ctx context.Context, orderID string, decision canonical.FraudDecision, comment string, mark bool) (answer[decided], error) {
	body := struct {
		Decision canonical.FraudDecision `json:"decision"`
		Comment  string                  `json:"comment"`
		Mark     bool                    `json:"markCustomer,omitempty"`
	}{decision, comment, mark}
	return post[decided](ctx, c, body, "fraud-reviews", orderID, "decision")
}

func (c *client) attentions(ctx context.Context, query url.Values) (answer[parkedPage], error) {
	return fetch[parkedPage](ctx, c, query, "attention")
}

func (c *client) attention(ctx context.Context, id string) (answer[parked], error) {
	return fetch[parked](ctx, c, nil, "attention", id)
}

// resolve answers a parked item. What stands for a stock code in a correction may look like one of an order.
func (c *client) resolve(ctx context.Context, id string, with resolution) (answer[resolved], error) {
	body, err := json.Marshal(with)
	if err != nil {
		return answer[resolved]{}, err
	}
	return send[resolved](ctx, c, request{
		method: http.MethodPost, path: []string{"attention", id, "resolve"}, body: body, cards: webhook.FindCardsInCorrection,
	})
}

func (c *client) retryAll(ctx context.Context, what bulk) (answer[retried], error) {
	return post[retried](ctx, c, what, "attention", "retry")
}

func (c *client) inbox(ctx context.Context, query url.Values) (answer[inboxPage], error) {
	return fetch[inboxPage](ctx, c, query, "inbox")
}

// resolveEvent replays or dismisses an event.
func (c *client) resolveEvent(ctx context.Context, id, verb, reason string) (answer[resolved], error) {
	return post[resolved](ctx, c, map[string]string{"reason": reason}, "inbox", id, verb)
}

// request is one call of the API.
type request struct {
	method string
	path   []string // segments below /v1
	query  url.Values
	body   []byte
	inside string                                // place of the body within an order document, whose rules for card numbers hold for it
	cards  func(body []byte) []canonical.Finding // finds card numbers by the rules of this body; nil: by those of every body
	wait   time.Duration
}

func fetch[T any](ctx context.Context, c *client, query url.Values, path ...string) (answer[T], error) {
	return send[T](ctx, c, request{method: http.MethodGet, path: path, query: query})
}

func post[T any](ctx context.Context, c *client, body any, path ...string) (answer[T], error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer[T]{}, err
	}
	return send[T](ctx, c, request{method: http.MethodPost, path: path, body: text})
}

// send makes a call, unless a card number is in it.
func send[T any](ctx context.Context, c *client, r request) (answer[T], error) {
	if err := r.refuseCards(); err != nil {
		return answer[T]{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.wait+requestTimeout)
	defer cancel()
	response, err := c.do(ctx, r)
	if err != nil {
		return answer[T]{}, err
	}
	a := answer[T]{raw: response}
	if err := json.Unmarshal(response, &a.value); err != nil {
		return answer[T]{}, errors.New("the API's answer can't be read: is this the address of Tenderline's API?")
	}
	return a, nil
}

// refuseCards tells where card numbers stand, never what they are.
func (r request) refuseCards() error {
	for _, segment := range r.path {
		if canonical.HoldsCardNumber(segment) {
			return refused(errors.New("an argument has the shape of a card number; nothing was sent"))
		}
	}
	for _, values := range r.query {
		for _, value := range values {
			if canonical.HoldsCardNumber(value) {
				return refused(errors.New("an option has the shape of a card number; nothing was sent"))
			}
		}
	}
	if r.body == nil {
		return nil
	}
	found, _ := canonical.FindCardNumbers(r.body) // what is not JSON is searched as text; the API refuses it
	if len(found) > 0 && r.cards != nil {
		found = r.cards(r.body)
	}
	place := ""
	if len(found) > 0 && r.inside != "" {
		place = "/" + r.inside
		found, _ = canonical.FindCardNumbers(fmt.Appendf(nil, `{%q:%s}`, r.inside, r.body))
	}
	if len(found) == 0 && !json.Valid(r.body) && canonical.HoldsCardNumber(string(r.body)) {
		found = []canonical.Finding{{}} // values in a row, of which each is JSON by itself
	}
	if len(found) == 0 {
		return nil
	}
	lines := []string{"card numbers are not taken, send a token; nothing was sent"}
	for _, finding := range found {
		lines = append(lines, "  "+pointerOf(strings.TrimPrefix(finding.Pointer, place))+" holds what has the shape of a card number")
	}
	return refused(errors.New(strings.Join(lines, "\n")))
}

func (c *client) do(ctx context.Context, r request) ([]byte, error) {
	response, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	switch {
	case err != nil:
		return nil, &failure{ExitUnavailable, fmt.Errorf("the API's answer broke off: %w", err)}
	case len(body) > answerLimit:
		return nil, errors.New("the API's answer is too long")
	default:
		return body, nil
	}
}

// open makes a call and gives its answer, whose body is to be closed. A refusal is an error.
func (c *client) open(ctx context.Context, r request) (*http.Response, error) {
	address := c.base.JoinPath("v1")
	for _, segment := range r.path {
		if segment == "" || segment == "." || segment == ".." { // which would lead to another resource
			return nil, usage("%q is no id", segment)
		}
		address = address.JoinPath(url.PathEscape(segment))
	}
	address.RawQuery = r.query.Encode()
	call, err := http.NewRequestWithContext(ctx, r.method, address.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	call.Header.Set("Authorization", "Bearer "+c.key)
	call.Header.Set("Accept", "application/json")
	call.Header.Set("User-Agent", "tenderline-cli")
	if r.body != nil {
		call.Header.Set("Content-Type", "application/json")
	}
	if r.wait > 0 {
		call.Header.Set("Prefer", "wait="+strconv.Itoa(int((r.wait+time.Second-1)/time.Second)))
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, &failure{ExitUnavailable, unreachable(err)}
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, &failure{ExitUnavailable, fmt.Errorf("the API's answer broke off: %w", err)}
	}
	return nil, problemOf(response, body)
}

// downloadTimeout bounds the saving of a file.
const downloadTimeout = 10 * time.Minute

// download copies a file of the API.
func (c *client) download(ctx context.Context, into io.Writer, query url.Values, path ...string) error {
	r := request{method: http.MethodGet, path: path, query: query}
	if err := r.refuseCards(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	response, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(into, response.Body); err != nil {
		return &failure{ExitUnavailable, fmt.Errorf("save the file: %w", err)}
	}
	return nil
}

// unreachable leaves out the address's path, which url.Error would repeat.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the API does not answer in time; repeat the command, it is safe to")
	}
	return fmt.Errorf("reach the API: %w (--api or TENDERLINE_API_URL)", err)
}

// problem is a refusal of the API (RFC 9457).
type problem struct {
	Title     string `json:"title"`
	Detail    string `json:"detail"`
	RequestID string `json:"requestId"`
	Errors    []struct {
		Pointer string `json:"pointer"`
		Rule    string `json:"rule"`
		Message string `json:"message"`
	} `json:"errors"`
}

// problemOf reads a refusal: a line, and one more for each field.
func problemOf(response *http.Response, body []byte) error {
	code := ExitRefused
	switch {
	case response.StatusCode >= http.StatusInternalServerError, response.StatusCode == http.StatusTooManyRequests:
		code = ExitUnavailable
	case response.StatusCode < http.StatusBadRequest:
		return errors.New("the API answers with a redirect, which is not followed: correct --api or TENDERLINE_API_URL")
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" {
		return &failure{code, fmt.Errorf("the API answers %s", response.Status)}
	}
	text := fmt.Sprintf("%s (%d)", p.Title, response.StatusCode)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if code == ExitUnavailable {
		if pause := response.Header.Get("Retry-After"); pause != "" {
			text += "; repeat it after " + pause + " s"
		}
		if p.RequestID != "" {
			text += "; request id " + p.RequestID
		}
	}
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s %s (%s)", pointerOf(e.Pointer), e.Message, e.Rule)
	}
	return &failure{code, errors.New(text)}
}

// pointerOf names a place in a document; "" is all of it.
func pointerOf(pointer string) string {
	if pointer == "" {
		return "the document"
	}
	return pointer
}
