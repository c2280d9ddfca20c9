package syspro

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindInvoice looks an AR invoice up by its number or by its sales order.
func (c *Client) FindInvoice(ctx context.Context, ref erp.InvoiceRef) (canonical.Invoice, error) {
	query := url.Values{}
	switch {
	case ref.Number != "":
		query.Set("InvoiceNumber", ref.Number)
	case ref.SalesOrder != "":
		query.Set("SalesOrder", ref.SalesOrder)
	default:
		return canonical.Invoice{}, c.bug("an invoice look-up needs a number or a sales order")
	}
	var got wireInvoice
	if err := c.get(ctx, pathGetInvoice, query, &got); err != nil {
		return canonical.Invoice{}, err
	}
	return got.canonical(), nil
}

// CreateInvoice invoices a sales order (the ERP takes the amounts from it; Currency may stay empty) or a free-standing value.
func (c *Client) CreateInvoice(ctx context.Context, key string, doc erp.Document) (canonical.Invoice, error) {
	var wanted struct {
		SalesOrder, InvoiceNumber, Currency string
		InvoiceTotal                        number
	}
	if err := c.read(doc, &wanted); err != nil {
		return canonical.Invoice{}, err
	}
	var got wireInvoice
	exists, err := c.create(ctx, pathAddInvoice, key, doc.Body, &got)
	if err != nil {
		return canonical.Invoice{}, err
	}
	if !exists {
		if wanted.SalesOrder != "" && got.SalesOrder != "" && !sameKey(got.SalesOrder, wanted.SalesOrder) {
			return canonical.Invoice{}, c.mismatched(pathAddInvoice)
		}
		invoice := got.canonical()
		invoice.SalesOrder = firstOf(invoice.SalesOrder, wanted.SalesOrder)
		invoice.Currency = firstOf(invoice.Currency, wanted.Currency)
		return invoice, nil
	}
	held, err := c.FindInvoice(ctx, erp.InvoiceRef{Number: wanted.InvoiceNumber, SalesOrder: wanted.SalesOrder})
	if err != nil {
		return canonical.Invoice{}, c.unseen(err)
	}
	if !same(number{held.Total, true}, wanted.InvoiceTotal, held.Currency, wanted.Currency) ||
		(wanted.SalesOrder != "" && !sameKey(held.SalesOrder, wanted.SalesOrder)) {
		return canonical.Invoice{}, c.different("an invoice of this number exists with another total, currency or sales order")
	}
	return held, nil
}

// FindReceipt looks an AR payment up by the reference we gave it.
func (c *Client) FindReceipt(ctx context.Context, reference string) (canonical.Receipt, error) {
	got, err := c.findPayment(ctx, reference)
	if err != nil {
		return canonical.Receipt{}, err
	}
	return got.canonical(), nil
}

func (c *Client) findPayment(ctx context.Context, reference string) (wirePayment, error) {
	if reference == "" {
		return wirePayment{}, c.bug("a receipt look-up needs a reference")
	}
	var got wirePayment
	err := c.get(ctx, pathGetPayment, url.Values{"PaymentReference": {reference}}, &got)
	return got, err
}

// PostReceipt posts an AR payment: a receipt against invoices, a deposit, its application, or a refund against a credit memo.
func (c *Client) PostReceipt(ctx context.Context, key string, doc erp.Document) (canonical.Receipt, error) {
	var wanted payment
	if err := c.read(doc, &wanted); err != nil {
		return canonical.Receipt{}, err
	}
	return c.postPayment(ctx, key, wanted, doc.Body)
}

// payment is what of an AR payment its answer is compared with.
type payment struct {
	PaymentReference string
	PaymentType      string
	SourceReference  string
	CustomerCode     string
	Currency         string
	Amount           number
	document         string // of a refund or an application: the credit memo or invoice that it is allocated to
}

type reversal struct {
	PaymentReference string
	PaymentType      string
	SourceReference  string
	CustomerCode     string
	PaymentDate      string
	Amount           json.Number
	Currency         string
	BankCode         string
	Narration        string `json:",omitempty"`
}

// ReverseReceipt takes a receipt back; its invoices are open again.
func (c *Client) ReverseReceipt(ctx context.Context, key string, r erp.ReceiptReversal) (canonical.Receipt, error) {
	body, err := c.write(reversal{PaymentReference: r.Reference, PaymentType: paymentTypeReversal, SourceReference: r.Source,
		CustomerCode: r.CustomerCode, PaymentDate: r.Date, Amount: money(r.Amount, r.Currency), Currency: r.Currency,
		BankCode: r.BankCode, Narration: r.Narration})
	if err != nil {
		return canonical.Receipt{}, err
	}
	return c.postPayment(ctx, key, payment{PaymentReference: r.Reference, PaymentType: paymentTypeReversal, SourceReference: r.Source,
		CustomerCode: r.CustomerCode, Currency: r.Currency, Amount: number{r.Amount, true}}, body)
}

type refund struct {
	PaymentReference string
	PaymentType      string
	CustomerCode     string
	PaymentDate      string
	Amount           json.Number
	Currency         string
	BankCode         string `json:",omitempty"`
	Allocations      []allocation
	Narration        string `json:",omitempty"`
	TransactionID    string `json:"TransactionId"`
}

type allocation struct {
	InvoiceNumber string // the credit memo or invoice
	Amount        json.Number
}

// PostRefund posts money that was paid back against a credit memo. One of the same reference is adopted where amount, currency, customer
// and credit memo are the same.
func (c *Client) PostRefund(ctx context.Context, key string, r erp.RefundPosting) (canonical.Receipt, error) {
	amount := money(r.Amount, r.Currency)
	body, err := c.write(refund{PaymentReference: r.Reference, PaymentType: paymentTypeRefund, CustomerCode: r.CustomerCode, PaymentDate: r.Date,
		Amount: amount, Currency: r.Currency, BankCode: r.BankCode, Allocations: []allocation{{InvoiceNumber: r.CreditMemo, Amount: amount}},
		Narration: r.Narration, TransactionID: r.TransactionID})
	if err != nil {
		return canonical.Receipt{}, err
	}
	return c.postPayment(ctx, key, payment{PaymentReference: r.Reference, PaymentType: paymentTypeRefund, CustomerCode: r.CustomerCode,
		Currency: r.Currency, Amount: number{r.Amount, true}, document: r.CreditMemo}, body)
}

func (c *Client) postPayment(ctx context.Context, key string, wanted payment, body []byte) (canonical.Receipt, error) {
	var got wirePayment
	exists, err := c.create(ctx, pathAddPayment, key, body, &got)
	if err != nil {
		return canonical.Receipt{}, err
	}
	if !exists {
		if !sameReference(got.PaymentReference, wanted.PaymentReference) {
			return canonical.Receipt{}, c.mismatched(pathAddPayment)
		}
		receipt := got.canonical()
		receipt.Amount, receipt.Currency = wanted.Amount.Decimal, wanted.Currency // AddARPayment's answer does not repeat them
		return receipt, nil
	}
	held, err := c.findPayment(ctx, wanted.PaymentReference)
	if err != nil {
		return canonical.Receipt{}, c.unseen(err)
	}
	if !sameReference(held.PaymentReference, wanted.PaymentReference) || !held.is(wanted) {
		return canonical.Receipt{}, c.different("a payment of this reference exists with another amount, currency, kind, customer or document")
	}
	return held.canonical(), nil
}

// is compares what must never be mixed up: a reversal adopted as a receipt would lose money twice. What the facade does not tell beyond
// amount and currency can't differ.
func (w *wirePayment) is(wanted payment) bool {
	return same(w.Amount, wanted.Amount, w.Currency, wanted.Currency) &&
		(w.PaymentType == "" || wanted.PaymentType == "" || w.PaymentType == wanted.PaymentType) &&
		(w.SourceReference == "" || sameReference(w.SourceReference, wanted.SourceReference)) &&
		(w.CustomerCode == "" || wanted.CustomerCode == "" || sameKey(w.CustomerCode, wanted.CustomerCode)) &&
		(len(w.Allocations) == 0 || wanted.document == "" || sameKey(w.Allocations[0].InvoiceNumber, wanted.document))
}

const (
	creditMemoPage = 500 // the facade's maximum
	maxPages       = 200 // 100,000 credit memos; a search beyond is no search
	listHoldBack   = 3 * time.Second
	searchOverlap  = time.Minute // between the ERP's clock and ours
)

// FindCreditMemo walks through the credit memos changed since ref.Since for the one with our reference. The facade keeps rows of the last
// seconds out of its lists, so NotFound right after a lost answer is no proof of absence; sending again under the same idempotency key
// is safe all the same.
func (c *Client) FindCreditMemo(ctx context.Context, ref erp.CreditMemoRef) (canonical.CreditMemo, error) {
	if ref.Reference == "" {
		return canonical.CreditMemo{}, c.bug("a credit memo look-up needs a reference")
	}
	query := url.Values{"Limit": {strconv.Itoa(creditMemoPage)}}
	if !ref.Since.IsZero() {
		query.Set("ChangedSince", ref.Since.Add(-searchOverlap).UTC().Format(time.RFC3339))
	}
	for range maxPages {
		var page wireCreditMemos
		if err := c.get(ctx, pathListCreditMemos, query, &page); err != nil {
			return canonical.CreditMemo{}, err
		}
		for _, memo := range page.CreditMemos {
			if memo.is(ref) {
				return memo.canonical(), nil
			}
		}
		if !page.HasMore {
			return canonical.CreditMemo{}, c.refuse(fault.NotFound, "CREDIT_MEMO_NOT_FOUND", "no credit memo has this reference")
		}
		if page.NextCursor == "" || page.NextCursor == query.Get("Cursor") {
			return canonical.CreditMemo{}, c.bug("the list of credit memos has more, but its cursor does not move")
		}
		query.Set("Cursor", page.NextCursor)
	}
	return canonical.CreditMemo{}, c.bug("the list of credit memos is too long to search; give a later date to search from")
}

func (w *wireCreditMemo) is(ref erp.CreditMemoRef) bool {
	return w.Reference == ref.Reference && (ref.Invoice == "" || sameKey(w.OriginalInvoice, ref.Invoice))
}

// CreateCreditMemo credits an invoice.
func (c *Client) CreateCreditMemo(ctx context.Context, key string, doc erp.Document) (canonical.CreditMemo, error) {
	var wanted struct {
		Reference, OriginalInvoice, Currency string
		Amount                               number
	}
	if err := c.read(doc, &wanted); err != nil {
		return canonical.CreditMemo{}, err
	}
	var got wireCreditMemo
	exists, err := c.create(ctx, pathAddCreditMemo, key, doc.Body, &got)
	if err != nil {
		return canonical.CreditMemo{}, err
	}
	if !exists {
		return canonical.CreditMemo{Number: got.CreditMemoNumber, Reference: wanted.Reference, Invoice: wanted.OriginalInvoice,
			Amount: wanted.Amount.Decimal, Currency: wanted.Currency}, nil
	}
	held, err := c.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: wanted.Reference})
	if err != nil {
		return canonical.CreditMemo{}, c.unseen(err)
	}
	if !same(number{held.Amount, true}, wanted.Amount, held.Currency, wanted.Currency) || !sameKey(held.Invoice, wanted.OriginalInvoice) {
		return canonical.CreditMemo{}, c.different("a credit memo of this reference exists with another amount, currency or invoice")
	}
	return held, nil
}

type paymentStatus struct {
	SalesOrder    string `json:",omitempty"`
	InvoiceNumber string `json:",omitempty"`
	TransactionID string `json:"TransactionId"`
	PaymentStatus erp.PaymentTag
	Amount        json.Number
	At            string
}

// SetPaymentStatus tags order and invoice.
func (c *Client) SetPaymentStatus(ctx context.Context, key string, change erp.PaymentStatusChange) error {
	body, err := c.write(paymentStatus{SalesOrder: change.SalesOrder, InvoiceNumber: change.Invoice, TransactionID: change.TransactionID,
		PaymentStatus: change.Status, Amount: money(change.Amount, change.Currency), At: change.At.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return c.post(ctx, pathPaymentStatus, key, body, &answer{})
}
