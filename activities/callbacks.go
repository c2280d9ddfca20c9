package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Shop is where a channel's callbacks go and what they are signed with.
type Shop struct {
	URL    string
	Secret string // "whsec_" and base64
}

// Callbacks delivers messages to shops.
type Callbacks struct {
	Client  *http.Client
	Shop    func(channel string) (Shop, error)
	Journal *journal.Store
	Clock   func() time.Time
}

// callbackBody is what a shop receives; the shape is documented in openapi.yaml.
type callbackBody struct {
	Type      string       `json:"type"` // "order.confirmed", ...
	Timestamp time.Time    `json:"timestamp"`
	Data      callbackData `json:"data"`
}

// callbackData is what happened. An event of no order, such as stock.changed, has nothing but its own part.
type callbackData struct {
	OrderID        string                  `json:"orderId,omitempty"`
	Status         canonical.OrderStatus   `json:"status,omitempty"`
	PaymentStatus  canonical.PaymentStatus `json:"paymentStatus,omitempty"`
	Reason         string                  `json:"reason,omitempty"`
	ErpOrderNumber string                  `json:"erpOrderNumber,omitempty"`
	Invoice        string                  `json:"invoice,omitempty"`
	BackOrdered    []Shortage              `json:"backOrdered,omitempty"`
	Refund         *callbackRefund         `json:"refund,omitempty"`   // of events refund.*
	Shipment       *ShipmentNotice         `json:"shipment,omitempty"` // of event order.shipped
	Stock          *callbackStock          `json:"stock,omitempty"`    // of event stock.changed
}

// callbackStock is what is free of an article.
type callbackStock struct {
	StockCode string `json:"stockCode"`
	Warehouse string `json:"warehouse,omitempty"`
	Available string `json:"available"`
}

// stockOf is a message's stock as a shop reads it; nil where it is about something else.
func stockOf(in CallbackInput) *callbackStock {
	if in.Data["stockCode"] == "" {
		return nil
	}
	return &callbackStock{StockCode: in.Data["stockCode"], Warehouse: in.Data["warehouse"], Available: in.Data["available"]}
}

type callbackRefund struct {
	RefundID string    `json:"refundId"`
	Amount   string    `json:"amount"` // to the minor unit
	Currency string    `json:"currency"`
	Way      RefundWay `json:"way,omitempty"`    // reversal, void or refund
	Reason   string    `json:"reason,omitempty"` // as it was asked for; why it was refused stands in data.reason
}

// refunded is a notice as a shop reads it.
func refunded(notice *RefundNotice) *callbackRefund {
	if notice == nil {
		return nil
	}
	return &callbackRefund{
		RefundID: notice.RefundID, Amount: canonical.FormatAmount(notice.Amount.Amount, notice.Amount.Currency), Currency: notice.Amount.Currency,
		Way: notice.Way, Reason: notice.Reason,
	}
}

// DeliverCallback posts one message, signed after the Standard Webhooks specification: the same id at every try, so that the shop can tell
// a repeat. Any 2xx ends it; 410 and other 4xx are tried again too, since a shop's deployment may answer them for a while.
func (c *Callbacks) DeliverCallback(ctx context.Context, in CallbackInput) error {
	return toTemporal(c.deliver(ctx, in))
}

func (c *Callbacks) deliver(ctx context.Context, in CallbackInput) error {
	shop, err := c.Shop(in.Channel)
	if err != nil {
		return &fault.Fault{Kind: fault.Credentials, System: "shop", Message: err.Error()}
	}
	if shop.URL == "" {
		return nil // the channel asks for its answers by GET
	}
	if in.OrderID == "" { // it concerns no order: nobody's story tells of it
		return c.post(outbound.WithOperation(ctx, in.ID), shop, in)
	}
	if in.Status == "" { // a process beside the order's own: where the order stands is in the journal
		record, err := c.Journal.Order(ctx, in.OrderID)
		if err != nil {
			return err
		}
		in.Status = record.Status
		if in.Payment == "" {
			in.Payment = record.PaymentStatus
		}
	}
	if err := c.post(outbound.WithOperation(ctx, in.ID), shop, in); err != nil {
		return err
	}
	return c.Journal.RecordProgress(ctx, journal.Progress{OrderID: in.OrderID, Events: []journal.Event{{
		Key: in.ID, Kind: "callback." + in.Event, Summary: "Shop told: " + in.Event, Detail: map[string]string{"event": in.Event},
	}}})
}

func (c *Callbacks) post(ctx context.Context, shop Shop, in CallbackInput) error {
	body, err := json.Marshal(callbackBody{Type: in.Event, Timestamp: in.At, Data: callbackData{
		OrderID: in.OrderID, Status: in.Status, PaymentStatus: in.Payment, Reason: in.Reason,
		ErpOrderNumber: in.Data["erpOrderNumber"], Invoice: in.Data["invoice"], BackOrdered: in.Lines, Refund: refunded(in.Refund),
		Shipment: in.Shipment, Stock: stockOf(in),
	}})
	if err != nil {
		return fmt.Errorf("encode callback: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, shop.URL, bytes.NewReader(body))
	if err != nil {
		return &fault.Fault{Kind: fault.Value, System: "shop", Message: "the callback URL is not valid"}
	}
	if err := sign(request.Header, shop.Secret, in.ID, c.Clock(), body); err != nil {
		return err
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return shopDown(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // lets the connection be used again
	if response.StatusCode/100 != 2 {
		return &fault.Fault{
			Kind: fault.Connection, System: "shop", HTTPStatus: response.StatusCode, RetryAfter: outbound.RetryAfter(response.Header, c.Clock()),
			Message: fmt.Sprintf("the shop answered %d", response.StatusCode),
		}
	}
	return nil
}

// sign sets the headers of the Standard Webhooks specification.
func sign(header http.Header, secret, id string, at time.Time, body []byte) error {
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return &fault.Fault{Kind: fault.Credentials, System: "shop", Message: "the callback secret is not valid"}
	}
	signature, err := webhook.Sign(id, at, body)
	if err != nil {
		return fmt.Errorf("sign callback: %w", err)
	}
	header.Set("Content-Type", "application/json")
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(at.Unix()))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// shopDown makes every failed post one that is tried again: the shop dedupes by id.
func shopDown(err error) error {
	f := &fault.Fault{Kind: fault.Connection, System: "shop", Message: "the shop did not answer", Err: err}
	var cause *fault.Fault
	if errors.As(err, &cause) {
		f.RetryAfter = cause.RetryAfter
	}
	return f
}
