package erp

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// ChangeQuery asks for one page of the documents of a kind that were changed at or after a time, ordered by the time of their last change,
// then by number.
type ChangeQuery struct {
	Since   time.Time // inclusive; zero: from the beginning
	Cursor  string    // of the page before: only what comes after it
	Limit   int       // most rows of the page; 0: as many as the ERP gives at once
	Pending bool      // credit memos: only those that wait for a refund
}

// ChangePage is one page. Next is the cursor of the next page, "" after the last; only the same question may be asked with it. A document
// that changes while pages are read moves to their end. An ERP may keep rows of the last seconds back, so that none is missed which is
// committed late: what changed meanwhile comes with a later question.
type ChangePage[T any] struct {
	Rows []Changed[T]
	Next string
}

// Changed is a document with the time of its last change, by the ERP's clock.
type Changed[T any] struct {
	Document T
	At       time.Time
}

// CreditMemo is a credit memo as the ERP lists it, whoever made it. Amounts are in Currency, never negative.
type CreditMemo struct {
	Number        string
	Reference     string // ours, where we made it
	CustomerCode  string
	SalesOrder    string
	OrderNumber   string // our order
	Invoice       string
	Amount        decimal.Decimal // tax included
	Tax           decimal.Decimal
	Currency      string
	Reason        string
	TransactionID string // of the payment that it is to be refunded from
	RefundStatus  RefundStatus
}

// RefundStatus is where the ERP sees the refund that a credit memo asks for; "" where it asks for none.
type RefundStatus string

// The refund statuses.
const (
	RefundPending    RefundStatus = "Pending"
	RefundProcessing RefundStatus = "Processing"
	RefundDone       RefundStatus = "Refunded"
	RefundFailed     RefundStatus = "Failed"
)

// Order is a sales order as the ERP lists it. State is what its status means to a process.
type Order struct {
	canonical.SalesOrder
	State  OrderState
	Reason string // why it is held or cancelled, where the ERP tells
}

// OrderState is where a sales order stands.
type OrderState string

// The states of a sales order.
const (
	OrderOpen      OrderState = "open"
	OrderReady     OrderState = "ready" // to be invoiced
	OrderHeld      OrderState = "held"
	OrderCancelled OrderState = "cancelled"
	OrderComplete  OrderState = "complete"
)

// Acknowledgement tells the ERP what became of the refund that a credit memo asked for; it makes no accounting entry.
type Acknowledgement struct {
	Number        string          `json:"number"`
	Refunded      bool            `json:"refunded"`
	TransactionID string          `json:"transactionId,omitempty"` // of the refund
	Amount        decimal.Decimal `json:"amount"`                  // what was refunded
	Currency      string          `json:"currency"`
	At            time.Time       `json:"at"`
	Failure       string          `json:"failure,omitempty"` // why it was not
}

// Tracking is where a parcel of a sales order is.
type Tracking struct {
	SalesOrder string `json:"salesOrder"`
	Carrier    string `json:"carrier,omitempty"`
	Number     string `json:"number"`
	ShippedOn  string `json:"shippedOn,omitempty"` // YYYY-MM-DD
}

// Deposit is what an AR payment still has to give. Unapplied is zero of one that was reversed.
type Deposit struct {
	Reference string
	Amount    decimal.Decimal
	Unapplied decimal.Decimal
	Currency  string
}

// DepositApplication pays an invoice out of a deposit. Reference is its own, by which FindReceipt finds it again.
type DepositApplication struct {
	Reference    string          `json:"reference"`
	Source       string          `json:"sourceReference"` // reference of the deposit
	CustomerCode string          `json:"customerCode"`
	Invoice      string          `json:"invoice"`
	Amount       decimal.Decimal `json:"amount"`
	Currency     string          `json:"currency"`
	Date         string          `json:"date"` // YYYY-MM-DD
	Narration    string          `json:"narration,omitempty"`
}

// ChangePort is what processes that start in an ERP ask of it. The contract of Port's mutations holds here too; an acknowledgement or a
// tracking number that the ERP has already changes nothing.
type ChangePort interface {
	ListCreditMemos(ctx context.Context, query ChangeQuery) (ChangePage[CreditMemo], error)
	ListShipments(ctx context.Context, query ChangeQuery) (ChangePage[canonical.Shipment], error)
	ListSalesOrders(ctx context.Context, query ChangeQuery) (ChangePage[Order], error)

	AcknowledgeCreditMemo(ctx context.Context, key string, acknowledgement Acknowledgement) error
	SetTracking(ctx context.Context, key string, tracking Tracking) error

	FindDeposit(ctx context.Context, reference string) (Deposit, error)
	ApplyDeposit(ctx context.Context, key string, application DepositApplication) (canonical.Receipt, error)
}
