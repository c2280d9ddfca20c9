package world

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Reviewed is a case that a reviewer decides in the gateway's own console.
type Reviewed struct {
	Reference string   `json:"reference"` // the order's open case
	Decision  string   `json:"decision"`  // ACCEPT or REJECT
	Actions   []string `json:"actionList,omitempty"`
	Comments  string   `json:"comments,omitempty"`
	Silent    bool     `json:"silent,omitempty"` // the webhook that tells of it is lost
}

// Review decides a case in the gateway's console.
func (w *World) Review(ctx context.Context, reviewed Reviewed) error {
	return w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/review", "", reviewed, nil, http.StatusOK)
}

// CloseBatch sends what was captured and refunded so far to the processor: a void then comes too late.
func (w *World) CloseBatch(ctx context.Context) error {
	return w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/settle", "", map[string]any{}, nil, http.StatusOK)
}

// Expire has the bank let the hold of an authorization go, as it does after some days.
func (w *World) Expire(ctx context.Context, payment string) error {
	return w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/expire", "", map[string]string{"id": payment}, nil, http.StatusCreated)
}

// Announce has the gateway send a webhook of a type, with a signature that holds, of an order that it need not know.
func (w *World) Announce(ctx context.Context, eventType, payment, order, status string) error {
	body := map[string]any{"eventType": eventType, "productId": "decisionManager", "payload": map[string]any{"data": map[string]any{
		"id": payment, "referenceNumber": order, "status": status, "clientReferenceInformation": map[string]string{"code": order},
	}}}
	var sent struct {
		Deliveries int `json:"deliveries"`
	}
	err := w.want(ctx, http.MethodPost, w.Gateway+"/_sandbox/emit", "", body, &sent, http.StatusAccepted)
	if err == nil && sent.Deliveries == 0 {
		err = errors.New("nobody hears the gateway's events of type " + eventType)
	}
	return err
}

// Marked are the e-mail addresses that the merchant put on the gateway's negative list for an order's sake.
func (w *World) Marked(ctx context.Context, order string) ([]string, error) {
	var ledger struct {
		Markings []struct {
			Reference string `json:"reference"`
			Action    string `json:"action"`
			Email     string `json:"email"`
		} `json:"markings"`
	}
	if err := w.want(ctx, http.MethodGet, w.Gateway+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return nil, err
	}
	var marked []string
	for _, m := range ledger.Markings {
		if m.Reference == order && m.Action == "add" {
			marked = append(marked, m.Email)
		}
	}
	return marked, nil
}

// Transaction is a line of the gateway's ledger.
type Transaction struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Status    string          `json:"status"`
	Amount    decimal.Decimal `json:"amount"`
	Currency  string          `json:"currency"`
	Reference string          `json:"reference"`
	RelatedID string          `json:"relatedId"`
	Held      decimal.Decimal `json:"held"`
	At        time.Time       `json:"at"`
	BatchDate string          `json:"batchDate"` // day in whose batch it is; "" in none
	Review    string          `json:"review"`    // case of a payment that was held: OPEN, ACCEPTED or REJECTED
}

// Of tells whether a transaction belongs to an order: its own reference, or a follow-on's.
func (t Transaction) Of(order string) bool {
	return t.Reference == order || strings.HasPrefix(t.Reference, order+"-")
}

// Money is what the gateway's ledger says of an order's money.
type Money struct {
	Captured decimal.Decimal // captured, and neither voided nor refunded
	Refunded decimal.Decimal // refunds that were not voided
	Held     decimal.Decimal // open holds
	Live     int             // authorizations or captures that hold or have taken money
	Lines    []Transaction
}

// Money reads an order's money from the gateway's ledger.
func (w *World) Money(ctx context.Context, order string) (Money, error) {
	var ledger struct {
		Transactions []Transaction `json:"transactions"`
	}
	if err := w.want(ctx, http.MethodGet, w.Gateway+"/_sandbox/ledger", "", nil, &ledger, http.StatusOK); err != nil {
		return Money{}, err
	}
	var m Money
	for _, t := range ledger.Transactions {
		if !t.Of(order) {
			continue
		}
		m.Lines = append(m.Lines, t)
		m.Held = m.Held.Add(t.Held)
		switch {
		case (t.Kind == "capture" || t.Kind == "sale") && moved(t.Status):
			m.Captured = m.Captured.Add(t.Amount)
			m.Live++
		case (t.Kind == "refund" || t.Kind == "credit") && moved(t.Status):
			m.Captured, m.Refunded = m.Captured.Sub(t.Amount), m.Refunded.Add(t.Amount)
		case t.Held.IsPositive():
			m.Live++
		}
	}
	return m, nil
}

// moved tells that a capture, sale or refund of this status moved money.
func moved(status string) bool {
	switch status {
	case "PENDING", "TRANSMITTED", "BATCHED", "AUTHORIZED":
		return true
	default:
		return false
	}
}
