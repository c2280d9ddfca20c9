// Package erp is the port behind which every ERP sits. An adapter translates mapped documents and look-ups into its system's
// dialect and failures into *fault.Fault; it decides nothing about the process.
//
// Contract of every mutation: it takes the operation's idempotency key, sends the document as it is given, and is safe to call
// again with the same key and document. Where the ERP answers that the document's natural key exists already, the adapter
// compares amount and currency: an identical document is adopted and returned as success, another one is a fault of kind Conflict.
// A mutation whose answer was lost returns a fault of kind UnknownOutcome; the caller looks up before it calls again.
// Look-ups that find nothing return a fault of kind NotFound.
package erp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Document is a mapped document: the body in the ERP's own field names, as a mapping made it.
type Document struct {
	Body    json.RawMessage `json:"body"`
	Mapping string          `json:"mapping"` // "syspro/sales_order"
	Version string          `json:"version"`
	Hash    string          `json:"hash"`
}

// CustomerRef names a customer by code, or by the shop's id for it.
type CustomerRef struct {
	Code       string `json:"code,omitempty"`
	ExternalID string `json:"externalId,omitempty"`
}

// Customer is what a process needs to know of a customer account. Amounts are in Currency.
type Customer struct {
	Code            string          `json:"code"`
	Currency        string          `json:"currency"`
	OnHold          bool            `json:"onHold,omitempty"`
	CreditLimited   bool            `json:"creditLimited,omitempty"` // a limit is checked; AvailableCredit says what is left
	AvailableCredit decimal.Decimal `json:"availableCredit"`
	CreditLimit     decimal.Decimal `json:"creditLimit,omitzero"` // zero where none is checked, or the ERP does not tell
	TermsCode       string          `json:"termsCode,omitempty"`
}

// StockQuery asks for the free quantity of stock codes in one warehouse ("" for all).
type StockQuery struct {
	StockCodes []string `json:"stockCodes"`
	Warehouse  string   `json:"warehouse,omitempty"`
}

// StockBalance is the free quantity of one stock code; Known is false for a code the ERP does not have.
type StockBalance struct {
	StockCode string          `json:"stockCode"`
	Known     bool            `json:"known"`
	Available decimal.Decimal `json:"available"`
}

// SalesOrderRef names a sales order by the ERP's number, or by ours (with the customer where known).
type SalesOrderRef struct {
	Number       string `json:"number,omitempty"`
	OrderNumber  string `json:"orderNumber,omitempty"`
	CustomerCode string `json:"customerCode,omitempty"`
}

// SalesOrderState is what a process asks a sales order to become.
type SalesOrderState string

// The states a process sets.
const (
	SalesOrderOpen  SalesOrderState = "open"  // released, goods may be picked
	SalesOrderReady SalesOrderState = "ready" // ready to invoice
	SalesOrderHold  SalesOrderState = "hold"  // suspended
)

// SalesOrderChange moves a sales order to a state.
type SalesOrderChange struct {
	Number string          `json:"number"`
	State  SalesOrderState `json:"state"`
}

// SalesOrderCancellation cancels a sales order that was not invoiced.
type SalesOrderCancellation struct {
	Number string `json:"number"`
	Reason string `json:"reason"` // the site's cancel reason code
}

// InvoiceRef names an invoice by its number or by the sales order it was made from.
type InvoiceRef struct {
	Number     string `json:"number,omitempty"`
	SalesOrder string `json:"salesOrder,omitempty"`
}

// ReceiptReversal takes a receipt back; the invoices it paid are open again.
type ReceiptReversal struct {
	Reference    string          `json:"reference"`       // unique reference of the reversal itself
	Source       string          `json:"sourceReference"` // reference of the receipt
	CustomerCode string          `json:"customerCode"`
	Date         string          `json:"date"` // YYYY-MM-DD
	Amount       decimal.Decimal `json:"amount"`
	Currency     string          `json:"currency"`
	BankCode     string          `json:"bankCode"`
	Narration    string          `json:"narration,omitempty"`
}

// RefundPosting is money that was paid back: it leaves the bank and closes a credit memo, in part or whole. Reference is the gateway's
// transaction id of the refund, by which FindReceipt finds the posting again.
type RefundPosting struct {
	Reference     string          `json:"reference"`
	CustomerCode  string          `json:"customerCode"`
	CreditMemo    string          `json:"creditMemo"` // the ERP's number
	Amount        decimal.Decimal `json:"amount"`
	Currency      string          `json:"currency"`
	Date          string          `json:"date"` // YYYY-MM-DD
	BankCode      string          `json:"bankCode,omitempty"`
	Narration     string          `json:"narration,omitempty"`
	TransactionID string          `json:"transactionId"`
}

// CreditMemoRef names a credit memo by the reference we gave it; Since bounds the search.
type CreditMemoRef struct {
	Reference string    `json:"reference"`
	Invoice   string    `json:"invoice,omitempty"`
	Since     time.Time `json:"since"`
}

// PaymentStatusChange tags order and invoice with what became of the money; it makes no accounting entry.
type PaymentStatusChange struct {
	SalesOrder    string          `json:"salesOrder,omitempty"`
	Invoice       string          `json:"invoice,omitempty"`
	TransactionID string          `json:"transactionId"`
	Status        PaymentTag      `json:"status"`
	Amount        decimal.Decimal `json:"amount"`
	Currency      string          `json:"currency"`
	At            time.Time       `json:"at"`
}

// PaymentTag is the payment status as the ERP shows it.
type PaymentTag string

// The tags of the ERP's payment status.
const (
	TagAuthorized        PaymentTag = "Authorized"
	TagCaptured          PaymentTag = "Captured"
	TagPaid              PaymentTag = "Paid"
	TagPartiallyRefunded PaymentTag = "PartiallyRefunded"
	TagRefunded          PaymentTag = "Refunded"
	TagVoided            PaymentTag = "Voided"
	TagChargedBack       PaymentTag = "ChargedBack"
	TagDisputeWon        PaymentTag = "ChargebackReversed"
	TagFailed            PaymentTag = "Failed"
)

// Port is what the processes ask of an ERP.
type Port interface {
	FindCustomer(ctx context.Context, ref CustomerRef) (Customer, error)
	PutCustomer(ctx context.Context, key string, doc Document) (Customer, error)
	Stock(ctx context.Context, query StockQuery) ([]StockBalance, error)

	FindSalesOrder(ctx context.Context, ref SalesOrderRef) (canonical.SalesOrder, error)
	CreateSalesOrder(ctx context.Context, key string, doc Document) (canonical.SalesOrder, error)
	ChangeSalesOrder(ctx context.Context, key string, change SalesOrderChange) (canonical.SalesOrder, error)
	CancelSalesOrder(ctx context.Context, key string, cancellation SalesOrderCancellation) (canonical.SalesOrder, error)

	FindInvoice(ctx context.Context, ref InvoiceRef) (canonical.Invoice, error)
	CreateInvoice(ctx context.Context, key string, doc Document) (canonical.Invoice, error)

	FindReceipt(ctx context.Context, reference string) (canonical.Receipt, error)
	PostReceipt(ctx context.Context, key string, doc Document) (canonical.Receipt, error)
	ReverseReceipt(ctx context.Context, key string, reversal ReceiptReversal) (canonical.Receipt, error)
	PostRefund(ctx context.Context, key string, refund RefundPosting) (canonical.Receipt, error)

	FindCreditMemo(ctx context.Context, ref CreditMemoRef) (canonical.CreditMemo, error)
	CreateCreditMemo(ctx context.Context, key string, doc Document) (canonical.CreditMemo, error)

	SetPaymentStatus(ctx context.Context, key string, change PaymentStatusChange) error

	// Check proves credential and reach without changing anything.
	Check(ctx context.Context) error
}

// JournalPosting is the ERP's answer to a GL journal entry.
type JournalPosting struct {
	Reference string          `json:"reference"`
	Number    string          `json:"number"` // the ERP's journal number
	Year      int             `json:"year,omitempty"`
	Period    int             `json:"period,omitempty"`
	Total     decimal.Decimal `json:"total"` // sum of the debits

	Lines []canonical.JournalLine `json:"lines,omitempty"` // where a look-up tells them
}

// Is tells whether a posting has the accounts and amounts of an entry, in any order. One that tells no lines is held to its total.
func (p JournalPosting) Is(entry canonical.JournalEntry) bool {
	debits := decimal.Zero
	for _, line := range entry.Lines {
		debits = debits.Add(line.Debit)
	}
	return p.Total.Equal(debits) && (len(p.Lines) == 0 || slices.Equal(movements(p.Lines), movements(entry.Lines)))
}

// movements lists what lines move, so that those of two entries can be compared.
func movements(lines []canonical.JournalLine) []string {
	moved := make([]string, 0, len(lines))
	for _, line := range lines {
		moved = append(moved, strings.ToUpper(strings.TrimSpace(line.Account))+" "+line.Debit.Sub(line.Credit).String())
	}
	slices.Sort(moved)
	return moved
}

// APInvoiceRef names an invoice of a supplier.
type APInvoiceRef struct {
	SupplierCode string `json:"supplierCode"`
	Number       string `json:"number"`
}

// APInvoice is the ERP's answer to a supplier's invoice.
type APInvoice struct {
	SupplierCode string          `json:"supplierCode"`
	Number       string          `json:"number"`
	Journal      string          `json:"journal,omitempty"`
	Total        decimal.Decimal `json:"total"`
	Currency     string          `json:"currency"`
}

// JournalPort is what settlement asks of an ERP: entries in the general ledger and fees owed to the processor. The contract of Port's
// mutations holds here too.
type JournalPort interface {
	FindJournal(ctx context.Context, reference string) (JournalPosting, error)
	PostJournal(ctx context.Context, key string, entry canonical.JournalEntry) (JournalPosting, error)
	FindAPInvoice(ctx context.Context, ref APInvoiceRef) (APInvoice, error)
	PostAPInvoice(ctx context.Context, key string, doc Document) (APInvoice, error)
}
