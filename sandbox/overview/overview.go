// Package overview is the one page that shows, per order and side by side, what the shop was told, what the gateway
// did and what the ERP booked that has the order. It reads the ledgers over HTTP, so that it shows what any client would find.
package overview

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

const (
	fetchTimeout = 5 * time.Second
	maxLedger    = 256 << 20
	shownOrders  = 100
)

//go:embed page.html
var pageHTML string

// Sandboxes are what the page reads: the roots of the sandboxes' addresses.
type Sandboxes struct {
	Gateway, Shop string
	ERPs          []ERP
}

// ERP is the sandbox of one ERP.
type ERP struct {
	Name string // for people
	URL  string
}

// Handler serves the page. A nil client gets a time-out of 5 s. A sandbox that doesn't answer is named on the page, the
// others still show. ?order= shows one order.
func Handler(sandboxes Sandboxes, client *http.Client) http.Handler {
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout}
	}
	page := template.Must(template.New("page").Parse(pageHTML))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), fetchTimeout)
		defer cancel()
		view := read(ctx, client, sandboxes)
		view.choose(r.URL.Query().Get("order"))
		var body bytes.Buffer
		if err := page.Execute(&body, view); err != nil {
			http.Error(w, "render page", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		_, _ = w.Write(body.Bytes()) // nobody is left to tell when the reader went
	})
}

// view is what the page shows.
type view struct {
	Orders   []*order
	Total    int // before the cut
	Filter   string
	Problems []string
}

// order is one row: three columns and the sums that have to be right.
type order struct {
	ID           string
	Callbacks    []callback
	Transactions []transaction
	Books        []*books // of each ERP that has something of it
	Sums         []sums   // per currency
	last         time.Time
}

// sums is the money of an order at the gateway.
type sums struct {
	Currency                 string
	Captured, Refunded, Held decimal.Decimal
}

type callback struct {
	ID         string    `json:"id"`
	Event      string    `json:"event"`
	OrderID    string    `json:"orderId"`
	Deliveries int       `json:"deliveries"`
	Verified   bool      `json:"verified"`
	At         time.Time `json:"at"`
}

type transaction struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	Amount    decimal.Decimal `json:"amount"`
	Currency  string          `json:"currency"`
	Reference string          `json:"reference"`
	RelatedID string          `json:"relatedId"`
	At        time.Time       `json:"at"`
}

// books are what one ERP has of an order.
type books struct {
	ERP       string
	Documents []document
}

// document is one line of the ERP column.
type document struct {
	Kind, Number, Status, Amount, Note string
}

type erpLedger struct {
	name string // of the ERP

	SalesOrders []struct {
		SalesOrder, OrderNumber, CustomerCode, OrderStatus, OrderStatusDescription, Currency string
		OrderTotal                                                                           json.Number
		Payment                                                                              struct{ PaymentStatus string }
		LastModified                                                                         time.Time
	} `json:"salesOrders"`
	Invoices []struct {
		InvoiceNumber, OrderNumber, Reference, InvoiceStatus, Currency string
		InvoiceTotal, Balance                                          json.Number
	} `json:"invoices"`
	Payments []struct {
		PaymentReference, PaymentType, Currency, Narration, SourceReference string
		Amount                                                              json.Number
		Reversed                                                            bool
		Allocations                                                         []struct{ InvoiceNumber string }
	} `json:"payments"`
	CreditMemos []struct {
		CreditMemoNumber, OrderNumber, RefundStatus, Reason, Currency string
		Amount                                                        json.Number
	} `json:"creditMemos"`
	Shipments []struct {
		ShipmentNumber, OrderNumber, ShipmentStatus, Carrier, TrackingNumber string
	} `json:"shipments"`
}

func read(ctx context.Context, client *http.Client, sandboxes Sandboxes) *view {
	var gateway struct {
		Transactions []transaction `json:"transactions"`
	}
	var shop struct {
		Callbacks []callback `json:"callbacks"`
	}
	type ledger struct {
		name, url string
		into      any
	}
	ledgers := []ledger{{"shop", sandboxes.Shop, &shop}, {"gateway", sandboxes.Gateway, &gateway}}
	erps := make([]erpLedger, len(sandboxes.ERPs))
	for i, erp := range sandboxes.ERPs {
		erps[i].name = erp.Name
		ledgers = append(ledgers, ledger{erp.Name, erp.URL, &erps[i]})
	}
	v := &view{}
	var wait sync.WaitGroup
	var mu sync.Mutex
	for _, l := range ledgers {
		wait.Go(func() {
			if err := fetch(ctx, client, l.url, l.into); err != nil {
				mu.Lock()
				defer mu.Unlock()
				v.Problems = append(v.Problems, fmt.Sprintf("The %s sandbox did not give its ledger: %v", l.name, err))
			}
		})
	}
	wait.Wait()
	slices.Sort(v.Problems)
	v.Orders = assemble(shop.Callbacks, gateway.Transactions, erps)
	return v
}

func fetch(ctx context.Context, client *http.Client, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(url, "/")+"/_sandbox/ledger", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxLedger)).Decode(into); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	return nil
}

// rows groups by order ID in the order of first appearance.
type rows struct {
	byID map[string]*order
	all  []*order
}

func (r *rows) of(id string) *order {
	if o, known := r.byID[id]; known {
		return o
	}
	o := &order{ID: id}
	r.byID[id] = o
	r.all = append(r.all, o)
	return o
}

func (o *order) seen(at time.Time) {
	if at.After(o.last) {
		o.last = at
	}
}

func assemble(callbacks []callback, transactions []transaction, erps []erpLedger) []*order {
	r := &rows{byID: map[string]*order{}}
	for _, c := range callbacks {
		o := r.of(c.OrderID)
		o.Callbacks = append(o.Callbacks, c)
		o.seen(c.At)
	}
	for i := range erps {
		addERP(r, &erps[i])
	}
	addGateway(r, transactions)
	slices.SortStableFunc(r.all, func(a, b *order) int { return b.last.Compare(a.last) })
	return r.all
}

// addGateway puts each transaction to the order whose payment it follows on: captures and refunds have references of
// their own.
func addGateway(r *rows, transactions []transaction) {
	byID := make(map[string]transaction, len(transactions))
	for _, t := range transactions {
		byID[t.ID] = t
	}
	for _, t := range transactions {
		o := r.of(root(byID, t).Reference)
		o.Transactions = append(o.Transactions, t)
		o.seen(t.At)
	}
	for _, o := range r.all {
		o.Sums = total(o.Transactions, byID)
	}
}

func root(byID map[string]transaction, t transaction) transaction {
	for range len(byID) { // a ring of related IDs must not hang the page
		parent, known := byID[t.RelatedID]
		if t.RelatedID == "" || !known {
			return t
		}
		t = parent
	}
	return t
}

// total adds up what is captured, what was refunded and what is still held.
func total(transactions []transaction, byID map[string]transaction) []sums {
	var all []sums
	of := func(currency string) *sums {
		i := slices.IndexFunc(all, func(s sums) bool { return s.Currency == currency })
		if i < 0 {
			all = append(all, sums{Currency: currency})
			i = len(all) - 1
		}
		return &all[i]
	}
	holds := map[string]decimal.Decimal{} // by payment
	var payments []transaction
	for _, t := range transactions {
		if undone(t) {
			continue
		}
		s := of(t.Currency)
		payment := root(byID, t).ID
		switch t.Kind {
		case "auth", "sale":
			payments = append(payments, t)
			if t.Kind == "sale" && !heldOnly(t.Status) {
				s.Captured = s.Captured.Add(t.Amount)
				continue
			}
			holds[t.ID] = holds[t.ID].Add(t.Amount)
		case "capture":
			s.Captured = s.Captured.Add(t.Amount)
			holds[payment] = holds[payment].Sub(t.Amount)
		case "reversal":
			holds[payment] = holds[payment].Sub(t.Amount)
		case "refund", "credit":
			s.Refunded = s.Refunded.Add(t.Amount)
		case "void":
			holds[payment] = holds[payment].Add(s.void(byID[t.RelatedID], t.Amount))
		}
	}
	for _, t := range payments {
		if holds[t.ID].IsPositive() {
			s := of(t.Currency)
			s.Held = s.Held.Add(holds[t.ID])
		}
	}
	return all
}

// void takes back what it voids, unless that is marked as voided and wasn't counted. It returns what is on hold again:
// voiding a capture gives the hold back, it doesn't release it.
func (s *sums) void(of transaction, amount decimal.Decimal) decimal.Decimal {
	if of.Status == "VOIDED" || undone(of) {
		return decimal.Zero
	}
	switch of.Kind {
	case "capture", "sale":
		s.Captured = s.Captured.Sub(amount)
		return amount
	case "refund", "credit":
		s.Refunded = s.Refunded.Sub(amount)
	}
	return decimal.Zero
}

// undone tells of a transaction that moves and holds nothing, or does no more.
func undone(t transaction) bool {
	switch t.Status {
	case "DECLINED", "INVALID_REQUEST", "SERVER_ERROR", "FAILED", "PENDING_REVIEW", "PENDING_AUTHENTICATION", "AUTHENTICATION_FAILED":
		return true
	case "REVERSED":
		return t.Kind == "auth" || t.Kind == "sale"
	case "VOIDED":
		return t.Kind == "capture" || t.Kind == "refund" || t.Kind == "credit"
	}
	return false
}

// heldOnly tells of a sale whose money is on hold, not captured.
func heldOnly(status string) bool {
	switch status {
	case "AUTHORIZED_PENDING_REVIEW", "AUTHORIZED_RISK_DECLINED", "PARTIAL_AUTHORIZED", "VOIDED":
		return true
	}
	return false
}

func addERP(r *rows, erp *erpLedger) {
	ofInvoice, ofPayment := map[string]string{}, map[string]string{}
	add := func(id, kind, number, status string, amount json.Number, currency, note string) {
		b := r.of(id).in(erp.name)
		b.Documents = append(b.Documents, document{kind, number, status, strings.TrimSpace(amount.String() + " " + currency), note})
	}
	for _, so := range erp.SalesOrders {
		r.of(so.OrderNumber).seen(so.LastModified)
		add(so.OrderNumber, "Sales order", so.SalesOrder, so.OrderStatus+" "+so.OrderStatusDescription, so.OrderTotal, so.Currency, joined(so.CustomerCode, so.Payment.PaymentStatus))
	}
	for _, s := range erp.Shipments {
		add(s.OrderNumber, "Shipment", s.ShipmentNumber, s.ShipmentStatus, "", "", joined(s.Carrier, s.TrackingNumber))
	}
	for _, i := range erp.Invoices {
		id := i.OrderNumber
		if id == "" {
			id = i.Reference
		}
		ofInvoice[i.InvoiceNumber] = id
		add(id, "Invoice", i.InvoiceNumber, i.InvoiceStatus, i.InvoiceTotal, i.Currency, "balance "+i.Balance.String())
	}
	for _, m := range erp.CreditMemos {
		ofInvoice[m.CreditMemoNumber] = m.OrderNumber
		add(m.OrderNumber, "Credit memo", m.CreditMemoNumber, m.RefundStatus, m.Amount, m.Currency, m.Reason)
	}
	for _, p := range erp.Payments {
		id := p.Narration
		if len(p.Allocations) > 0 {
			id = ofInvoice[p.Allocations[0].InvoiceNumber]
		} else if source, known := ofPayment[p.SourceReference]; known {
			id = source
		}
		ofPayment[p.PaymentReference] = id
		status := ""
		if p.Reversed {
			status = "reversed"
		}
		add(id, p.PaymentType, p.PaymentReference, status, p.Amount, p.Currency, "")
	}
}

// in gives what an ERP has of the order.
func (o *order) in(erp string) *books {
	for _, b := range o.Books {
		if b.ERP == erp {
			return b
		}
	}
	b := &books{ERP: erp}
	o.Books = append(o.Books, b)
	return b
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
}

// choose keeps the order that is asked for, or the latest ones.
func (v *view) choose(id string) {
	v.Filter, v.Total = id, len(v.Orders)
	if id != "" {
		v.Orders = slices.DeleteFunc(v.Orders, func(o *order) bool { return o.ID != id })
	}
	if len(v.Orders) > shownOrders {
		v.Orders = v.Orders[:shownOrders]
	}
}
