package activities

import (
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// RefundWay says how money goes back.
type RefundWay string

// The ways, by what is known of the payment.
const (
	WayNone     RefundWay = "none"     // nothing goes back: RefundPlan.Refused says why
	WayReversal RefundWay = "reversal" // authorized only: the hold is released
	WayVoid     RefundWay = "void"     // captured in full, not batched yet: the capture is cancelled, then the hold is released
	WayRefund   RefundWay = "refund"   // a follow-on credit
)

// PlanRefundInput asks how an amount can go back to the buyer.
type PlanRefundInput struct {
	OrderID  string          `json:"orderId"`
	RefundID string          `json:"refundId"`
	Amount   canonical.Money `json:"amount"`
}

// RefundPlan is the way that the payment's real state leaves. What was unknown of the payment is resolved first.
type RefundPlan struct {
	Way     RefundWay         `json:"way"`
	Refused string            `json:"refused,omitempty"` // one sentence: already refunded, voided, charged back, nothing captured
	Payment canonical.Payment `json:"payment"`
}

// RefundProgressInput brings a refund's read model forward. Empty fields leave what is stored.
type RefundProgressInput struct {
	OrderID       string                 `json:"orderId"`
	RefundID      string                 `json:"refundId"`
	Status        canonical.RefundStatus `json:"status"`
	Way           RefundWay              `json:"way,omitempty"`
	TransactionID string                 `json:"transactionId,omitempty"` // of the refund, void or reversal at the gateway
	CreditMemo    string                 `json:"creditMemo,omitempty"`    // the ERP's number
	ErpRefund     string                 `json:"erpRefund,omitempty"`     // reference of the refund or reversal in AR
	Why           string                 `json:"why,omitempty"`           // why it was refused
	Mark          Mark                   `json:"mark"`                    // of the order: Status "" leaves it
	Events        []TimelineEvent        `json:"events,omitempty"`
}

// BookRefundInput names what the ERP steps of a refund work on.
type BookRefundInput struct {
	OrderID       string                    `json:"orderId"`
	RefundID      string                    `json:"refundId"`
	Attempt       int                       `json:"attempt"`
	Way           RefundWay                 `json:"way"`
	TransactionID string                    `json:"transactionId"` // of the refund, void or reversal
	CaptureID     string                    `json:"captureId"`     // reference of the receipt that the order was paid by
	Amount        canonical.Money           `json:"amount"`
	Breakdown     canonical.RefundBreakdown `json:"breakdown"`
	Whole         bool                      `json:"whole,omitempty"` // nothing of the order stays paid
	Remaining     canonical.Money           `json:"remaining"`       // what stays paid after it
	Reason        string                    `json:"reason,omitempty"`
	Restock       bool                      `json:"restock,omitempty"`
	CreditMemo    string                    `json:"creditMemo,omitempty"` // ERP credit memo that is the origin, or that was just made
	Order         canonical.Order           `json:"order"`
	Site          Site                      `json:"site,omitempty"`
	CustomerCode  string                    `json:"customerCode"`
	SalesOrder    string                    `json:"salesOrder,omitempty"`
	Invoice       string                    `json:"invoice,omitempty"`
	Date          string                    `json:"date"` // ERP business date, YYYY-MM-DD

	Parts         []RefundPart            `json:"parts,omitempty"`         // what went back of each capture; none: CaptureID and TransactionID name all of it
	Credited      []CreditedPart          `json:"credited,omitempty"`      // what CreditRefund made of the parts
	PaymentStatus canonical.PaymentStatus `json:"paymentStatus,omitempty"` // after it
}

// RefundPart is what of a refund went back of one capture: one transaction at the gateway, and one posting in the ERP.
type RefundPart struct {
	TransactionID string                   `json:"transactionId"` // of the refund or void at the gateway
	CaptureID     string                   `json:"captureId"`     // reference of the receipt or deposit that the capture was booked as
	Amount        canonical.Money          `json:"amount"`
	Shipment      string                   `json:"shipment,omitempty"` // that was captured; "": the whole order was
	Invoice       string                   `json:"invoice,omitempty"`  // of that shipment, where it is known
	Lines         []canonical.ShipmentLine `json:"lines,omitempty"`    // what left with it
}

// CreditedPart says how a part of a refund stands in the ERP before its money is posted.
type CreditedPart struct {
	TransactionID string          `json:"transactionId"`
	CreditMemo    string          `json:"creditMemo,omitempty"` // "": it goes back out of a deposit
	Amount        canonical.Money `json:"amount,omitzero"`      // of it, where several invoices are credited for one part; else all
}

// RefundBooked tells what an ERP step of a refund made. UndoNothing: the ERP has nothing to book.
type RefundBooked struct {
	Result   UndoneResult   `json:"result"`
	Document string         `json:"document,omitempty"` // number or reference; several are separated by ", "
	Credited []CreditedPart `json:"credited,omitempty"` // of CreditRefund: each part that it was asked for
}

// OpenReviewInput records that people are to decide, with all they need for it.
type OpenReviewInput struct {
	OrderID    string          `json:"orderId"`
	WorkflowID string          `json:"workflowId"`
	PaymentID  string          `json:"paymentId"` // gateway transaction that is held
	Amount     canonical.Money `json:"amount"`
	Since      time.Time       `json:"since"`
	RemindAt   time.Time       `json:"remindAt,omitzero"`
	EscalateAt time.Time       `json:"escalateAt,omitzero"`
	Deadline   time.Time       `json:"deadline"`
	Default    string          `json:"default"` // what the deadline decides
}

// OpenedReview is the case in one paragraph of Markdown, without anybody's data: risk score, factors, velocity, address match, history.
type OpenedReview struct {
	Summary string `json:"summary"`
}

// ReviewNote is what happened in a review.
type ReviewNote string

// The notes.
const (
	ReviewReminded  ReviewNote = "reminded"
	ReviewEscalated ReviewNote = "escalated"
	ReviewDecided   ReviewNote = "decided"  // this decision holds
	ReviewOpposed   ReviewNote = "opposed"  // another decision that does not hold: the first one does, or the gateway's
	ReviewClosed    ReviewNote = "closed"   // the review ended without a decision of its own
	ReviewMarked    ReviewNote = "marked"   // the customer is marked for the gateway's negative list
	ReviewUnmarked  ReviewNote = "unmarked" // marking was given up
	ReviewProposed  ReviewNote = "proposed" // a reject came after the capture: the order is held, a refund proposed
	ReviewRefunding ReviewNote = "refunding"
	ReviewKept      ReviewNote = "kept" // a person kept the order in spite of a late reject
)

// NoteReviewInput adds a note to a review, its audit and, where people must know, their alerts.
type NoteReviewInput struct {
	OrderID  string                  `json:"orderId"`
	Note     ReviewNote              `json:"note"`
	Key      string                  `json:"key"` // unique within the order
	At       time.Time               `json:"at"`
	Decision canonical.FraudDecision `json:"decision,omitempty"`
	Actor    string                  `json:"actor,omitempty"`
	Source   string                  `json:"source,omitempty"`
	Comment  string                  `json:"comment,omitempty"`
	Rule     string                  `json:"rule,omitempty"`    // which rule decided between opposite decisions
	EventID  string                  `json:"eventId,omitempty"` // inbox event by which it was told, for the audit
}

// AskCaseInput asks the gateway how a case stands.
type AskCaseInput struct {
	OrderID   string          `json:"orderId"`
	PaymentID string          `json:"paymentId"`
	Amount    canonical.Money `json:"amount"`
}

// CaseState is how the gateway has decided a case; Decision is "" while it is open, or while the gateway does not tell.
type CaseState struct {
	Decision canonical.FraudDecision `json:"decision,omitempty"`
}

// MarkCustomerInput marks the customer of a rejected payment for the gateway's negative list.
type MarkCustomerInput struct {
	OrderID   string `json:"orderId"`
	PaymentID string `json:"paymentId"`
	Notes     string `json:"notes,omitempty"`
	Actor     string `json:"actor"`
	Attempt   int    `json:"attempt"`
}

// HoldSalesOrderInput holds a sales order, or releases it from that hold.
type HoldSalesOrderInput struct {
	OrderID    string `json:"orderId"`
	SalesOrder string `json:"salesOrder"`
	Release    bool   `json:"release,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Attempt    int    `json:"attempt"`
}

// OrderState is where the read model has an order.
type OrderState struct {
	Status        canonical.OrderStatus   `json:"status"`
	PaymentStatus canonical.PaymentStatus `json:"paymentStatus"`
	CustomerCode  string                  `json:"customerCode,omitempty"`
	SalesOrder    string                  `json:"salesOrder,omitempty"`
	Invoice       string                  `json:"invoice,omitempty"`
	Payment       canonical.Payment       `json:"payment"`
	Refundable    decimal.Decimal         `json:"refundable"` // in the payment's currency
}

// Correction is what an operator changes of a parked step before it is tried again. Keys are RFC 6901 pointers to existing places
// (or members that the document may have), values replace what is there.
type Correction struct {
	Order    map[string]any `json:"order,omitempty"`    // of the order: never its money, its payment, its id or its channel
	Document map[string]any `json:"document,omitempty"` // of the step's mapped ERP document
	Date     string         `json:"date,omitempty"`     // posting date, YYYY-MM-DD
}

// Empty tells that nothing is corrected.
func (c Correction) Empty() bool { return len(c.Order) == 0 && len(c.Document) == 0 && c.Date == "" }

// Places names what is corrected, sorted: pointers and "date", never values. Workflows call it; the order of the maps does not show.
//
//workflowcheck:ignore
func (c Correction) Places() []string {
	places := slices.Concat(slices.Collect(maps.Keys(c.Order)), slices.Collect(maps.Keys(c.Document)))
	if c.Date != "" {
		places = append(places, "date")
	}
	slices.Sort(places)
	return places
}

// CorrectOrderInput asks for an order and its documents with a correction applied. The journal keeps the original.
type CorrectOrderInput struct {
	AttentionID string          `json:"attentionId"`
	Step        string          `json:"step"`
	Actor       string          `json:"actor"`
	Reason      string          `json:"reason,omitempty"`
	Correction  Correction      `json:"correction"`
	Order       canonical.Order `json:"order"`
	Documents   Documents       `json:"documents"`
	Erp         string          `json:"erp"`
	Site        Site            `json:"site,omitempty"`
}

// CorrectedOrder is the order as it goes on.
type CorrectedOrder struct {
	Order     canonical.Order `json:"order"`
	Documents Documents       `json:"documents"`
}

// The answers to a parked step that this package knows, as workflows write them.
const (
	ResolutionRetry      = "retry"
	ResolutionRetryWith  = "retry_with"
	ResolutionSkip       = "skip"
	ResolutionCompensate = "compensate"
)

// Fix is a way that may mend a parked step, with what speaks for it.
type Fix struct {
	Text       string      `json:"text"`                 // one sentence for the operator
	Evidence   string      `json:"evidence,omitempty"`   // what was looked up, and where
	Resolution string      `json:"resolution,omitempty"` // one of those above
	Correction *Correction `json:"correction,omitempty"` // for retry_with, ready to be sent
}

// SuggestFixInput asks an ERP for what may mend a step that it refused.
type SuggestFixInput struct {
	OrderID      string          `json:"orderId"`
	Step         string          `json:"step"`
	Class        fault.Kind      `json:"class"`
	Answer       *FaultDetail    `json:"answer,omitempty"`
	Order        canonical.Order `json:"order"`
	CustomerCode string          `json:"customerCode,omitempty"`
	Site         Site            `json:"site,omitempty"`
	Date         string          `json:"date"`
}

// SuggestedFixes are ordered, the likeliest first.
type SuggestedFixes struct {
	Fixes []Fix `json:"fixes,omitempty"`
}

// AddFixesInput adds them to a parked item.
type AddFixesInput struct {
	ID    string `json:"id"`
	Fixes []Fix  `json:"fixes"`
}

// RefundNotice is what a callback tells of a refund.
type RefundNotice struct {
	RefundID string          `json:"refundId"`
	Amount   canonical.Money `json:"amount"`
	Way      RefundWay       `json:"way,omitempty"`
	Reason   string          `json:"reason,omitempty"`
}

// TakeRestInput asks for a refund of all that is left of an order's money.
type TakeRestInput struct {
	Order    canonical.Order `json:"order"`
	RefundID string          `json:"refundId"`
	Origin   string          `json:"origin"`
	Actor    string          `json:"actor"`
	Reason   string          `json:"reason,omitempty"`
	Restock  bool            `json:"restock,omitempty"`
}

// TakenRest is what was recorded; Taken is false where nothing is left.
type TakenRest struct {
	Taken     bool                      `json:"taken"`
	Breakdown canonical.RefundBreakdown `json:"breakdown"`
}
