// Package erptest holds the one conformance suite that every adapter behind erp.Port passes. It speaks to a real counterpart, a sandbox
// most of the time, and creates its own documents under names of its own, so that it runs against a company in use.
package erptest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
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
	Unauthorised erp.Port // its credential is refused

	Documents Documents // makes documents in the ERP's dialect
	Company   Company

	// DropAfter makes the next call of the operation commit and lose its answer.
	DropAfter func(t *testing.T, operation Operation)
	// Count tells how many documents the ERP holds under a name.
	Count func(t *testing.T, ledger Ledger, name string) int
	// Clerk does by hand what only people do in the ERP. Needed with Changes.
	Clerk Clerk
	// ClosePeriod closes the receivables' period and gives the way to open it again. Nil: the ERP has no such thing.
	ClosePeriod func(t *testing.T) (open func())
	// CloseLedger closes the general ledger's period. Nil: the ERP has no such thing.
	CloseLedger func(t *testing.T) (open func())
}

// Clerk is a person at the ERP's own screens.
type Clerk interface {
	Ship(t *testing.T, salesOrder string, quantity int, carrier, tracking string) (number string)
	Cancel(t *testing.T, salesOrder, reason string)
	// CommitLate makes the next change one that was begun so long ago, as its time of change says.
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
	LongestOrder int       // longest order number
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
}

func newStage(h Harness) *stage { return &stage{Harness: h, prefix: rand.Text()[:6]} }

// name makes a fresh name of at most 13 characters: a short one fits every key of every ERP.
func (s *stage) name(kind string) string {
	return fmt.Sprintf("%s%s%d", kind, s.prefix, s.count.Add(1))
}

// key makes a fresh operation key of the shape that processes use.
func (s *stage) key() string { return "order/" + s.name("K") + ":step:1" }

func (s *stage) ctx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (s *stage) salesOrder() SalesOrder {
	return SalesOrder{OrderNumber: s.name("O"), Customer: s.Company.Customer, Currency: s.Company.Currency, StockCode: s.Company.StockCode,
		Warehouse: s.Company.Warehouse, Quantity: decimal.NewFromInt(2), UnitPrice: decimal.RequireFromString("19.95")}
}

// total of salesOrder.
var total = decimal.RequireFromString("39.90")
