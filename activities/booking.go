package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// Booking holds the steps at one ERP. It needs the ERP's own operations journal and nothing central, so that it can run beside an
// ERP on premises.
type Booking struct {
	Name       string // the ERP: "syspro"; prefix of its mappings
	Port       erp.Port
	Operations *journal.Operations
	Mappings   *mappings.Set
	Settle     time.Duration // after a send, how long a document may still turn up
	Clock      func() time.Time

	Watched   []string // stock codes whose level each poll asks for, beside those of the sales orders that changed
	Warehouse string   // whose stock is polled; "": all of them together
}

// Kinds of ERP operations.
const (
	kindCustomer   = "customer"
	kindSalesOrder = "sales_order"
	kindRelease    = "release"
	kindReady      = "ready"
	kindInvoice    = "invoice"
	kindReceipt    = "receipt"
	kindTag        = "payment_status"
	kindReversal   = "receipt_reversal"
	kindCreditMemo = "credit_memo"
	kindReopen     = "reopen"
	kindCancel     = "cancel"
)

func (b *Booking) system() string { return "erp-" + b.Name }

// CheckCustomerAndStock finds or creates the customer, and asks for credit and stock. Refused credit and short stock are answers;
// unknown codes are faults.
func (b *Booking) CheckCustomerAndStock(ctx context.Context, in CheckCustomerInput) (Bookable, error) {
	answer, err := b.checkCustomerAndStock(ctx, in)
	return answer, toTemporal(err)
}

func (b *Booking) checkCustomerAndStock(ctx context.Context, in CheckCustomerInput) (Bookable, error) {
	customer, created, err := b.customer(ctx, in)
	if err != nil {
		return Bookable{}, err
	}
	if customer.Currency != "" && customer.Currency != in.Total.Currency {
		return Bookable{}, &fault.Fault{
			Kind: fault.Value, System: b.system(), Code: "CURRENCY_MISMATCH",
			Message: fmt.Sprintf("customer %s is kept in %s, the order is in %s", customer.Code, customer.Currency, in.Total.Currency),
		}
	}
	answer := Bookable{Customer: customer, Created: created}
	if in.CheckCredit {
		answer.CreditRefused = creditRefused(customer, in.Total.Amount)
	}
	answer.Shortages, err = b.shortages(ctx, in)
	return answer, err
}

func creditRefused(c erp.Customer, total decimal.Decimal) string {
	switch {
	case c.OnHold:
		return "customer " + c.Code + " is on hold"
	case c.CreditLimited && c.AvailableCredit.LessThan(total):
		return "the credit limit of customer " + c.Code + " is exceeded"
	default:
		return ""
	}
}

// customer finds the order's customer, by the code the shop gave or by the shop's own id, and creates one only for the latter.
func (b *Booking) customer(ctx context.Context, in CheckCustomerInput) (erp.Customer, bool, error) {
	if in.CustomerCode != "" {
		found, err := b.Port.FindCustomer(ctx, erp.CustomerRef{Code: in.CustomerCode})
		if fault.Is(err, fault.NotFound) {
			return found, false, &fault.Fault{
				Kind: fault.MissingReference, System: b.system(), Code: "CUSTOMER_NOT_FOUND",
				Message: "the ERP has no customer of the code the shop sent", Fields: []fault.Field{{Path: "customer.erpCode", Rule: "must exist in the ERP"}},
			}
		}
		return found, false, err
	}
	byShopID := func(ctx context.Context) (erp.Customer, error) {
		return b.Port.FindCustomer(ctx, erp.CustomerRef{ExternalID: in.ExternalID})
	}
	found, err := byShopID(ctx)
	if !fault.Is(err, fault.NotFound) {
		return found, false, err
	}
	key := orderKey(in.OrderID, kindCustomer, in.Attempt)
	document := erpDocument(in.Document)
	created, err := performErp(ctx, b.Operations, b.system(), erpOperation[erp.Customer]{
		key: key, kind: kindCustomer, orderID: in.OrderID, reference: in.ExternalID, input: document, hashOf: []any{in.ExternalID},
		find: byShopID,
		send: func(ctx context.Context, stored []byte) (erp.Customer, error) {
			return withDocument(ctx, key, stored, b.Port.PutCustomer)
		},
		id: func(c erp.Customer) string { return c.Code },
	})
	return created, true, err
}

// shortages asks for the stock of every code of the order.
func (b *Booking) shortages(ctx context.Context, in CheckCustomerInput) ([]Shortage, error) {
	query := erp.StockQuery{Warehouse: in.Warehouse}
	for _, line := range in.Lines {
		query.StockCodes = append(query.StockCodes, line.StockCode)
	}
	balances, err := b.Port.Stock(ctx, query)
	if err != nil {
		return nil, err
	}
	free := map[string]erp.StockBalance{}
	for _, balance := range balances {
		free[balance.StockCode] = balance
	}
	var short []Shortage
	var unknown []fault.Field
	for _, line := range in.Lines {
		balance := free[line.StockCode]
		switch {
		case !balance.Known:
			unknown = append(unknown, fault.Field{Path: "lines[].sku=" + line.StockCode, Rule: "must exist in the ERP"})
		case balance.Available.LessThan(line.Quantity):
			short = append(short, Shortage{StockCode: line.StockCode, Wanted: line.Quantity, Available: balance.Available})
		}
	}
	if len(unknown) > 0 {
		return nil, &fault.Fault{Kind: fault.MissingReference, System: b.system(), Code: "STOCK_NOT_FOUND", Message: "the ERP does not know every stock code", Fields: unknown}
	}
	return short, nil
}

// CreateSalesOrder creates the sales order, suspended where the payment is under review; called again without OnHold it releases it.
func (b *Booking) CreateSalesOrder(ctx context.Context, in BookingInput) (canonical.SalesOrder, error) {
	booked, err := b.createSalesOrder(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) createSalesOrder(ctx context.Context, in BookingInput) (canonical.SalesOrder, error) {
	document, err := b.complete(in)
	if err != nil {
		return canonical.SalesOrder{}, err
	}
	key := orderKey(in.Order.OrderID, kindSalesOrder, in.Attempt)
	booked, err := performErp(ctx, b.Operations, b.system(), erpOperation[canonical.SalesOrder]{
		key: key, kind: kindSalesOrder, orderID: in.Order.OrderID, reference: in.Order.OrderID,
		amount: in.Order.Money(in.Order.Total), input: document, hashOf: []any{in.CustomerCode},
		find: func(ctx context.Context) (canonical.SalesOrder, error) {
			return b.Port.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: in.Order.OrderID, CustomerCode: in.CustomerCode})
		},
		send: func(ctx context.Context, stored []byte) (canonical.SalesOrder, error) {
			return withDocument(ctx, key, stored, b.Port.CreateSalesOrder)
		},
		id: func(o canonical.SalesOrder) string { return o.Number },
	})
	if err != nil || in.OnHold || !booked.OnHold {
		return booked, err
	}
	released, err := b.change(ctx, orderKey(in.Order.OrderID, kindRelease, in.Attempt), kindRelease, in.Order.OrderID, erp.SalesOrderChange{Number: booked.Number, State: erp.SalesOrderOpen})
	if err != nil {
		return booked, err
	}
	booked.Status, booked.OnHold = released.Status, released.OnHold
	return booked, nil
}

// InvoiceSalesOrder sets the sales order ready and invoices it; stock leaves with it.
func (b *Booking) InvoiceSalesOrder(ctx context.Context, in BookingInput) (canonical.Invoice, error) {
	invoice, err := b.invoiceSalesOrder(ctx, in)
	return invoice, toTemporal(err)
}

func (b *Booking) invoiceSalesOrder(ctx context.Context, in BookingInput) (canonical.Invoice, error) {
	document, err := b.complete(in)
	if err != nil {
		return canonical.Invoice{}, err
	}
	ready := erp.SalesOrderChange{Number: in.SalesOrder, State: erp.SalesOrderReady}
	if _, err := b.change(ctx, orderKey(in.Order.OrderID, kindReady, in.Attempt), kindReady, in.Order.OrderID, ready); err != nil {
		return canonical.Invoice{}, err
	}
	key := orderKey(in.Order.OrderID, kindInvoice, in.Attempt)
	return performErp(ctx, b.Operations, b.system(), erpOperation[canonical.Invoice]{
		key: key, kind: kindInvoice, orderID: in.Order.OrderID, reference: in.SalesOrder,
		amount: in.Order.Money(in.Order.Total), input: document, hashOf: []any{in.SalesOrder},
		find: b.findInvoice(in.SalesOrder),
		send: func(ctx context.Context, stored []byte) (canonical.Invoice, error) {
			return withDocument(ctx, key, stored, b.Port.CreateInvoice)
		},
		id: func(i canonical.Invoice) string { return i.Number },
	})
}

// PostReceipt posts the captured money as a receipt, or as a deposit, and tags order and invoice as captured.
func (b *Booking) PostReceipt(ctx context.Context, in BookingInput) (canonical.Receipt, error) {
	receipt, err := b.postReceipt(ctx, in)
	return receipt, toTemporal(err)
}

func (b *Booking) postReceipt(ctx context.Context, in BookingInput) (canonical.Receipt, error) {
	document, err := b.complete(in)
	if err != nil {
		return canonical.Receipt{}, err
	}
	key := orderKey(in.Order.OrderID, kindReceipt, in.Attempt)
	receipt, err := performErp(ctx, b.Operations, b.system(), erpOperation[canonical.Receipt]{
		key: key, kind: kindReceipt, orderID: in.Order.OrderID, reference: in.Payment.CaptureID,
		amount: in.Order.Money(in.Payment.Captured), input: document, hashOf: []any{in.Payment.CaptureID, in.Invoice},
		find: b.findReceipt(in.Payment.CaptureID),
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			return withDocument(ctx, key, stored, b.Port.PostReceipt)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
	if err != nil {
		return receipt, err
	}
	return receipt, b.tag(ctx, orderKey(in.Order.OrderID, tagStep(erp.TagCaptured), in.Attempt), in.Order.OrderID, erp.PaymentStatusChange{
		SalesOrder: in.SalesOrder, Invoice: in.Invoice, TransactionID: in.Payment.CaptureID, Status: erp.TagCaptured,
		Amount: in.Payment.Captured, Currency: in.Payment.Currency, At: in.Payment.At,
	})
}

// TagPayment tells the ERP what became of the money; it makes no accounting entry.
func (b *Booking) TagPayment(ctx context.Context, in BookingRef) (BookingUndone, error) {
	tag, tells := tagOf(in.PaymentStatus)
	if !tells || in.SalesOrder == "" {
		return BookingUndone{Result: UndoNothing}, nil
	}
	err := b.tag(ctx, orderKey(in.OrderID, tagStep(tag), in.Attempt), in.OrderID, erp.PaymentStatusChange{
		SalesOrder: in.SalesOrder, Invoice: in.Invoice, TransactionID: in.Receipt, Status: tag,
		Amount: in.Amount.Amount, Currency: in.Amount.Currency, At: b.Clock().UTC(),
	})
	return BookingUndone{Result: UndoDone}, toTemporal(err)
}

// tagOf is how the ERP names what became of a payment that was taken back.
func tagOf(status canonical.PaymentStatus) (erp.PaymentTag, bool) {
	switch status {
	case canonical.PaymentVoided, canonical.PaymentReversed:
		return erp.TagVoided, true
	case canonical.PaymentRefunded:
		return erp.TagRefunded, true
	default:
		return "", false
	}
}

func tagStep(tag erp.PaymentTag) string { return kindTag + "-" + string(tag) }

func (b *Booking) tag(ctx context.Context, key, orderID string, change erp.PaymentStatusChange) error {
	_, err := performErp(ctx, b.Operations, b.system(), erpOperation[struct{}]{
		key: key, kind: kindTag, orderID: orderID, reference: change.TransactionID, input: change, hashOf: []any{change.Status, change.TransactionID},
		send: func(ctx context.Context, stored []byte) (struct{}, error) {
			sent, err := decoded[erp.PaymentStatusChange](stored)
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, b.Port.SetPaymentStatus(ctx, key, sent)
		},
	})
	return err
}

// ReverseReceipt takes the order's receipt back, if there is one.
func (b *Booking) ReverseReceipt(ctx context.Context, in BookingRef) (BookingUndone, error) {
	undone, err := b.reverseReceipt(ctx, in)
	return undone, toTemporal(err)
}

func (b *Booking) reverseReceipt(ctx context.Context, in BookingRef) (BookingUndone, error) {
	receipt, exists, err := undoable(ctx, b, in.OrderID, kindReceipt, in.Receipt, b.findReceipt(in.Receipt))
	if err != nil || !exists {
		return BookingUndone{Result: UndoNothing}, err
	}
	key := orderKey(in.OrderID, kindReversal, in.Attempt)
	reversal := erp.ReceiptReversal{
		Reference: receipt.Reference + "-R", Source: receipt.Reference, CustomerCode: in.CustomerCode, Date: in.Date,
		Amount: in.Amount.Amount, Currency: in.Amount.Currency, BankCode: in.BankCode, Narration: in.OrderID,
	}
	reversed, err := performErp(ctx, b.Operations, b.system(), erpOperation[canonical.Receipt]{
		key: key, kind: kindReversal, orderID: in.OrderID, reference: reversal.Reference, amount: in.Amount, input: reversal, hashOf: []any{reversal.Source},
		find: b.findReceipt(reversal.Reference),
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			sent, err := decoded[erp.ReceiptReversal](stored)
			if err != nil {
				return canonical.Receipt{}, err
			}
			return b.Port.ReverseReceipt(ctx, key, sent)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
	return BookingUndone{Result: UndoDone, Document: reversed.Reference}, err
}

// CreditInvoice credits the order's invoice, if there is one, and restocks its lines. Done means that the sales order must not be
// cancelled any more.
func (b *Booking) CreditInvoice(ctx context.Context, in BookingRef) (BookingUndone, error) {
	undone, err := b.creditInvoice(ctx, in)
	return undone, toTemporal(err)
}

func (b *Booking) creditInvoice(ctx context.Context, in BookingRef) (BookingUndone, error) {
	invoice, exists, err := undoable(ctx, b, in.OrderID, kindInvoice, in.Invoice, b.findInvoice(in.SalesOrder))
	if err != nil || !exists {
		return BookingUndone{Result: UndoNothing}, err
	}
	key := orderKey(in.OrderID, kindCreditMemo, in.Attempt)
	document, err := b.mapped("credit_memo", mappings.Input{
		Order: in.Order, Site: in.Site, Date: in.Date, Invoice: invoice, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		SalesOrder: canonical.SalesOrder{Number: in.SalesOrder},
		Credit: mappings.Credit{
			Reference: erp.Reference(key), Reason: "COMPENSATION", Amount: in.Order.Total, Tax: orderTax(in.Order), Restock: true, Lines: creditLines(in.Order),
		},
	})
	if err != nil {
		return BookingUndone{}, err
	}
	memo, err := performErp(ctx, b.Operations, b.system(), b.creditMemo(key, kindCreditMemo, in.OrderID, invoice.Number, in.Amount, document))
	return BookingUndone{Result: UndoDone, Document: memo.Number}, err
}

// creditLines are all lines of an order.
func creditLines(order canonical.Order) []mappings.CreditLine {
	lines := make([]mappings.CreditLine, 0, len(order.Lines))
	for i, line := range order.Lines {
		lines = append(lines, mappings.CreditLine{Number: i + 1, SKU: line.SKU, Quantity: line.Quantity})
	}
	return lines
}

// creditMemo is the operation that credits an invoice. The key's reference marks the memo as ours, and finds it again.
func (b *Booking) creditMemo(key, kind, orderID, invoice string, amount canonical.Money, document mappings.Document) erpOperation[canonical.CreditMemo] {
	return erpOperation[canonical.CreditMemo]{
		key: key, kind: kind, orderID: orderID, reference: erp.Reference(key), related: invoice, amount: amount, input: erpDocument(document),
		hashOf: []any{invoice},
		find: func(ctx context.Context) (canonical.CreditMemo, error) {
			stored, err := b.Operations.Get(ctx, key)
			if err != nil {
				return canonical.CreditMemo{}, err
			}
			return b.findCreditMemo(invoice)(ctx, stored)
		},
		send: func(ctx context.Context, stored []byte) (canonical.CreditMemo, error) {
			return withDocument(ctx, key, stored, b.Port.CreateCreditMemo)
		},
		id: func(m canonical.CreditMemo) string { return m.Number },
	}
}

// CancelSalesOrder cancels the order's sales order, if there is one; what was set ready is set back first. A suspended order stays
// suspended until it is cancelled: goods of a rejected order are never released, not even for a moment.
func (b *Booking) CancelSalesOrder(ctx context.Context, in BookingRef) (BookingUndone, error) {
	undone, err := b.cancelSalesOrder(ctx, in)
	return undone, toTemporal(err)
}

func (b *Booking) cancelSalesOrder(ctx context.Context, in BookingRef) (BookingUndone, error) {
	find := func(ctx context.Context) (canonical.SalesOrder, error) {
		return b.Port.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: in.OrderID, CustomerCode: in.CustomerCode})
	}
	order, exists, err := undoable(ctx, b, in.OrderID, kindSalesOrder, in.SalesOrder, find)
	if err != nil || !exists {
		return BookingUndone{Result: UndoNothing}, err
	}
	keyOf := func(step string) string { return orderKey(in.OrderID, step, in.Attempt) }
	return b.cancel(ctx, keyOf, in.OrderID, order.Number, in.Site)
}

// cancel cancels a sales order by its number; keyOf gives the keys of the process that wants it.
func (b *Booking) cancel(ctx context.Context, keyOf func(step string) string, orderID, number string, site Site) (BookingUndone, error) {
	key := keyOf(kindCancel)
	if err := b.reopen(ctx, key, keyOf(kindReopen), orderID, number); err != nil {
		return BookingUndone{}, err
	}
	cancelled, err := performErp(ctx, b.Operations, b.system(), erpOperation[canonical.SalesOrder]{
		key: key, kind: kindCancel, orderID: orderID, reference: number,
		input: erp.SalesOrderCancellation{Number: number, Reason: cancelReason(site)}, hashOf: []any{number},
		send: func(ctx context.Context, stored []byte) (canonical.SalesOrder, error) {
			sent, err := decoded[erp.SalesOrderCancellation](stored)
			if err != nil {
				return canonical.SalesOrder{}, err
			}
			return b.Port.CancelSalesOrder(ctx, key, sent)
		},
	})
	return BookingUndone{Result: UndoDone, Document: cancelled.Number}, err
}

// reopen sets a sales order back before it is cancelled, unless it is suspended. Once the cancellation was begun, that is done: the order may
// be cancelled already, its answer lost. One that a clerk has cancelled takes no change, and needs none.
func (b *Booking) reopen(ctx context.Context, cancellation, key, orderID, number string) error {
	if _, err := b.Operations.Get(ctx, cancellation); !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	now, err := b.Port.FindSalesOrder(ctx, erp.SalesOrderRef{Number: number})
	if err != nil || now.OnHold {
		return err
	}
	_, err = b.change(ctx, key, kindReopen, orderID, erp.SalesOrderChange{Number: number, State: erp.SalesOrderOpen})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// defaultCancelReason is the ERP's reason code of orders that are cancelled from outside, where the site names no other.
const defaultCancelReason = "CANCEL"

// cancelReason is the site's code for cancelled orders: an ERP cancels nothing without one.
func cancelReason(site Site) string {
	if reason := site["cancelReason"]; reason != "" {
		return reason
	}
	return defaultCancelReason
}

// change moves a sales order to a state; repeating it is harmless.
func (b *Booking) change(ctx context.Context, key, kind, orderID string, change erp.SalesOrderChange) (canonical.SalesOrder, error) {
	return performErp(ctx, b.Operations, b.system(), erpOperation[canonical.SalesOrder]{
		key: key, kind: kind, orderID: orderID, reference: change.Number, input: change, hashOf: []any{change.Number, change.State},
		send: func(ctx context.Context, stored []byte) (canonical.SalesOrder, error) {
			sent, err := decoded[erp.SalesOrderChange](stored)
			if err != nil {
				return canonical.SalesOrder{}, err
			}
			return b.Port.ChangeSalesOrder(ctx, key, sent)
		},
	})
}

func (b *Booking) findInvoice(salesOrder string) func(context.Context) (canonical.Invoice, error) {
	return func(ctx context.Context) (canonical.Invoice, error) {
		return b.Port.FindInvoice(ctx, erp.InvoiceRef{SalesOrder: salesOrder})
	}
}

// findCreditMemo looks up the credit memo that an operation made. An ERP lists credit memos by their last change: no earlier than a day
// before the operation began, by whosever clock.
func (b *Booking) findCreditMemo(invoice string) func(context.Context, journal.Operation) (canonical.CreditMemo, error) {
	return func(ctx context.Context, stored journal.Operation) (canonical.CreditMemo, error) {
		return b.Port.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: stored.Reference, Invoice: invoice, Since: stored.CreatedAt.Add(-24 * time.Hour)})
	}
}

func (b *Booking) findReceipt(reference string) func(context.Context) (canonical.Receipt, error) {
	return func(ctx context.Context) (canonical.Receipt, error) { return b.Port.FindReceipt(ctx, reference) }
}

// undoable gives what an order's own booking made of a kind, as resolveErp does. Where the journal knows of no such operation, but the process of such a
// document, the ERP is asked: the journal beside it may have been lost, or be another worker's.
func undoable[R any](ctx context.Context, b *Booking, orderID, kind, document string, find func(context.Context) (R, error)) (made R, exists bool, err error) {
	made, exists, err = resolveErp(ctx, b.Operations, orderID, ofKind(kind), b.Settle, b.Clock(), whichever(find))
	if err != nil || exists || document == "" {
		return made, exists, err
	}
	all, err := b.Operations.ByOrder(ctx, orderID)
	if err != nil || slices.ContainsFunc(all, ofKind(kind)) {
		return made, false, err
	}
	made, err = find(ctx)
	if fault.Is(err, fault.NotFound) {
		return made, false, nil
	}
	return made, err == nil, err
}

// complete puts what is known now into a document that was mapped before money moved.
func (b *Booking) complete(in BookingInput) (erp.Document, error) {
	mapping, err := b.Mappings.Mapping(in.Document.Mapping)
	if err != nil {
		return erp.Document{}, mappings.AsFault(err)
	}
	document, err := mapping.Complete(in.Document, bookingMapping(in))
	if err != nil {
		return erp.Document{}, mappings.AsFault(err)
	}
	return erpDocument(document), nil
}

// mapped applies one of this ERP's mappings.
func (b *Booking) mapped(name string, in mappings.Input) (mappings.Document, error) {
	mapping, err := b.Mappings.Mapping(b.Name + "/" + name)
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	document, err := mapping.Apply(in)
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	return document, nil
}

// bookingMapping is what mappings read at a booking step.
func bookingMapping(in BookingInput) mappings.Input {
	state := erp.SalesOrderOpen
	if in.OnHold {
		state = erp.SalesOrderHold
	}
	return mappings.Input{
		Order: in.Order, Payment: in.Payment, Customer: mappings.CustomerRef{Code: in.CustomerCode},
		SalesOrder:  canonical.SalesOrder{Number: in.SalesOrder, OrderNumber: in.Order.OrderID},
		Invoice:     canonical.Invoice{Number: in.Invoice, SalesOrder: in.SalesOrder, Total: in.Order.Total, Currency: in.Order.Currency},
		OrderStatus: string(state), Site: in.Site, Date: in.Date,
	}
}

func orderTax(o canonical.Order) decimal.Decimal {
	tax := decimal.Zero
	for _, line := range o.Lines {
		tax = tax.Add(line.Tax)
	}
	return tax
}

func erpDocument(d mappings.Document) erp.Document {
	return erp.Document{Body: d.Body, Mapping: d.Mapping, Version: d.Version, Hash: d.Hash}
}

// withDocument sends the stored document: after a crash or a new mapping still the very same one.
func withDocument[R any](ctx context.Context, key string, stored []byte, send func(context.Context, string, erp.Document) (R, error)) (R, error) {
	document, err := decoded[erp.Document](stored)
	if err != nil {
		var none R
		return none, err
	}
	return send(ctx, key, document)
}

func decoded[T any](stored []byte) (T, error) {
	var value T
	if err := json.Unmarshal(stored, &value); err != nil {
		return value, fmt.Errorf("read stored request: %w", err)
	}
	return value, nil
}
