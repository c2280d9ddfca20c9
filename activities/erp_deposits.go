package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// Kinds of a shipment's operations in AR.
const (
	kindShipmentReceipt = "shipment_receipt"
	kindApplication     = "deposit_application"
)

// BookShipment books the capture of a shipment: against the shipment's invoice where there is one that is open, else as a deposit; and tags
// the order. A shipment without a capture has nothing to book.
func (b *Booking) BookShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	booked, err := b.bookShipment(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) bookShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	if in.Payment.CaptureID == "" || !in.Amount.Amount.IsPositive() {
		return RefundBooked{Result: UndoNothing}, nil
	}
	receipt, err := b.shipmentReceipt(ctx, in)
	if err != nil {
		return RefundBooked{}, err
	}
	return RefundBooked{Result: UndoDone, Document: receipt.Reference}, b.tag(ctx, in.step(tagStep(erp.TagCaptured)), in.OrderID, erp.PaymentStatusChange{
		SalesOrder: in.SalesOrder, Invoice: in.Shipment.Invoice, TransactionID: in.Payment.CaptureID, Status: erp.TagCaptured,
		Amount: in.Payment.Captured, Currency: in.Amount.Currency, At: in.Payment.At,
	})
}

// shipmentReceipt posts the receipt, unless another attempt has, be it of a run before this one. Its reference is the capture.
func (b *Booking) shipmentReceipt(ctx context.Context, in ShipInput) (canonical.Receipt, error) {
	find := b.findPosting(in.Payment.CaptureID, in.Amount)
	made, exists, err := resolveErp(ctx, b.Operations, in.OrderID, in.former("receipt"), b.Settle, b.Clock(), whichever(find))
	if err != nil || exists {
		return made, err
	}
	key := in.step("receipt")
	_, begun, err := b.begun(ctx, key)
	if err != nil {
		return canonical.Receipt{}, err
	}
	var document mappings.Document
	if !begun { // else what was stored is sent, whatever the invoice is by now
		if document, err = b.receiptOf(ctx, in); err != nil {
			return canonical.Receipt{}, err
		}
	}
	return performErp(ctx, b.Operations, b.system(), erpOperation[canonical.Receipt]{
		key: key, kind: kindShipmentReceipt, orderID: in.OrderID, reference: in.Payment.CaptureID, amount: in.Amount, input: erpDocument(document),
		hashOf: []any{in.Payment.CaptureID}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			return withDocument(ctx, key, stored, b.Port.PostReceipt)
		},
		id: func(r canonical.Receipt) string { return r.Reference },
	})
}

// receiptOf maps the receipt of a shipment's capture. It pays what is open of the invoice; the rest stays unapplied.
func (b *Booking) receiptOf(ctx context.Context, in ShipInput) (mappings.Document, error) {
	payment := in.Payment
	payment.Captured, payment.Currency = in.Amount.Amount, in.Amount.Currency
	input := mappings.Input{
		Order: in.Order, Payment: payment, Customer: mappings.CustomerRef{Code: in.CustomerCode}, Site: in.Site, Date: in.Date,
		SalesOrder: canonical.SalesOrder{Number: in.SalesOrder, OrderNumber: in.OrderID},
	}
	if in.Shipment.Invoice != "" {
		invoice, err := b.Port.FindInvoice(ctx, erp.InvoiceRef{Number: in.Shipment.Invoice})
		if err != nil {
			return mappings.Document{}, err
		}
		if invoice.Balance.IsPositive() {
			invoice.Total = invoice.Balance
			input.Invoice = invoice
		}
	}
	document, err := b.mapped("receipt", input)
	if err != nil {
		return mappings.Document{}, err
	}
	mapping, err := b.Mappings.Mapping(document.Mapping)
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	// Everything is known now: a required member that is still empty is an error.
	document, err = mapping.Complete(document, input)
	if err != nil {
		return mappings.Document{}, mappings.AsFault(err)
	}
	return document, nil
}

// ApplyDeposits applies what the order has paid to the shipment's invoice, oldest deposit first; what it does not need stays a deposit. Once
// all of the order has left, what is left of its deposits pays its other invoices, as far as they are open: shares and invoices are rounded
// each by itself.
func (b *Booking) ApplyDeposits(ctx context.Context, in ShipInput) (RefundBooked, error) {
	booked, err := b.applyDeposits(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) applyDeposits(ctx context.Context, in ShipInput) (RefundBooked, error) {
	port, err := b.changePort()
	if err != nil {
		return RefundBooked{}, err
	}
	if in.Shipment.Invoice == "" {
		return RefundBooked{Result: UndoNothing}, nil
	}
	deposits, err := b.deposits(ctx, in)
	if err != nil {
		return RefundBooked{}, err
	}
	applied, err := b.pay(ctx, port, in, deposits)
	if err != nil {
		return RefundBooked{}, err
	}
	for _, invoice := range in.Invoices {
		other := in
		if other.Shipment.Invoice = invoice; invoice == in.Shipment.Invoice {
			continue
		}
		more, err := b.pay(ctx, port, other, deposits)
		if err != nil && !fault.Is(err, fault.NotFound) { // what the ERP does not have needs nothing
			return RefundBooked{}, err
		}
		applied = append(applied, more...)
	}
	if len(applied) == 0 {
		return RefundBooked{Result: UndoNothing}, nil
	}
	return RefundBooked{Result: UndoDone, Document: strings.Join(applied, ", ")}, nil
}

// pay applies deposits to the shipment's invoice, and gives the references of what is applied.
func (b *Booking) pay(ctx context.Context, port erp.ChangePort, in ShipInput, deposits []string) (applied []string, err error) {
	for _, source := range deposits {
		a := application{b, port, in, source, erp.Reference("apply:" + source + ":" + in.Shipment.Invoice)}
		made, err := a.apply(ctx)
		if err != nil {
			return nil, err
		}
		if made {
			applied = append(applied, a.reference)
		}
	}
	return applied, nil
}

// deposits are the references of what an order has paid, oldest first: the order's own receipt, those of its shipments, and what refunds have
// left of any of them. What is just being posted or replaced is waited for.
func (b *Booking) deposits(ctx context.Context, in ShipInput) ([]string, error) {
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return nil, err
	}
	var references []string
	for _, stored := range all {
		if stored.State == journal.OperationRefused || stored.State == journal.OperationAbsent {
			continue
		}
		switch stored.Kind {
		case kindReceipt, kindShipmentReceipt, kindRefundDeposit:
			if stored.State != journal.OperationSucceeded {
				return nil, b.busy("a receipt of the order is still on its way")
			}
			references = append(references, stored.Reference)
		case kindRefundReversal:
			var sent erp.ReceiptReversal
			if err := json.Unmarshal(stored.Request, &sent); err != nil {
				return nil, fmt.Errorf("read stored reversal: %w", err)
			}
			if _, err := replacement(all, stored, sent); err != nil {
				return nil, err
			}
		}
	}
	if len(references) == 0 && in.Payment.CaptureID != "" {
		references = append(references, in.Payment.CaptureID)
	}
	return references, nil
}

// application pays an invoice out of one deposit, at most once: its reference names both, so that two shipments of one invoice never apply
// the same money twice.
type application struct {
	*Booking
	port      erp.ChangePort
	in        ShipInput
	source    string
	reference string
}

// apply tells whether the deposit is applied to the invoice, by whomever.
func (a application) apply(ctx context.Context) (bool, error) {
	step := "apply-" + a.in.Shipment.Invoice + "-" + a.source
	find := a.findReceipt(a.reference)
	_, exists, err := resolveErp(ctx, a.Operations, a.in.OrderID, a.in.former(step), a.Settle, a.Clock(), whichever(find))
	if err != nil || exists {
		return exists, err
	}
	key := a.in.step(step)
	request, done, err := a.request(ctx, key)
	if err != nil || done || request.Amount.IsZero() {
		return done, err
	}
	_, err = performErp(ctx, a.Operations, a.system(), erpOperation[canonical.Receipt]{
		key: key, kind: kindApplication, orderID: a.in.OrderID, reference: a.reference,
		amount: canonical.NewMoney(request.Amount, request.Currency), input: request, hashOf: []any{a.source, a.in.Shipment.Invoice}, find: find,
		send: func(ctx context.Context, stored []byte) (canonical.Receipt, error) {
			sent, err := decoded[erp.DepositApplication](stored)
			if err != nil {
				return canonical.Receipt{}, err
			}
			return a.port.ApplyDeposit(ctx, key, sent)
		},
	})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.DeclinedByPolicy) {
		// Another shipment of the same invoice may have been faster.
		if _, lookup := find(ctx); lookup == nil {
			return true, nil
		}
	}
	return err == nil, err
}

// request is what there is to apply: as it was begun, else what the deposit can give of what the invoice lacks. done: it is applied already.
func (a application) request(ctx context.Context, key string) (request erp.DepositApplication, done bool, err error) {
	stored, begun, err := a.begun(ctx, key)
	if err != nil {
		return request, false, err
	}
	if begun {
		request, err = decoded[erp.DepositApplication](stored.Request)
		return request, false, err
	}
	if _, err := a.Port.FindReceipt(ctx, a.reference); err == nil || !fault.Is(err, fault.NotFound) {
		return request, err == nil, err
	}
	deposit, err := a.port.FindDeposit(ctx, a.source)
	if fault.Is(err, fault.NotFound) {
		return request, false, nil
	}
	if err != nil {
		return request, false, err
	}
	invoice, err := a.Port.FindInvoice(ctx, erp.InvoiceRef{Number: a.in.Shipment.Invoice})
	if err != nil {
		return request, false, err
	}
	if invoice.Currency != "" && deposit.Currency != invoice.Currency {
		return request, false, &fault.Fault{
			Kind: fault.Conflict, System: a.system(), Code: "CURRENCY_MISMATCH",
			Message: fmt.Sprintf("deposit %s is in %s, invoice %s in %s", a.source, deposit.Currency, invoice.Number, invoice.Currency),
		}
	}
	return erp.DepositApplication{
		Reference: a.reference, Source: a.source, CustomerCode: a.in.CustomerCode, Invoice: invoice.Number, Date: a.in.Date, Narration: a.in.OrderID,
		Amount: decimal.Max(decimal.Min(deposit.Unapplied, invoice.Balance), decimal.Zero), Currency: deposit.Currency,
	}, false, nil
}
