package syspro

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
)

// maxListed is the most rows that the facade gives at once.
const maxListed = 500

// changeQuery writes a question in the facade's words.
func changeQuery(query erp.ChangeQuery) url.Values {
	limit := maxListed
	if query.Limit > 0 {
		limit = min(query.Limit, maxListed)
	}
	values := url.Values{"Limit": {strconv.Itoa(limit)}}
	if !query.Since.IsZero() {
		values.Set("ChangedSince", query.Since.UTC().Format(time.RFC3339Nano))
	}
	if query.Cursor != "" {
		values.Set("Cursor", query.Cursor)
	}
	if query.Pending {
		values.Set("Unprocessed", "true")
	}
	return values
}

// listed is a page as a list endpoint answers it: the rows are in the member of the type that embeds it.
type listed struct {
	answer
	NextCursor string
	HasMore    bool
}

// next is the cursor of the page that follows; one that does not move would be asked for for ever.
func (l *listed) next(c *Client, query erp.ChangeQuery) (string, error) {
	switch {
	case !l.HasMore:
		return "", nil
	case l.NextCursor == "" || l.NextCursor == query.Cursor:
		return "", c.bug("the list has more, but its cursor does not move")
	default:
		return l.NextCursor, nil
	}
}

// pageOf turns the rows of a list into a page in its promised order. A row without a time of change could be neither told apart nor ordered.
func pageOf[W, T any](c *Client, query erp.ChangeQuery, l *listed, rows []W, at func(*W) (time.Time, string), document func(*W) T) (erp.ChangePage[T], error) {
	var page erp.ChangePage[T]
	for i := range rows {
		if when, number := at(&rows[i]); when.IsZero() || strings.TrimSpace(number) == "" {
			return page, c.bug("a listed row has no number or no time of change")
		}
	}
	slices.SortStableFunc(rows, func(a, b W) int {
		atA, numberA := at(&a)
		atB, numberB := at(&b)
		return cmp.Or(atA.Compare(atB), cmp.Compare(numberA, numberB))
	})
	for i := range rows {
		when, _ := at(&rows[i])
		page.Rows = append(page.Rows, erp.Changed[T]{Document: document(&rows[i]), At: when.UTC()})
	}
	var err error
	page.Next, err = l.next(c, query)
	return page, err
}

type wireMemoPage struct {
	listed
	CreditMemos []wireCreditMemo
}

func (w *wireMemoPage) decode(body []byte) error { return decodeAnswer(body, w, &w.answer) }

// ListCreditMemos lists credit memos by their last change.
func (c *Client) ListCreditMemos(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[erp.CreditMemo], error) {
	var got wireMemoPage
	if err := c.get(ctx, pathListCreditMemos, changeQuery(query), &got); err != nil {
		return erp.ChangePage[erp.CreditMemo]{}, err
	}
	return pageOf(c, query, &got.listed, got.CreditMemos,
		func(w *wireCreditMemo) (time.Time, string) { return w.LastModified, w.CreditMemoNumber }, (*wireCreditMemo).listed)
}

func (w *wireCreditMemo) listed() erp.CreditMemo {
	return erp.CreditMemo{
		Number: w.CreditMemoNumber, Reference: w.Reference, CustomerCode: w.CustomerCode, SalesOrder: w.SalesOrder, OrderNumber: w.OrderNumber,
		Invoice: w.OriginalInvoice, Amount: w.Amount.Decimal, Tax: w.TaxAmount.Decimal, Currency: w.Currency, Reason: w.Reason,
		TransactionID: w.OriginalTransactionID, RefundStatus: erp.RefundStatus(w.RefundStatus),
	}
}

type wireShipment struct {
	ShipmentNumber string
	SalesOrder     string
	OrderNumber    string
	ShipmentStatus string
	Carrier        string
	TrackingNumber string
	ShippedDate    string
	Partial        bool
	InvoiceNumber  string
	LastModified   time.Time
	Lines          []struct {
		SalesOrderLine int
		StockCode      string
		Quantity       number
	}
}

type wireShipmentPage struct {
	listed
	Shipments []wireShipment
}

func (w *wireShipmentPage) decode(body []byte) error { return decodeAnswer(body, w, &w.answer) }

// dispatchCancelled is the status of a dispatch note that was cancelled: its goods have not left.
const dispatchCancelled = "*"

// ListShipments lists shipments by their last change. Dispatch notes that were cancelled are no shipments and are left out.
func (c *Client) ListShipments(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[canonical.Shipment], error) {
	var got wireShipmentPage
	if err := c.get(ctx, pathListShipments, changeQuery(query), &got); err != nil {
		return erp.ChangePage[canonical.Shipment]{}, err
	}
	left := slices.DeleteFunc(got.Shipments, func(w wireShipment) bool { return w.ShipmentStatus == dispatchCancelled })
	return pageOf(c, query, &got.listed, left,
		func(w *wireShipment) (time.Time, string) { return w.LastModified, w.ShipmentNumber }, (*wireShipment).canonical)
}

func (w *wireShipment) canonical() canonical.Shipment {
	shipment := canonical.Shipment{
		Number: w.ShipmentNumber, SalesOrder: w.SalesOrder, OrderID: w.OrderNumber, Carrier: w.Carrier, Tracking: w.TrackingNumber,
		ShippedOn: w.ShippedDate, Partial: w.Partial, Invoice: w.InvoiceNumber,
	}
	for _, line := range w.Lines {
		shipment.Lines = append(shipment.Lines, canonical.ShipmentLine{LineNumber: line.SalesOrderLine, StockCode: line.StockCode, Quantity: line.Quantity.Decimal})
	}
	return shipment
}

type wireOrderPage struct {
	listed
	Orders []wireOrder
}

func (w *wireOrderPage) decode(body []byte) error {
	if err := decodeAnswer(body, w, &w.answer); err != nil {
		return err
	}
	for _, order := range w.Orders {
		if order.OrderStatus == "" {
			return errors.New("read answer: OrderStatus is missing")
		}
	}
	return nil
}

// ListSalesOrders lists sales orders by their last change.
func (c *Client) ListSalesOrders(ctx context.Context, query erp.ChangeQuery) (erp.ChangePage[erp.Order], error) {
	var got wireOrderPage
	if err := c.get(ctx, pathListSalesOrders, changeQuery(query), &got); err != nil {
		return erp.ChangePage[erp.Order]{}, err
	}
	return pageOf(c, query, &got.listed, got.Orders,
		func(w *wireOrder) (time.Time, string) { return w.LastModified, w.SalesOrder }, (*wireOrder).listed)
}

func (w *wireOrder) listed() erp.Order {
	order := erp.Order{SalesOrder: w.canonical(), State: w.OrderStatus.means(w.OnHold)}
	switch order.State {
	case erp.OrderHeld:
		order.Reason = clean(w.HoldReason, "")
	case erp.OrderCancelled:
		order.Reason = clean(w.CancelReasonCode, "")
	case erp.OrderOpen, erp.OrderReady, erp.OrderComplete: // need no reason
	}
	return order
}

type acknowledgement struct {
	CreditMemoNumber    string
	RefundStatus        erp.RefundStatus
	RefundTransactionID string      `json:"RefundTransactionId,omitempty"`
	RefundedAmount      json.Number `json:",omitempty"`
	RefundedAt          string      `json:",omitempty"`
	FailureReason       string      `json:",omitempty"`
}

// maxFailureReason is the longest failure reason that the facade keeps.
const maxFailureReason = 255

// AcknowledgeCreditMemo tells what became of a credit memo's refund. A memo that was refunded by another transaction is a Conflict.
func (c *Client) AcknowledgeCreditMemo(ctx context.Context, key string, a erp.Acknowledgement) error {
	request := acknowledgement{CreditMemoNumber: a.Number, RefundStatus: erp.RefundFailed, FailureReason: a.Failure}
	if a.Refunded {
		request = acknowledgement{
			CreditMemoNumber: a.Number, RefundStatus: erp.RefundDone, RefundTransactionID: a.TransactionID,
			RefundedAmount: money(a.Amount, a.Currency), RefundedAt: a.At.UTC().Format(time.RFC3339),
		}
	}
	if reason := []rune(request.FailureReason); len(reason) > maxFailureReason {
		request.FailureReason = string(reason[:maxFailureReason-1]) + "…"
	}
	body, err := c.write(request)
	if err != nil {
		return err
	}
	return c.post(ctx, pathAcknowledge, key, body, &answer{})
}

type trackingUpdate struct {
	SalesOrder string
	Action     string
	Tracking   wireTracking
}

type wireTracking struct {
	Carrier        string `json:",omitempty"`
	TrackingNumber string
	ShippedDate    string `json:",omitempty"`
}

// SetTracking adds a tracking number to a sales order, once.
func (c *Client) SetTracking(ctx context.Context, key string, t erp.Tracking) error {
	body, err := c.write(trackingUpdate{SalesOrder: t.SalesOrder, Action: actionSetTracking,
		Tracking: wireTracking{Carrier: t.Carrier, TrackingNumber: t.Number, ShippedDate: t.ShippedOn}})
	if err != nil {
		return err
	}
	var got wireUpdate
	if err := c.post(ctx, pathUpdateSalesOrder, key, body, &got); err != nil {
		return err
	}
	if !sameKey(got.SalesOrder, t.SalesOrder) {
		return c.mismatched(pathUpdateSalesOrder)
	}
	return nil
}

// FindDeposit tells what an AR payment still has to give. Where the facade does not tell that, it is taken for whole: the ERP refuses what
// passes the rest.
func (c *Client) FindDeposit(ctx context.Context, reference string) (erp.Deposit, error) {
	got, err := c.findPayment(ctx, reference)
	if err != nil {
		return erp.Deposit{}, err
	}
	deposit := erp.Deposit{Reference: got.PaymentReference, Amount: got.Amount.Decimal, Unapplied: got.Amount.Decimal, Currency: got.Currency}
	if got.UnappliedAmount.Set {
		deposit.Unapplied = got.UnappliedAmount.Decimal
	}
	if got.Reversed {
		deposit.Unapplied = decimal.Zero
	}
	return deposit, nil
}

type depositApplication struct {
	PaymentReference string
	PaymentType      string
	SourceReference  string
	CustomerCode     string
	PaymentDate      string
	Amount           json.Number
	Currency         string
	Allocations      []allocation
	Narration        string `json:",omitempty"`
}

// ApplyDeposit pays an invoice out of a deposit. One of the same reference is adopted where amount, currency, customer, deposit and invoice
// are the same.
func (c *Client) ApplyDeposit(ctx context.Context, key string, a erp.DepositApplication) (canonical.Receipt, error) {
	amount := money(a.Amount, a.Currency)
	body, err := c.write(depositApplication{PaymentReference: a.Reference, PaymentType: paymentTypeApply, SourceReference: a.Source,
		CustomerCode: a.CustomerCode, PaymentDate: a.Date, Amount: amount, Currency: a.Currency,
		Allocations: []allocation{{InvoiceNumber: a.Invoice, Amount: amount}}, Narration: a.Narration})
	if err != nil {
		return canonical.Receipt{}, err
	}
	return c.postPayment(ctx, key, payment{PaymentReference: a.Reference, PaymentType: paymentTypeApply, SourceReference: a.Source,
		CustomerCode: a.CustomerCode, Currency: a.Currency, Amount: number{a.Amount, true}, document: a.Invoice}, body)
}
