package canonical

import (
	"time"

	"github.com/shopspring/decimal"
)

// Payment is the state of an order's money as Tenderline knows it.
type Payment struct {
	OrderID         string          `json:"orderId"`
	Status          PaymentStatus   `json:"status"`
	Currency        string          `json:"currency"`
	AuthorizationID string          `json:"authorizationId,omitempty"` // gateway transaction id of the authorization or sale
	CaptureID       string          `json:"captureId,omitempty"`       // gateway transaction id that settles: the capture, or the sale
	Authorized      decimal.Decimal `json:"authorized"`
	Captured        decimal.Decimal `json:"captured"`
	Refunded        decimal.Decimal `json:"refunded"`
	CardType        string          `json:"cardType,omitempty"` // three-digit gateway code, "001" is Visa
	CardSuffix      string          `json:"cardSuffix,omitempty"`
	ApprovalCode    string          `json:"approvalCode,omitempty"`
	Reconciliation  string          `json:"reconciliationId,omitempty"`
	Reason          string          `json:"reason,omitempty"` // the gateway's reason for a decline or review
	CustomerToken   string          `json:"customerToken,omitempty"`
	At              time.Time       `json:"at"`
}

// SalesOrder is the ERP's answer to a sales order.
type SalesOrder struct {
	Number       string            `json:"number"`      // the ERP's number
	OrderNumber  string            `json:"orderNumber"` // ours: the shop's order id
	CustomerCode string            `json:"customerCode"`
	Status       string            `json:"status"` // the ERP's code
	OnHold       bool              `json:"onHold,omitempty"`
	Total        decimal.Decimal   `json:"total"`
	Currency     string            `json:"currency"`
	Invoice      string            `json:"invoice,omitempty"` // last invoice number
	Lines        []SalesOrderLine  `json:"lines,omitempty"`
	Custom       map[string]string `json:"custom,omitempty"`
}

// SalesOrderLine tells what the ERP did with a line.
type SalesOrderLine struct {
	LineNumber  int             `json:"lineNumber"`
	StockCode   string          `json:"stockCode"`
	Quantity    decimal.Decimal `json:"quantity"`
	Allocated   decimal.Decimal `json:"allocated"`
	BackOrdered decimal.Decimal `json:"backOrdered"`
	Shipped     decimal.Decimal `json:"shipped"`
}

// Invoice is an AR invoice.
type Invoice struct {
	Number     string          `json:"number"`
	SalesOrder string          `json:"salesOrder,omitempty"`
	Total      decimal.Decimal `json:"total"`
	Balance    decimal.Decimal `json:"balance"`
	Currency   string          `json:"currency"`
	Status     string          `json:"status"`
}

// Receipt is an AR payment; Reference is the gateway transaction id it stands for.
type Receipt struct {
	Reference string          `json:"reference"`
	Journal   string          `json:"journal,omitempty"`
	Amount    decimal.Decimal `json:"amount"`
	Currency  string          `json:"currency"`
	Invoice   string          `json:"invoice,omitempty"`
}

// CreditMemo is an AR credit note; Reference is our operation key.
type CreditMemo struct {
	Number    string          `json:"number"`
	Reference string          `json:"reference"`
	Invoice   string          `json:"invoice"`
	Amount    decimal.Decimal `json:"amount"`
	Currency  string          `json:"currency"`
}

// Shipment is goods that left, as the ERP reports them.
type Shipment struct {
	Number     string         `json:"number"`
	SalesOrder string         `json:"salesOrder"`
	OrderID    string         `json:"orderId"`
	Carrier    string         `json:"carrier,omitempty"`
	Tracking   string         `json:"tracking,omitempty"`
	ShippedOn  string         `json:"shippedOn"` // ERP business date, YYYY-MM-DD
	Partial    bool           `json:"partial,omitempty"`
	Invoice    string         `json:"invoice,omitempty"`
	Lines      []ShipmentLine `json:"lines"`
}

// ShipmentLine is one line of a shipment.
type ShipmentLine struct {
	LineNumber int             `json:"lineNumber"`
	StockCode  string          `json:"stockCode"`
	Quantity   decimal.Decimal `json:"quantity"`
}

// JournalEntry is a GL journal: balanced to the minor unit, one currency.
type JournalEntry struct {
	Reference   string        `json:"reference"`
	Date        string        `json:"date"` // ERP business date, YYYY-MM-DD
	Currency    string        `json:"currency"`
	Description string        `json:"description"`
	Lines       []JournalLine `json:"lines"`
}

// JournalLine carries either a debit or a credit, both never negative.
type JournalLine struct {
	Account     string          `json:"account"`
	Debit       decimal.Decimal `json:"debit"`
	Credit      decimal.Decimal `json:"credit"`
	Description string          `json:"description,omitempty"`
	Reference   string          `json:"reference,omitempty"`
}

// Balanced tells whether debits equal credits.
func (j JournalEntry) Balanced() bool {
	sum := decimal.Zero
	for _, line := range j.Lines {
		sum = sum.Add(line.Debit).Sub(line.Credit)
	}
	return sum.IsZero()
}
