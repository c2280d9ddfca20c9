package canonical

import (
	"time"

	"github.com/shopspring/decimal"
)

// Payment is the state of an order's money as Tenderline knows it.
type Payment struct {
	OrderID         string          `json:"orderId" expr:"orderId"`
	Status          PaymentStatus   `json:"status" expr:"status"`
	Currency        string          `json:"currency" expr:"currency"`
	AuthorizationID string          `json:"authorizationId,omitempty" expr:"authorizationId"` // gateway transaction id of the authorization or sale
	CaptureID       string          `json:"captureId,omitempty" expr:"captureId"`             // gateway transaction id that settles: the capture, or the sale
	Authorized      decimal.Decimal `json:"authorized" expr:"authorized"`
	Captured        decimal.Decimal `json:"captured" expr:"captured"`
	Refunded        decimal.Decimal `json:"refunded" expr:"refunded"`
	CardType        string          `json:"cardType,omitempty" expr:"cardType"` // three-digit gateway code, "001" is Visa
	CardSuffix      string          `json:"cardSuffix,omitempty" expr:"cardSuffix"`
	ApprovalCode    string          `json:"approvalCode,omitempty" expr:"approvalCode"`
	Reconciliation  string          `json:"reconciliationId,omitempty" expr:"reconciliationId"`
	Reason          string          `json:"reason,omitempty" expr:"reason"` // the gateway's reason for a decline or review
	CustomerToken   string          `json:"customerToken,omitempty" expr:"customerToken"`
	At              time.Time       `json:"at" expr:"at"`
}

// SalesOrder is the ERP's answer to a sales order.
type SalesOrder struct {
	Number       string            `json:"number" expr:"number"`           // the ERP's number
	OrderNumber  string            `json:"orderNumber" expr:"orderNumber"` // ours: the shop's order id
	CustomerCode string            `json:"customerCode" expr:"customerCode"`
	Status       string            `json:"status" expr:"status"` // the ERP's code
	OnHold       bool              `json:"onHold,omitempty" expr:"onHold"`
	Total        decimal.Decimal   `json:"total" expr:"total"`
	Currency     string            `json:"currency" expr:"currency"`
	Invoice      string            `json:"invoice,omitempty" expr:"invoice"` // last invoice number
	Lines        []SalesOrderLine  `json:"lines,omitempty" expr:"lines"`
	Custom       map[string]string `json:"custom,omitempty" expr:"custom"`
}

// SalesOrderLine tells what the ERP did with a line.
type SalesOrderLine struct {
	LineNumber  int             `json:"lineNumber" expr:"lineNumber"`
	StockCode   string          `json:"stockCode" expr:"stockCode"`
	Quantity    decimal.Decimal `json:"quantity" expr:"quantity"`
	Allocated   decimal.Decimal `json:"allocated" expr:"allocated"`
	BackOrdered decimal.Decimal `json:"backOrdered" expr:"backOrdered"`
	Shipped     decimal.Decimal `json:"shipped" expr:"shipped"`
}

// Invoice is an AR invoice.
type Invoice struct {
	Number     string          `json:"number" expr:"number"`
	SalesOrder string          `json:"salesOrder,omitempty" expr:"salesOrder"`
	Total      decimal.Decimal `json:"total" expr:"total"`
	Balance    decimal.Decimal `json:"balance" expr:"balance"`
	Currency   string          `json:"currency" expr:"currency"`
	Status     string          `json:"status" expr:"status"`
}

// Receipt is an AR payment; Reference is the gateway transaction id it stands for.
type Receipt struct {
	Reference string          `json:"reference" expr:"reference"`
	Journal   string          `json:"journal,omitempty" expr:"journal"`
	Amount    decimal.Decimal `json:"amount" expr:"amount"`
	Currency  string          `json:"currency" expr:"currency"`
	Invoice   string          `json:"invoice,omitempty" expr:"invoice"`
}

// CreditMemo is an AR credit note; Reference is our operation key.
type CreditMemo struct {
	Number    string          `json:"number" expr:"number"`
	Reference string          `json:"reference" expr:"reference"`
	Invoice   string          `json:"invoice" expr:"invoice"`
	Amount    decimal.Decimal `json:"amount" expr:"amount"`
	Currency  string          `json:"currency" expr:"currency"`
}

// Shipment is goods that left, as the ERP reports them.
type Shipment struct {
	Number     string         `json:"number" expr:"number"`
	SalesOrder string         `json:"salesOrder" expr:"salesOrder"`
	OrderID    string         `json:"orderId" expr:"orderId"`
	Carrier    string         `json:"carrier,omitempty" expr:"carrier"`
	Tracking   string         `json:"tracking,omitempty" expr:"tracking"`
	ShippedOn  string         `json:"shippedOn" expr:"shippedOn"` // ERP business date, YYYY-MM-DD
	Partial    bool           `json:"partial,omitempty" expr:"partial"`
	Invoice    string         `json:"invoice,omitempty" expr:"invoice"`
	Lines      []ShipmentLine `json:"lines" expr:"lines"`
}

// ShipmentLine is one line of a shipment.
type ShipmentLine struct {
	LineNumber int             `json:"lineNumber" expr:"lineNumber"`
	StockCode  string          `json:"stockCode" expr:"stockCode"`
	Quantity   decimal.Decimal `json:"quantity" expr:"quantity"`
}

// JournalEntry is a GL journal: balanced to the minor unit, one currency.
type JournalEntry struct {
	Reference   string        `json:"reference" expr:"reference"`
	Date        string        `json:"date" expr:"date"` // ERP business date, YYYY-MM-DD
	Currency    string        `json:"currency" expr:"currency"`
	Description string        `json:"description" expr:"description"`
	Lines       []JournalLine `json:"lines" expr:"lines"`
}

// JournalLine carries either a debit or a credit, both never negative.
type JournalLine struct {
	Account     string          `json:"account" expr:"account"`
	Debit       decimal.Decimal `json:"debit" expr:"debit"`
	Credit      decimal.Decimal `json:"credit" expr:"credit"`
	Description string          `json:"description,omitempty" expr:"description"`
	Reference   string          `json:"reference,omitempty" expr:"reference"`
}

// Balanced tells whether debits equal credits.
func (j JournalEntry) Balanced() bool {
	sum := decimal.Zero
	for _, line := range j.Lines {
		sum = sum.Add(line.Debit).Sub(line.Credit)
	}
	return sum.IsZero()
}
