package activities

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// ChangeFeed names what an ERP is asked for what changed.
type ChangeFeed string

// The feeds.
const (
	FeedCreditMemos ChangeFeed = "credit_memo"
	FeedShipments   ChangeFeed = "shipment"
	FeedOrders      ChangeFeed = "sales_order"
	FeedStock       ChangeFeed = "stock"
)

// ReadCursorInput asks where the poll of a feed stands.
type ReadCursorInput struct {
	Erp  string     `json:"erp"`
	Feed ChangeFeed `json:"feed"`
}

// FeedCursor is where the poll of a feed stands: everything up to Watermark is durable here. Zero: never polled.
type FeedCursor struct {
	Watermark time.Time `json:"watermark,omitzero"`
}

// PollChangesInput asks an ERP for one page of what changed at or after a time, oldest first.
type PollChangesInput struct {
	Feed   ChangeFeed `json:"feed"`
	Since  time.Time  `json:"since"`            // inclusive: the watermark less the overlap
	Cursor string     `json:"cursor,omitempty"` // of the page before
	Limit  int        `json:"limit"`
}

// ChangePage is one page. Next is the cursor of the next one, "" after the last.
type ChangePage struct {
	Changes []Change  `json:"changes,omitempty"`
	Next    string    `json:"next,omitempty"`
	Latest  time.Time `json:"latest,omitzero"` // the time of its last change, by the ERP's clock
}

// Change is something that happened in an ERP. ID is the same for the same change however often it is told: number and time of the
// change. One of the last four is set, by Feed.
type Change struct {
	ID       string              `json:"id"`
	Feed     ChangeFeed          `json:"feed"`
	Number   string              `json:"number"`            // of the document
	OrderID  string              `json:"orderId,omitempty"` // ours, where the ERP tells
	At       time.Time           `json:"at"`
	Memo     *MemoChange         `json:"memo,omitempty"`
	Shipment *canonical.Shipment `json:"shipment,omitempty"`
	Order    *SalesOrderChange   `json:"order,omitempty"`
	Stock    *StockChange        `json:"stock,omitempty"`
}

// MemoChange is a credit memo in the ERP that may ask for a refund. Own tells that we made it: it is acknowledged and never refunded.
type MemoChange struct {
	Number        string          `json:"number"`
	Own           bool            `json:"own,omitempty"`
	Reference     string          `json:"reference,omitempty"` // erp.Reference of our operation, of an own one
	CustomerCode  string          `json:"customerCode"`
	SalesOrder    string          `json:"salesOrder,omitempty"`
	Invoice       string          `json:"invoice,omitempty"`
	Amount        decimal.Decimal `json:"amount"` // tax included
	Tax           decimal.Decimal `json:"tax"`
	Currency      string          `json:"currency"`
	Reason        string          `json:"reason,omitempty"`
	TransactionID string          `json:"transactionId,omitempty"` // of the payment, where the ERP tells
	RefundStatus  string          `json:"refundStatus"`            // the ERP's word: Pending, Processing, Refunded, Failed
}

// SalesOrderChange is where a sales order stands in the ERP.
type SalesOrderChange struct {
	SalesOrder string `json:"salesOrder"`
	State      string `json:"state"` // "open", "ready", "held", "cancelled", "complete"
	Reason     string `json:"reason,omitempty"`
}

// StockChange is the free quantity of a stock code.
type StockChange struct {
	StockCode string          `json:"stockCode"`
	Warehouse string          `json:"warehouse,omitempty"`
	Available decimal.Decimal `json:"available"`
}

// ReceiveChangesInput stores a page of changes in the inbox and moves the feed's cursor, in one transaction.
type ReceiveChangesInput struct {
	Erp       string     `json:"erp"`
	Feed      ChangeFeed `json:"feed"`
	Changes   []Change   `json:"changes,omitempty"`
	Watermark time.Time  `json:"watermark,omitzero"` // zero: the cursor stays
}

// ReceivedChanges counts what was new.
type ReceivedChanges struct {
	New int `json:"new"`
}

// TakeMemoInput records the refund that a credit memo of the ERP asks for.
type TakeMemoInput struct {
	Order    canonical.Order `json:"order"`
	RefundID string          `json:"refundId"`
	Memo     MemoChange      `json:"memo"`
	Actor    string          `json:"actor"`
}

// TakenMemo is what was recorded; Refused says why nothing was.
type TakenMemo struct {
	Refused   string                    `json:"refused,omitempty"`
	Breakdown canonical.RefundBreakdown `json:"breakdown"`
}

// AcknowledgeMemoInput tells the ERP what became of a credit memo's refund.
type AcknowledgeMemoInput struct {
	OrderID       string          `json:"orderId"`
	Number        string          `json:"number"`
	Refunded      bool            `json:"refunded"`
	TransactionID string          `json:"transactionId,omitempty"`
	Amount        canonical.Money `json:"amount"`
	Failure       string          `json:"failure,omitempty"`
	At            time.Time       `json:"at"`
	Attempt       int             `json:"attempt"`
}

// FindOwnMemoInput asks which refund of ours a credit memo belongs to.
type FindOwnMemoInput struct {
	OrderID   string          `json:"orderId"`
	Reference string          `json:"reference"`
	Invoice   string          `json:"invoice,omitempty"` // that it credits: a refund of several invoices has a memo of each
	Amount    canonical.Money `json:"amount,omitzero"`   // of the memo
}

// OwnMemo is what became of the money that an own credit memo stands for. Known is false while its refund is still on its way.
type OwnMemo struct {
	Known         bool            `json:"known"`
	TransactionID string          `json:"transactionId,omitempty"`
	Amount        canonical.Money `json:"amount"`
}

// ShipInput names what the ERP steps of a shipment work on.
type ShipInput struct {
	OrderID      string             `json:"orderId"`
	Shipment     canonical.Shipment `json:"shipment"`
	SalesOrder   string             `json:"salesOrder"`
	CustomerCode string             `json:"customerCode"`
	Payment      canonical.Payment  `json:"payment"`            // after the shipment's capture, where there is one
	Amount       canonical.Money    `json:"amount"`             // what the shipment is worth
	Invoices     []string           `json:"invoices,omitempty"` // other invoices of the order, once all of it has left: what is left of its deposits pays them
	Order        canonical.Order    `json:"order"`
	Site         Site               `json:"site,omitempty"`
	Date         string             `json:"date"` // ERP business date, YYYY-MM-DD
	Attempt      int                `json:"attempt"`
}

// CaptureShipmentInput asks for the capture of what one shipment is worth, of an authorization that is captured in parts.
type CaptureShipmentInput struct {
	OrderID  string          `json:"orderId"`
	Shipment string          `json:"shipment"`
	Sequence int             `json:"sequence"` // of the shipment within the order, from 1; part of the request, never changed
	Final    bool            `json:"final"`    // the last capture of the authorization
	Amount   canonical.Money `json:"amount"`
	Attempt  int             `json:"attempt"`
}

// ShippedLines tells what of an order has left with all its shipments so far.
type ShippedLines struct {
	Complete bool            `json:"complete"`           // nothing of the order is left to ship
	Share    canonical.Money `json:"share"`              // what this shipment's lines are worth of the order: tax, discount and shipping apportioned
	Final    bool            `json:"final"`              // this one completes the order
	Sequence int             `json:"sequence"`           // of this shipment within the order, from 1
	Invoices []string        `json:"invoices,omitempty"` // of all shipments of the order, as far as they are known, the first one first
	GivenUp  string          `json:"givenUp,omitempty"`  // who gave its capture up in a run before, and why; "": nobody
	ByHand   string          `json:"byHand,omitempty"`   // who left the receipt of it to people in a run before, and why; "": nobody
}

// ChargebackCase is a dispute as a report, a query or a person tells it. Amounts are never negative.
type ChargebackCase struct {
	ID            string          `json:"id"`                      // the processor's case or tracking number
	TransactionID string          `json:"transactionId,omitempty"` // gateway transaction that settled
	Reference     string          `json:"reference,omitempty"`     // merchant reference of it
	Amount        canonical.Money `json:"amount"`
	Fee           canonical.Money `json:"fee,omitzero"`
	Reason        string          `json:"reason,omitempty"` // the scheme's code: "10.4"
	OpenedAt      time.Time       `json:"openedAt"`
	RespondBy     time.Time       `json:"respondBy,omitzero"`
	Retrieval     bool            `json:"retrieval,omitempty"` // a request for copies: no money has moved
	Taken         bool            `json:"taken,omitempty"`     // of a report's row: with it the money was taken, for the first time or again
}

// ChargebackOutcome is how a dispute ended.
type ChargebackOutcome string

// The outcomes.
const (
	ChargebackOpen ChargebackOutcome = ""
	ChargebackWon  ChargebackOutcome = "won"
	ChargebackLost ChargebackOutcome = "lost"
)

// RecordChargebackInput brings a dispute's record, and the payment behind it, forward.
type RecordChargebackInput struct {
	OrderID string            `json:"orderId"`
	Case    ChargebackCase    `json:"case"`
	Outcome ChargebackOutcome `json:"outcome,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Note    string            `json:"note,omitempty"` // "opened", "reminded", "overdue", "won", "lost"
	Key     string            `json:"key"`            // unique within the order
	At      time.Time         `json:"at"`
}

// BookChargebackInput books how a dispute ended in the general ledger, and shows the payment's state in the ERP.
type BookChargebackInput struct {
	OrderID    string            `json:"orderId"`
	SalesOrder string            `json:"salesOrder,omitempty"`
	Invoice    string            `json:"invoice,omitempty"`
	Case       ChargebackCase    `json:"case"`
	Outcome    ChargebackOutcome `json:"outcome,omitempty"`
	Cycle      int               `json:"cycle,omitempty"`   // 0, 1: the first; later ones have a journal of their own
	Former     ChargebackOutcome `json:"former,omitempty"`  // how the cycle before ended
	Retaken    bool              `json:"retaken,omitempty"` // the money was taken again since then: it is a receivable once more
	Site       Site              `json:"site,omitempty"`
	Date       string            `json:"date"`
	Attempt    int               `json:"attempt"`
}

// RecordShipmentInput records a shipment once, with what it is worth.
type RecordShipmentInput struct {
	Order       canonical.Order    `json:"order"`
	Shipment    canonical.Shipment `json:"shipment"`
	WorkflowID  string             `json:"workflowId,omitempty"`  // of the shipment's process, of whichever run
	CaptureStep string             `json:"captureStep,omitempty"` // under which its capture parks
	BookStep    string             `json:"bookStep,omitempty"`    // and the receipt of that
}

// ShipmentNotice is what a callback tells of a shipment.
type ShipmentNotice struct {
	Number    string                   `json:"number"`
	Carrier   string                   `json:"carrier,omitempty"`
	Tracking  string                   `json:"tracking,omitempty"`
	ShippedOn string                   `json:"shippedOn,omitempty"`
	Lines     []canonical.ShipmentLine `json:"lines,omitempty"`
	Complete  bool                     `json:"complete"`
}
