// Package world drives a running stack from outside, as a shop, an analyst and an operator would: it posts orders, makes browser tokens,
// breaks the sandboxes, and reads their ledgers.
package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tenderline/tenderline/internal/outbound"
)

// World is what stands around Tenderline, by address.
type World struct {
	API, Gateway, Shop string
	ERP                ERP   // whose books are read, and whose people act
	ERPs               []ERP // all that run, that one too
	Client             *http.Client
}

// Keys of the embedded run.
const (
	Shop     = "dev-shop"
	Analyst  = "dev-analyst"
	Operator = "dev-operator"
	Finance  = "dev-finance"
)

// Answer is an HTTP answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the body as JSON.
func (a Answer) Decode(into any) error { return json.Unmarshal(a.Body, into) }

// Call sends a request; body may be nil, bytes as they are, or a value to encode.
func (w *World) Call(ctx context.Context, method, address, key string, body any, headers ...string) (Answer, error) {
	content, err := encoded(body)
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := w.Client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	return Answer{Status: response.StatusCode, Header: response.Header, Body: answer}, err
}

func encoded(body any) ([]byte, error) {
	switch content := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return content, nil
	default:
		return json.Marshal(content)
	}
}

// want calls and expects one of the statuses.
func (w *World) want(ctx context.Context, method, address, key string, body, into any, statuses ...int) error {
	answer, err := w.Call(ctx, method, address, key, body)
	if err != nil {
		return err
	}
	return answer.expect(method+" "+address, into, statuses)
}

// expect reads an answer that has one of the statuses.
func (a Answer) expect(call string, into any, statuses []int) error {
	switch {
	case !slices.Contains(statuses, a.Status):
		return fmt.Errorf("%s: %d %s", call, a.Status, bytes.TrimSpace(a.Body))
	case into == nil:
		return nil
	default:
		return a.Decode(into)
	}
}

// patience is how long a call that is safe to repeat is repeated, and shortestPause what lies between at least.
const (
	patience      = 90 * time.Second
	shortestPause = 200 * time.Millisecond
)

// Repeat calls until the answer is another one than that the call be repeated: 503 or 429 with the pause after which, or none in time. Every call of the API
// that changes something is safe to repeat; its clients are to do so.
func (w *World) Repeat(ctx context.Context, call func(ctx context.Context) (Answer, error)) (Answer, error) {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		answer, err := call(patient)
		if !repeatable(answer, err) {
			return answer, err
		}
		select {
		case <-patient.Done():
			return answer, err
		case <-time.After(max(shortestPause, outbound.RetryAfter(answer.Header, time.Now()))):
		}
	}
}

// repeatable tells of an answer that asks for a repeat, or of none in time.
func repeatable(answer Answer, err error) bool {
	if err != nil {
		var network net.Error
		return errors.As(err, &network) && network.Timeout()
	}
	return (answer.Status == http.StatusServiceUnavailable || answer.Status == http.StatusTooManyRequests) && answer.Header.Get("Retry-After") != ""
}

// safely is want for a call that is safe to repeat.
func (w *World) safely(ctx context.Context, method, address, key string, body, into any, statuses ...int) error {
	answer, err := w.Repeat(ctx, func(ctx context.Context) (Answer, error) { return w.Call(ctx, method, address, key, body) })
	if err != nil {
		return err
	}
	return answer.expect(method+" "+address, into, statuses)
}

// Token makes a browser token that leads to the scenario.
func (w *World) Token(ctx context.Context, scenario string) (string, error) {
	var token struct {
		Token string `json:"transientTokenJwt"`
	}
	err := w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/tokens", "", map[string]any{"scenario": scenario}, &token, http.StatusOK, http.StatusCreated)
	return token.Token, err
}

// Fault breaks a route of a sandbox.
type Fault struct {
	Route   string  `json:"route"`
	Mode    string  `json:"mode"`
	Status  int     `json:"status,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	DelayMs int     `json:"delayMs,omitempty"`
	Rate    float64 `json:"rate,omitempty"`
	Times   int     `json:"times,omitempty"`
	Skip    int     `json:"skip,omitempty"` // so many transactions pass first; only databases know it
}

// Break sets a fault at a sandbox (w.Gateway, w.ERP.URL or w.Shop).
func (w *World) Break(ctx context.Context, sandbox string, fault Fault) error {
	return w.want(ctx, http.MethodPost, sandbox+"/_sandbox/faults", "", fault, nil, http.StatusOK, http.StatusCreated, http.StatusNoContent)
}

// Release ends the faults of a sandbox that were set with exactly this route: who waits because of one goes on.
func (w *World) Release(ctx context.Context, sandbox, route string) error {
	return w.want(ctx, http.MethodDelete, sandbox+"/_sandbox/faults?route="+url.QueryEscape(route), "", nil, nil, http.StatusNoContent)
}

// Mend ends every fault of a sandbox, and the waits in them.
func (w *World) Mend(ctx context.Context, sandbox string) error {
	return w.want(ctx, http.MethodDelete, sandbox+"/_sandbox/faults", "", nil, nil, http.StatusOK, http.StatusNoContent)
}

// OrderView is an order as the API shows it.
type OrderView struct {
	OrderID        string `json:"orderId"`
	Status         string `json:"status"`
	PaymentStatus  string `json:"paymentStatus"`
	NeedsAttention bool   `json:"needsAttention"`
	Reason         string `json:"reason"`
	ErpOrderNumber string `json:"erpOrderNumber"`
	ErpInvoice     string `json:"erpInvoice"`
	Timeline       []struct {
		Kind    string `json:"kind"`
		Summary string `json:"summary"`
	} `json:"timeline"`
}

// Final tells whether the order has ended.
func (v OrderView) Final() bool {
	switch v.Status {
	case "confirmed", "shipped", "declined", "rejected", "cancelled", "compensated":
		return true
	default:
		return false
	}
}

// Order reads an order.
func (w *World) Order(ctx context.Context, id string) (OrderView, error) {
	var view OrderView
	err := w.safely(ctx, http.MethodGet, w.API+"/v1/orders/"+url.PathEscape(id), Shop, nil, &view, http.StatusOK)
	return view, err
}

// Submit posts an order and gives the answer whatever it is.
func (w *World) Submit(ctx context.Context, order map[string]any, headers ...string) (Answer, error) {
	return w.Call(ctx, http.MethodPost, w.API+"/v1/orders", Shop, order, headers...)
}

// Await reads an order until the condition holds.
func (w *World) Await(ctx context.Context, id string, within time.Duration, condition func(OrderView) bool) (OrderView, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last OrderView
	for {
		view, err := w.Order(ctx, id)
		if err == nil {
			last = view
			if condition(view) {
				return view, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("order %s is %s (payment %s, attention %t) after %s", id, last.Status, last.PaymentStatus, last.NeedsAttention, within)
		case <-ticker.C:
		}
	}
}

// AwaitEnd reads an order until it has ended.
func (w *World) AwaitEnd(ctx context.Context, id string, within time.Duration) (OrderView, error) {
	return w.Await(ctx, id, within, OrderView.Final)
}

// Decide decides a held order as an analyst.
func (w *World) Decide(ctx context.Context, id, decision string) error {
	_, err := w.Judge(ctx, Analyst, id, Verdict{Decision: decision, Comment: "looked at it"})
	return err
}

// Cancel wishes an order cancelled.
func (w *World) Cancel(ctx context.Context, id string) error {
	return w.safely(ctx, http.MethodPost, w.API+"/v1/orders/"+url.PathEscape(id)+"/cancel", Shop, map[string]string{"reason": "changed my mind"}, nil,
		http.StatusOK, http.StatusAccepted)
}

// Pay gives a declined order another token.
func (w *World) Pay(ctx context.Context, id, token string) error {
	body := map[string]any{"token": map[string]string{"type": "transient", "value": token}}
	return w.safely(ctx, http.MethodPost, w.API+"/v1/orders/"+url.PathEscape(id)+"/payment", Shop, body, nil, http.StatusOK, http.StatusAccepted)
}

// Books is what an ERP's ledger says of an order.
type Books struct {
	Status      string // of the first sales order, as it means here
	SalesOrders []map[string]any
	Invoices    []map[string]any
	Payments    []map[string]any
	CreditMemos []map[string]any
}

// Books reads an order's documents from the ERP's ledger.
func (w *World) Books(ctx context.Context, order string) (Books, error) {
	var ledger map[string][]map[string]any
	if err := w.want(ctx, http.MethodGet, w.ERP.URL+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return Books{}, err
	}
	var b Books
	numbers := map[any]bool{}
	for _, document := range ledger["salesOrders"] {
		if document["OrderNumber"] == order {
			b.SalesOrders = append(b.SalesOrders, document)
			numbers[document["SalesOrder"]] = true
		}
	}
	if len(b.SalesOrders) > 0 {
		status, _ := b.SalesOrders[0]["OrderStatus"].(string)
		b.Status = w.ERP.Means(status)
	}
	invoices := map[any]bool{}
	for _, document := range ledger["invoices"] {
		if numbers[document["SalesOrder"]] {
			b.Invoices = append(b.Invoices, document)
			invoices[document["InvoiceNumber"]] = true
		}
	}
	for _, document := range ledger["payments"] {
		if document["Narration"] == order || document["OrderNumber"] == order {
			b.Payments = append(b.Payments, document)
		}
	}
	for _, document := range ledger["creditMemos"] {
		if invoices[document["OriginalInvoice"]] {
			b.CreditMemos = append(b.CreditMemos, document)
		}
	}
	return b, nil
}

// Told are the events that the shop was told of an order, in order.
func (w *World) Told(ctx context.Context, order string) ([]string, error) {
	var ledger struct {
		Callbacks []struct {
			Event    string `json:"event"`
			OrderID  string `json:"orderId"`
			Verified bool   `json:"verified"`
		} `json:"callbacks"`
	}
	if err := w.want(ctx, http.MethodGet, w.Shop+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return nil, err
	}
	events := []string{}
	for _, callback := range ledger.Callbacks {
		if callback.OrderID == order && callback.Verified {
			events = append(events, callback.Event)
		}
	}
	return events, nil
}

// NewOrder is an order of two widgets for 48.19 USD; change what a sample is about.
func NewOrder(id, token string) map[string]any {
	address := map[string]any{"name": "Ada Park", "line1": "1 Market St", "city": "San Francisco", "region": "CA", "postalCode": "94105", "country": "US"}
	return map[string]any{
		"orderId": id, "channel": "web-us", "placedAt": time.Now().UTC().Format(time.RFC3339), "currency": "USD", "customerPoNumber": "",
		"customer": map[string]any{"id": "C-2001", "erpCode": "", "company": "", "email": "ada@example.com", "firstName": "Ada", "lastName": "Park", "phone": "+1 415 555 0100"},
		"billTo":   address, "shipTo": address,
		"lines":    []any{map[string]any{"sku": "A100", "description": "Widget", "quantity": "2", "unitPrice": "19.95", "discount": "0.00", "tax": "3.29"}},
		"shipping": "5.00", "discount": "0.00", "total": "48.19",
		"payment":             map[string]any{"token": map[string]any{"type": "transient", "value": token}, "capture": "immediate", "saveCard": false},
		"device":              map[string]any{"ipAddress": "203.0.113.7", "fingerprintSessionId": "", "userAgent": ""},
		"merchantDefinedData": map[string]any{"1": "web", "2": "gold"}, "custom": map[string]any{"crmAccount": "0015"},
	}
}
