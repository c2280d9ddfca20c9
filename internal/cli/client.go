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

// review is an order that waits for a verdict.
type review struct {
	OrderID        string    `json:"orderId"`
	Channel        string    `json:"channel"`
	Currency       string    `json:"currency"`
	Total          string    `json:"total"`
	Reason         string    `json:"reason"`
	NeedsAttention bool      `json:"needsAttention"`
	ReceivedAt     time.Time `json:"receivedAt"`
}

type reviewPage struct {
	Reviews []review `json:"reviews"`
	Next    string   `json:"next"`
}

// decided is the verdict that holds; late: another one had been given before.
type decided struct {
	OrderID  string `json:"orderId"`
	Decision string `json:"decision"`
	Actor    string `json:"actor"`
	Late     bool   `json:"late"`
}

// parked is a step that waits for a person.
type parked struct {
	ID         string          `json:"id"`
	OrderID    string          `json:"orderId"`
	WorkflowID string          `json:"workflowId"`
	Step       string          `json:"step"`
	Class      string          `json:"class"`
	Summary    string          `json:"summary"`
	Suggestion string          `json:"suggestion"`
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
}

// submitOrder sends an order document as it stands. With a wait the API answers once the payment's outcome is known, if that is in time.
func (c *client) submitOrder(ctx context.Context, document []byte, wait time.Duration) (answer[order], error) {
	return send[order](ctx, c, request{method: http.MethodPost, path: []string{"orders"}, body: document, wait: wait})
}

func (c *client) order(ctx context.Context, id string) (answer[order], error) {
	return send[order](ctx, c, request{method: http.MethodGet, path: []string{"orders", id}})
}

func (c *client) orders(ctx context.Context, query url.Values) (answer[orderPage], error) {
	return send[orderPage](ctx, c, request{method: http.MethodGet, path: []string{"orders"}, query: query})
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

func (c *client) reviews(ctx context.Context, query url.Values) (answer[reviewPage], error) {
	return send[reviewPage](ctx, c, request{method: http.MethodGet, path: []string{"fraud-reviews"}, query: query})
}

func (c *client) decide(ctx context.Context, id string, decision canonical.FraudDecision, comment string) (answer[decided], error) {
	return post[decided](ctx, c, map[string]string{"decision": string(decision), "comment": comment}, "fraud-reviews", id, "decision")
}

func (c *client) attentions(ctx context.Context, query url.Values) (answer[parkedPage], error) {
	return send[parkedPage](ctx, c, request{method: http.MethodGet, path: []string{"attention"}, query: query})
}

func (c *client) attention(ctx context.Context, id string) (answer[parked], error) {
	return send[parked](ctx, c, request{method: http.MethodGet, path: []string{"attention", id}})
}

func (c *client) resolve(ctx context.Context, id, resolution, reason string) (answer[resolved], error) {
	return post[resolved](ctx, c, map[string]string{"resolution": resolution, "reason": reason}, "attention", id, "resolve")
}

// request is one call of the API.
type request struct {
	method string
	path   []string // segments below /v1
	query  url.Values
	body   []byte
	inside string // place of the body within an order document, whose rules for card numbers hold for it
	wait   time.Duration
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
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	switch {
	case err != nil:
		return nil, &failure{ExitUnavailable, fmt.Errorf("the API's answer broke off: %w", err)}
	case len(body) > answerLimit:
		return nil, errors.New("the API's answer is too long")
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, problemOf(response, body)
	default:
		return body, nil
	}
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
