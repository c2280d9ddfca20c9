package webhook

import (
	"encoding/json"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// orderAnswer is an order as the API shows it; openapi.yaml calls it Order.
type orderAnswer struct {
	OrderID        string                  `json:"orderId"`
	Channel        string                  `json:"channel"`
	Status         canonical.OrderStatus   `json:"status"`
	PaymentStatus  canonical.PaymentStatus `json:"paymentStatus"`
	Reason         string                  `json:"reason,omitempty"`
	NeedsAttention bool                    `json:"needsAttention"`
	Currency       string                  `json:"currency"`
	Total          string                  `json:"total"`
	Erp            string                  `json:"erp"`
	ErpOrderNumber string                  `json:"erpOrderNumber,omitempty"`
	ErpInvoice     string                  `json:"erpInvoice,omitempty"`
	CustomerCode   string                  `json:"customerCode,omitempty"`
	ReceivedAt     time.Time               `json:"receivedAt"`
	UpdatedAt      time.Time               `json:"updatedAt"`
	Payment        *paymentView            `json:"payment,omitempty"`
	Timeline       []eventView             `json:"timeline,omitempty"`
	Refunds        []refundAnswer          `json:"refunds,omitempty"`
	Links          map[string]string       `json:"links"`
}

// paymentView is an order's money; amounts are in the order's currency.
type paymentView struct {
	Status          canonical.PaymentStatus `json:"status"`
	AuthorizationID string                  `json:"authorizationId,omitempty"`
	CaptureID       string                  `json:"captureId,omitempty"`
	Authorized      string                  `json:"authorized"`
	Captured        string                  `json:"captured"`
	Refunded        string                  `json:"refunded"`
	CardType        string                  `json:"cardType,omitempty"`
	CardSuffix      string                  `json:"cardSuffix,omitempty"`
	ApprovalCode    string                  `json:"approvalCode,omitempty"`
	Reason          string                  `json:"reason,omitempty"`
	CustomerToken   string                  `json:"customerToken,omitempty"`
}

type eventView struct {
	At      time.Time         `json:"at"`
	Kind    string            `json:"kind"`
	Summary string            `json:"summary"`
	Actor   string            `json:"actor,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

type orderList struct {
	Orders []orderAnswer `json:"orders"`
	Next   string        `json:"next,omitempty"`
}

type paymentAnswer struct {
	OrderID string `json:"orderId"`
	Attempt int    `json:"attempt"`
}

type cancelAnswer struct {
	OrderID string                `json:"orderId"`
	Status  canonical.OrderStatus `json:"status"`
}

func viewOrder(r journal.OrderRecord) orderAnswer {
	self := "/v1/orders/" + r.OrderID
	links := map[string]string{"self": self, "refunds": self + "/refunds"}
	if !r.Status.Final() {
		links["cancel"] = self + "/cancel"
	}
	if r.Status == canonical.OrderAwaitingPayment {
		links["payment"] = self + "/payment"
	}
	if r.Status == canonical.OrderInReview {
		links["review"] = "/v1/fraud-reviews/" + r.OrderID
		links["decision"] = "/v1/fraud-reviews/" + r.OrderID + "/decision"
	}
	return orderAnswer{
		OrderID: r.OrderID, Channel: r.Channel, Status: r.Status, PaymentStatus: r.PaymentStatus, Reason: r.Reason,
		NeedsAttention: r.NeedsAttention, Currency: r.Currency, Total: canonical.FormatAmount(r.Total, r.Currency),
		Erp: r.Erp, ErpOrderNumber: r.ErpOrderNumber, ErpInvoice: r.ErpInvoice, CustomerCode: r.CustomerCode,
		ReceivedAt: r.ReceivedAt, UpdatedAt: r.UpdatedAt, Links: links,
	}
}

// follow lays over the read model what the workflow itself has just said, which is never older.
func (a *orderAnswer) follow(view workflows.OrderView) {
	a.Status, a.PaymentStatus, a.Reason = view.Status, view.PaymentStatus, view.Reason
	a.NeedsAttention = a.NeedsAttention || view.NeedsAttention
	if view.Payment.Status != "" {
		a.Payment = viewPayment(view.Payment)
	}
}

func viewPayment(p canonical.Payment) *paymentView {
	return &paymentView{
		Status: p.Status, AuthorizationID: p.AuthorizationID, CaptureID: p.CaptureID,
		Authorized: canonical.FormatAmount(p.Authorized, p.Currency), Captured: canonical.FormatAmount(p.Captured, p.Currency),
		Refunded: canonical.FormatAmount(p.Refunded, p.Currency), CardType: p.CardType, CardSuffix: p.CardSuffix,
		ApprovalCode: p.ApprovalCode, Reason: p.Reason, CustomerToken: p.CustomerToken,
	}
}

func viewEvents(events []journal.Event) []eventView {
	list := make([]eventView, 0, len(events))
	for _, e := range events {
		list = append(list, eventView{At: e.At, Kind: e.Kind, Summary: e.Summary, Actor: e.Actor, Detail: e.Detail})
	}
	return list
}

// given is a time that may be none.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// document shows a stored text: as the JSON that it is, else as a string.
func document(text []byte) any {
	switch {
	case len(text) == 0:
		return nil
	case json.Valid(text):
		return json.RawMessage(text)
	default:
		return string(text)
	}
}
