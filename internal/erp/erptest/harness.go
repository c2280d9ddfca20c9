// Package erptest holds the one conformance suite that every adapter behind erp.Port passes. It speaks to a real counterpart, a sandbox
// most of the time, and creates its own documents under names of its own, so that it runs against a company in use.
package erptest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// Operation names a mutation of the port.
type Operation string

// The mutations.
const (
	PutCustomer      Operation = "PutCustomer"
	CreateSalesOrder Operation = "CreateSalesOrder"
	ChangeSalesOrder Operation = "ChangeSalesOrder"
	CancelSalesOrder Operation = "CancelSalesOrder"
	CreateInvoice    Operation = "CreateInvoice"
	PostReceipt      Operation = "PostReceipt"
	ReverseReceipt   Operation = "ReverseReceipt"
	PostRefund       Operation = "PostRefund"
	CreateCreditMemo Operation = "CreateCreditMemo"
	SetPaymentStatus Operation = "SetPaymentStatus"
	Acknowledge      Operation = "AcknowledgeCreditMemo"
	SetTracking      Operation = "SetTracking"
	ApplyDeposit     Operation = "ApplyDeposit"
	PostJournal      Operation = "PostJournal"
	PostAPInvoice    Operation = "PostAPInvoice"
)

// Ledger names the documents that Harness.Count counts, and what they are counted by.
type Ledger string

// The ledgers.
const (
	Customers   Ledger = "customers"   // by code
	SalesOrders Ledger = "salesOrders" // by our order number
	Invoices    Ledger = "invoices"    // by sales order
	Payments    Ledger = "payments"    // by reference: receipts, their reversals and refunds
	CreditMemos Ledger = "creditMemos" // by reference
	Journals    Ledger = "journals"    // by reference
	APInvoices  Ledger = "apInvoices"  // by number
)

// Harness is an adapter with what stands behind it.
type Harness struct {
	Port     erp.Port
	Changes  erp.ChangePort  // nil: the adapter has none
	Journals erp.JournalPort // nil: the adapter has none

	Unreachable  erp.Port // nothing listens where it calls
	Unauthorised erp.Port // its credential is refused. Nil: the ERP asks for none

	Documents Documents // makes documents in the ERP's dialect
	Company   Company

	// DropAfter makes the next call of the operation commit and lose its answer.
	DropAfter func(t *testing.T, operation Operation)
	// Setbacks are the ways in which a call can come to nothing although nothing is wrong with it. A lost connection is one.
	Setbacks []Setback
	// Count tells how many documents the ERP holds under a name.
	Count func(t *testing.T, ledger Ledger, name string) int
	// Clerk does by hand what only people do in the ERP. Needed with Changes.
	Clerk Clerk
	// ClosePeriod closes the receivables' period and gives the way to open it again. Nil: the ERP has no such thing.
	ClosePeriod func(t *testing.T) (open func())
	// CloseLedger closes the general ledger's period. Nil: the ERP has no such thing.
	CloseLedger func(t *testing.T) (open func())
	// Hold makes a person work on the record of a sales order, and gives the way to let go of it.
	Hold func(t *testing.T, salesOrder string) (release func())
	// Exclusive makes somebody use the whole ERP alone, as period close and reindex do, and gives the way to end it. Nil: the ERP has no
	// such thing, or answers as if it was down.
	Exclusive func(t *testing.T) (release func())
	// Drift tells which of the ERP's running totals are not what its documents come to.
	Drift func(t *testing.T) []string
	// SetRate has people write down what a currency costs in the company's own from a date on. Needed where the adapter has exchange rates.
	SetRate func(t *testing.T, currency, date, rate string)
	// Limits are the text fields of the operations' documents with what they take.
	Limits map[Operation][]Limit
}

// Setback makes a call come to nothing: the ERP keeps nothing of it.
type Setback struct {
	Name  string // "connection lost before", "deadlock"
	Plant func(t *testing.T, operation Operation)
	// Kind is what the call fails with: of a lost connection fault.Connection where an adapter can tell that nothing was kept, else
	// fault.UnknownOutcome; of a deadlock fault.Busy.
	Kind fault.Kind
}

// Limit is a text field of a document.
type Limit struct {
	Field   string // path in the document, which is also how the fault names it: "LineItems[0].Description"
	Longest int    // characters
	Names   bool   // it names something that the ERP has to know, so that no other text of that length does
}

// Clerk is a person at the ERP's own screens.
type Clerk interface {
	Ship(t *testing.T, salesOrder string, quantity int, carrier, tracking string) (number string)
	Cancel(t *testing.T, salesOrder, reason string)
	// Credit credits what is left of an invoice.
	Credit(t *testing.T, invoice string) (number string)
	// CommitLate makes the next change one that was begun so long before it turns up, whatever tells in this ERP when a row was changed.
	CommitLate(t *testing.T, lag time.Duration)
}

// Company is what the ERP holds before the suite starts.
type Company struct {
	Currency     string
	Customer     string // neither on hold nor limited
	HeldCustomer string // on hold
	StockCode    string // with plenty in Warehouse
	Warehouse    string
	CancelReason string
	BankCode     string
	Supplier     string
	Accounts     [2]string // GL accounts that take journals
	Today        string    // a date in the open period, YYYY-MM-DD
	Longest      Lengths

	// ShipmentIsInvoice: the ERP invoices what a shipment sends when it is posted, so that an order has an invoice for each of its
	// shipments. Otherwise one invoice takes the whole order.
	ShipmentIsInvoice bool
}

// Lengths are the most characters that the names of documents and accounts have. All are needed.
type Lengths struct {
	Order           int // our order number
	Reference       int // ours, of receipts, refunds, credit memos and journals
	Customer        int
	StockCode       int
	Number          int // the ERP's, of sales orders, invoices and credit memos
	Supplier        int
	SupplierInvoice int
	Account         int
}

// Documents makes documents in the ERP's own field names. Equal input makes equal bytes.
type Documents interface {
	Customer(Customer) erp.Document
	SalesOrder(SalesOrder) erp.Document
	Invoice(salesOrder string) erp.Document
	Receipt(Receipt) erp.Document // without an invoice it is a deposit
	CreditMemo(CreditMemo) erp.Document
	APInvoice(APInvoice) erp.Document
}

// Customer is a customer to be made.
type Customer struct{ Code, ExternalID, Email, Name, Currency string }

// SalesOrder is a sales order of one line, without tax or freight.
type SalesOrder struct {
	OrderNumber, Customer, Currency string
	StockCode, Warehouse            string
	Quantity, UnitPrice             decimal.Decimal
	Hold                            bool
}

// Receipt pays one invoice.
type Receipt struct {
	Reference, Customer, Invoice, Currency string
	Amount                                 decimal.Decimal
}

// CreditMemo credits one invoice, without tax or restock.
type CreditMemo struct {
	Reference, Customer, Invoice, Currency string
	Amount                                 decimal.Decimal
}

// APInvoice is a supplier's invoice on one account.
type APInvoice struct {
	Number, Supplier, Account, Currency string
	Amount                              decimal.Decimal
}

// stage is a harness with names nobody used before.
type stage struct {
	Harness
	prefix string
	count  atomic.Int64
	short  sync.Map // the names that were made to fit
}

func newStage(h Harness) *stage { return &stage{Harness: h, prefix: rand.Text()[:6]} }

// name makes a fresh name of at most 13 characters.
func (s *stage) name(kind string) string {
	return fmt.Sprintf("%s%s%d", kind, s.prefix, s.count.Add(1))
}

// fit makes a fresh name for a key of so many characters: one that tells where it comes from, or where that does not fit, chance.
func (s *stage) fit(kind string, longest int) string {
	if name := s.name(kind); len(name) <= longest {
		return name
	}
	for {
		name := kind + rand.Text()[:longest-len(kind)]
		if _, used := s.short.LoadOrStore(name, true); !used {
			return name
		}
	}
}

// full makes two fresh names that take all of a key, and differ in their last characters alone.
func (s *stage) full(kind string, longest int) [2]string {
	start := s.fit(kind, longest-1)
	start += strings.Repeat("0", longest-1-len(start))
	return [2]string{start + "1", start + "2"}
}

func (s *stage) customerCode() string { return s.fit("C", s.Company.Longest.Customer) }
func (s *stage) stockCode() string    { return s.fit("S", s.Company.Longest.StockCode) }
func (s *stage) account() string      { return s.fit("A", s.Company.Longest.Account) }
func (s *stage) supplier() string     { return s.fit("V", s.Company.Longest.Supplier) }

// number is one that no document of the ERP has.
func (s *stage) number() string { return s.fit("N", s.Company.Longest.Number) }

// key makes a fresh operation key of the shape that processes use.
func (s *stage) key() string { return "order/" + s.name("K") + ":step:1" }

func (s *stage) ctx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (s *stage) salesOrder() SalesOrder {
	return SalesOrder{OrderNumber: s.name("O"), Customer: s.Company.Customer, Currency: s.Company.Currency, StockCode: s.Company.StockCode,
		Warehouse: s.Company.Warehouse, Quantity: decimal.NewFromInt(2), UnitPrice: unitPrice}
}

var (
	unitPrice = decimal.RequireFromString("19.95")
	total     = decimal.RequireFromString("39.90") // of salesOrder
	cent      = decimal.RequireFromString("0.01")
)
