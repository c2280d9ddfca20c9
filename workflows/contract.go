// Package workflows holds the processes: deterministic code that says what happens in which order, one file a process.
package workflows

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// Task queues: one for workflows and own-database work, one per external system, so that an outage of one blocks no other.
const (
	TaskQueue            = "tenderline"
	TaskQueueCybersource = "cybersource"
)

// TaskQueueErp is the queue of one ERP's activities.
func TaskQueueErp(erp string) string { return "erp-" + erp }

// Workflow IDs. They hold opaque references only.

// OrderWorkflowID is the ID of an order's OrderToCash run.
func OrderWorkflowID(orderID string) string { return "order/" + orderID }

// FraudReviewWorkflowID is the ID of an order's fraud review.
func FraudReviewWorkflowID(orderID string) string { return "fraud-review/" + orderID }

// LateRejectWorkflowID is the ID of the process that a reject after the capture starts.
func LateRejectWorkflowID(orderID string) string { return FraudReviewWorkflowID(orderID) + "/late" }

// RefundWorkflowID is the ID of one refund of an order.
func RefundWorkflowID(orderID, refundID string) string { return "refund/" + orderID + "/" + refundID }

// CallbackWorkflowID is the ID of one message to the shop.
func CallbackWorkflowID(orderID string, event CallbackEvent, occurrence int) string {
	if occurrence > 1 {
		return fmt.Sprintf("callback/%s/%s-%d", orderID, event, occurrence)
	}
	return fmt.Sprintf("callback/%s/%s", orderID, event)
}

// AttentionID is the short, opaque ID of a parked step: the same for the same parking of the same run.
func AttentionID(workflowID, runID, step string, occurrence int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", workflowID, runID, step, occurrence))
	return "att-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:16])
}

// Names of updates, signals and queries.
const (
	UpdateCancel         = "cancel"          // CancelRequest -> CancelAnswer
	UpdateNewToken       = "new-token"       // NewToken -> NewTokenAnswer
	UpdatePaymentOutcome = "payment-outcome" // none -> OrderView, once the payment outcome is known
	UpdateResolve        = "resolve"         // Resolution -> ResolutionAnswer
	UpdateDecide         = "decide"          // Decision -> DecisionAnswer

	SignalFraudDecision   = "fraud-decision"   // Decision, from the Temporal UI's own button: never more than unverified
	SignalGatewayDecision = "gateway-decision" // GatewayDecision, from the webhook inbox; proven against the inbox before it counts
	SignalOrderCancelled  = "order-cancelled"  // CancelRequest, from OrderToCash to its review

	QueryOrder  = "order"  // OrderView
	QueryReview = "review" // ReviewView
	QueryRefund = "refund" // RefundView

	QuerySettlement = "settlement" // SettlementView
)

// Search attributes. All hold opaque references or typed constants, never a person's data.
var (
	SearchOrderID        = temporal.NewSearchAttributeKeyKeyword("OrderId")
	SearchOrderStatus    = temporal.NewSearchAttributeKeyKeyword("OrderStatus")
	SearchPaymentStatus  = temporal.NewSearchAttributeKeyKeyword("PaymentStatus")
	SearchErpOrderNumber = temporal.NewSearchAttributeKeyKeyword("ErpOrderNumber")
	SearchErp            = temporal.NewSearchAttributeKeyKeyword("Erp")
	SearchFraudDecision  = temporal.NewSearchAttributeKeyKeyword("FraudDecision")
	SearchNeedsAttention = temporal.NewSearchAttributeKeyBool("NeedsAttention")
	SearchSettlementDate = temporal.NewSearchAttributeKeyTime("SettlementDate")
)

// SearchAttributes are all that a server must know before workers and API start.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		SearchOrderID, SearchOrderStatus, SearchPaymentStatus, SearchErpOrderNumber, SearchErp, SearchFraudDecision,
		SearchNeedsAttention, SearchSettlementDate,
	}
}

// StockPolicy says what becomes of an order that stock does not cover.
type StockPolicy string

// The stock policies.
const (
	StockReject    StockPolicy = "reject"
	StockBackorder StockPolicy = "backorder"
	StockPark      StockPolicy = "park"
)

// CreditPolicy says when credit is checked, and what becomes of an order that the ERP gives no credit.
type CreditPolicy string

// The credit policies. Card orders are prepaid, so that most sites ignore credit.
const (
	CreditIgnore CreditPolicy = "ignore"
	CreditReject CreditPolicy = "reject"
	CreditPark   CreditPolicy = "park"
)

// InvoicePolicy says when an order is invoiced.
type InvoicePolicy string

// The invoice policies.
const (
	InvoiceAtOrder    InvoicePolicy = "at_order"
	InvoiceOnShipment InvoicePolicy = "on_shipment"
)

// FailurePolicy says what a permanent ERP failure after the money moved leads to.
type FailurePolicy string

// The failure policies.
const (
	FailurePark       FailurePolicy = "park"
	FailureCompensate FailurePolicy = "compensate"
)

// Policy holds what a channel decided, as it was when the order was taken in; a running order keeps it.
type Policy struct {
	Stock          StockPolicy   `json:"stock"`
	Credit         CreditPolicy  `json:"credit"`
	Invoice        InvoicePolicy `json:"invoice"`
	OnErpFailure   FailurePolicy `json:"onErpFailure"`
	SaleInOneCall  bool          `json:"saleInOneCall"`  // only where the transactionId guard is known to work for the merchant
	PaymentWait    time.Duration `json:"paymentWait"`    // for a new token after a decline
	PaymentTries   int           `json:"paymentTries"`   // tokens an order may use
	PreparationFor time.Duration `json:"preparationFor"` // before a browser token is authorized without waiting longer
	TokenLife      time.Duration `json:"tokenLife"`      // of a browser token, from placing the order
	ParkDeadline   time.Duration `json:"parkDeadline"`   // after which a parked order compensates by itself

	ReviewDeadline  time.Duration           `json:"reviewDeadline"`
	ReviewDefault   canonical.FraudDecision `json:"reviewDefault"`
	UntrustedSignal bool                    `json:"untrustedSignal"`          // decisions typed into the Temporal UI count
	ReviewRemind    time.Duration           `json:"reviewRemind,omitempty"`   // after which people are reminded; 0: never
	ReviewEscalate  time.Duration           `json:"reviewEscalate,omitempty"` // after which the review is escalated; 0: never
	ReviewPoll      time.Duration           `json:"reviewPoll,omitempty"`     // between two questions to the gateway; 0: none, also not before the deadline

	AuthorizationLife     time.Duration `json:"authorizationLife,omitempty"`     // after which an authorization counts as run out; 0: never
	RenewStoredCredential bool          `json:"renewStoredCredential,omitempty"` // buyers have consented that a stored credential is charged again

	StepTimeout     time.Duration `json:"stepTimeout"`     // of one try around one outside call; longer than the call's own time-out
	GatewayPatience time.Duration `json:"gatewayPatience"` // total limit of one gateway step
	ErpPatience     time.Duration `json:"erpPatience"`     // total limit of one ERP step; an ERP may be down overnight
	CallbackFor     time.Duration `json:"callbackFor"`     // how long a callback is tried
}

// OrderInput starts OrderToCash.
type OrderInput struct {
	Order  canonical.Order `json:"order"`
	Erp    string          `json:"erp"`
	Site   activities.Site `json:"site,omitempty"`
	Policy Policy          `json:"policy"`
}

// OrderView is what an order shows while it runs, and its result.
type OrderView struct {
	OrderID        string                  `json:"orderId"`
	Status         canonical.OrderStatus   `json:"status"`
	PaymentStatus  canonical.PaymentStatus `json:"paymentStatus"`
	Reason         string                  `json:"reason,omitempty"`
	Payment        canonical.Payment       `json:"payment"`
	CustomerCode   string                  `json:"customerCode,omitempty"`
	ErpOrderNumber string                  `json:"erpOrderNumber,omitempty"`
	Invoice        string                  `json:"invoice,omitempty"`
	Receipt        string                  `json:"receipt,omitempty"`
	BackOrdered    []activities.Shortage   `json:"backOrdered,omitempty"`
	NeedsAttention bool                    `json:"needsAttention,omitempty"`
	Stage          string                  `json:"stage"` // one sentence for people
}

// CancelRequest wishes an order cancelled.
type CancelRequest struct {
	Actor  string `json:"actor"`
	Reason string `json:"reason,omitempty"`
}

// CancelAnswer tells that the wish is recorded.
type CancelAnswer struct {
	Status canonical.OrderStatus `json:"status"`
}

// NewToken is another card after a decline.
type NewToken struct {
	Token canonical.Token `json:"token"`
	Actor string          `json:"actor"`
}

// NewTokenAnswer gives the number of the attempt the token is used for.
type NewTokenAnswer struct {
	Attempt int `json:"attempt"`
}

// ResolutionKind is a way to end a parking.
type ResolutionKind string

// The resolutions.
const (
	ResolveRetry      ResolutionKind = activities.ResolutionRetry      // the same again: what was refused becomes a new business attempt, what is unknown goes on
	ResolveRetryWith  ResolutionKind = activities.ResolutionRetryWith  // a new business attempt with Resolution.Correction; only for what was refused
	ResolveSkip       ResolutionKind = activities.ResolutionSkip       // go on without the step
	ResolveApprove    ResolutionKind = "approve"                       // of a posting that waits for finance
	ResolveCompensate ResolutionKind = activities.ResolutionCompensate // take back what was done; of a refund: give it up before money moved
)

// Resolution is an operator's answer to a parked step. Correction is for retry_with alone, Reference for skip of a document that people book by
// hand: the number under which the ERP has it.
type Resolution struct {
	ID         string                 `json:"id"`
	Kind       ResolutionKind         `json:"kind"`
	Actor      string                 `json:"actor"`
	Reason     string                 `json:"reason,omitempty"`
	Reference  string                 `json:"reference,omitempty"`
	Correction *activities.Correction `json:"correction,omitempty"`
}

// ResolutionAnswer tells that the resolution was taken.
type ResolutionAnswer struct {
	ID       string         `json:"id"`
	Kind     ResolutionKind `json:"kind"`
	RefundID string         `json:"refundId,omitempty"` // of what it has asked for, where that is a refund
	Why      string         `json:"why,omitempty"`      // there is none: nothing is left to pay back, for example
}

// Types of the errors that updates are refused with; callers switch on them.
const (
	RefusedTooLate  = "TooLate"  // the order has ended, or the item is resolved
	RefusedNotNow   = "NotNow"   // the process does not wait for this
	RefusedUnknown  = "Unknown"  // no such item
	RefusedInvalid  = "Invalid"  // the request itself is wrong
	RefusedConflict = "Conflict" // somebody else decided otherwise
)

// DecisionSource says which way a fraud decision came.
type DecisionSource string

// The sources.
const (
	SourceAPI        DecisionSource = "api"
	SourceTemporalUI DecisionSource = "temporal-ui"
	SourceGateway    DecisionSource = "cybersource"
	SourceDeadline   DecisionSource = "deadline"
	SourceCancel     DecisionSource = "cancel"
	SourcePoll       DecisionSource = "cybersource-poll" // the gateway, when it was asked
)

// UnverifiedActor is who decided when the Temporal UI's signal button did.
const UnverifiedActor = "temporal-ui, unverified"

// Decision is a verdict on a held order, as Update `decide` and as signal `fraud-decision`. A signal typed into the Temporal UI
// needs the first field only: {"decision":"accept"}; whatever actor it names, it is audited as UnverifiedActor.
type Decision struct {
	Decision canonical.FraudDecision `json:"decision"`
	Comment  string                  `json:"comment,omitempty"`
	Actor    string                  `json:"actor,omitempty"`
	Source   DecisionSource          `json:"source,omitempty"`
	Mark     bool                    `json:"mark,omitempty"` // of a reject: mark the customer for the gateway's negative list
}

// GatewayDecision says that the gateway reported a case as decided. EventID names the verified event in the webhook inbox.
type GatewayDecision struct {
	EventID  string                  `json:"eventId"`
	Decision canonical.FraudDecision `json:"decision"`
	Comment  string                  `json:"comment,omitempty"`
}

// DecisionAnswer tells which decision holds; Late is true where an earlier one had been taken.
type DecisionAnswer struct {
	Decision canonical.FraudDecision `json:"decision"`
	Actor    string                  `json:"actor"`
	Late     bool                    `json:"late,omitempty"`
}

// ReviewInput starts FraudReview.
type ReviewInput struct {
	OrderID   string                  `json:"orderId"`
	Payment   canonical.Payment       `json:"payment"`
	Amount    canonical.Money         `json:"amount"`
	Deadline  time.Duration           `json:"deadline"`
	Default   canonical.FraudDecision `json:"default"`
	Untrusted bool                    `json:"untrusted"` // typed signals count
	Policy    Policy                  `json:"policy"`
}

// ReviewResult is the verdict and what holds at the gateway.
type ReviewResult struct {
	Decision canonical.FraudDecision `json:"decision"`
	Actor    string                  `json:"actor"`
	Source   DecisionSource          `json:"source"`
	Comment  string                  `json:"comment,omitempty"`
	Captured bool                    `json:"captured,omitempty"`
	Reversed bool                    `json:"reversed,omitempty"`
	Mark     bool                    `json:"mark,omitempty"` // the customer is to be marked for the gateway's negative list
	Payment  canonical.Payment       `json:"payment"`
}

// ReviewView is what a running review shows.
type ReviewView struct {
	OrderID  string                  `json:"orderId"`
	Since    time.Time               `json:"since"`
	Deadline time.Time               `json:"deadline"`
	Decision canonical.FraudDecision `json:"decision,omitempty"`
	Actor    string                  `json:"actor,omitempty"`
}

// RefundInput starts Refund. What it names of the ERP is what the journal held when the refund was taken.
type RefundInput struct {
	RefundID     string                    `json:"refundId"`
	Order        canonical.Order           `json:"order"`
	Breakdown    canonical.RefundBreakdown `json:"breakdown"`
	Restock      bool                      `json:"restock,omitempty"`
	Reason       string                    `json:"reason,omitempty"`
	Actor        string                    `json:"actor"`
	Origin       RefundOrigin              `json:"origin"`
	CreditMemo   string                    `json:"creditMemo,omitempty"` // of origin erp: the memo that asks for it
	Erp          string                    `json:"erp"`
	Site         activities.Site           `json:"site,omitempty"`
	CustomerCode string                    `json:"customerCode,omitempty"`
	SalesOrder   string                    `json:"salesOrder,omitempty"`
	Invoice      string                    `json:"invoice,omitempty"`
	Policy       Policy                    `json:"policy"`
}

// RefundOrigin says who asked for a refund.
type RefundOrigin string

// The origins.
const (
	OriginShop     RefundOrigin = "shop"
	OriginOperator RefundOrigin = "operator"
	OriginErp      RefundOrigin = "erp"    // a credit memo
	OriginReview   RefundOrigin = "review" // a reject after the capture
)

// RefundView is what a refund shows while it runs, and its result.
type RefundView struct {
	RefundID       string                  `json:"refundId"`
	OrderID        string                  `json:"orderId"`
	Status         canonical.RefundStatus  `json:"status"`
	Way            activities.RefundWay    `json:"way,omitempty"`
	Amount         canonical.Money         `json:"amount"`
	TransactionID  string                  `json:"transactionId,omitempty"`
	CreditMemo     string                  `json:"creditMemo,omitempty"`
	ErpRefund      string                  `json:"erpRefund,omitempty"`
	PaymentStatus  canonical.PaymentStatus `json:"paymentStatus,omitempty"`
	Why            string                  `json:"why,omitempty"`
	NeedsAttention bool                    `json:"needsAttention,omitempty"`
	Stage          string                  `json:"stage"`
}

// LateRejectInput starts LateReject: a reject that came after the capture. EventID names the inbox event of the gateway's reject, for the
// audit; a person's has none.
type LateRejectInput struct {
	OrderID string          `json:"orderId"`
	EventID string          `json:"eventId,omitempty"`
	Actor   string          `json:"actor"`
	Source  DecisionSource  `json:"source"`
	Comment string          `json:"comment,omitempty"`
	Mark    bool            `json:"mark,omitempty"`
	Order   canonical.Order `json:"order"`
	Erp     string          `json:"erp"`
	Site    activities.Site `json:"site,omitempty"`
	Policy  Policy          `json:"policy"`
}

// CallbackEvent names what a callback tells the shop.
type CallbackEvent string

// The events.
const (
	EventConfirmed   CallbackEvent = "order.confirmed"
	EventDeclined    CallbackEvent = "order.declined"
	EventHeld        CallbackEvent = "order.held"
	EventRejected    CallbackEvent = "order.rejected"
	EventCancelled   CallbackEvent = "order.cancelled"
	EventCompensated CallbackEvent = "order.compensated"

	EventRefunded      CallbackEvent = "refund.completed"
	EventRefundRefused CallbackEvent = "refund.refused"

	EventShipped CallbackEvent = "order.shipped"
)
