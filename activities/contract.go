package activities

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
)

// Mark says where a step stands in its order's story: Seq grows with every step of one workflow, so that a late write never
// overwrites a later one; Status is what the order becomes when the step is done ("" leaves it).
type Mark struct {
	Seq    int64                 `json:"seq"`
	Status canonical.OrderStatus `json:"status,omitempty"`
}

// Site holds a channel's settings for the mappings: branch, warehouse, bank, terms, ...
type Site map[string]string

// PrepareOrderInput asks for every document of an order.
type PrepareOrderInput struct {
	Order canonical.Order `json:"order"`
	Erp   string          `json:"erp"` // name of the ERP, the prefix of its mappings
	Site  Site            `json:"site,omitempty"`
	Mark  Mark            `json:"mark"`
}

// PreparedOrder is the answer to PrepareOrder. TokenExpires is when a browser token ends; zero for stored ones.
type PreparedOrder struct {
	Documents    Documents `json:"documents"`
	TokenExpires time.Time `json:"tokenExpires,omitzero"`
}

// Documents are an order's documents as they were mapped before money moved. The ones for the ERP are completed with the real
// payment and customer when they are sent.
type Documents struct {
	Payment    mappings.Document `json:"payment"`
	Customer   mappings.Document `json:"customer"`
	SalesOrder mappings.Document `json:"salesOrder"`
	Invoice    mappings.Document `json:"invoice"`
	Receipt    mappings.Document `json:"receipt"`
}

// CheckCustomerInput asks the ERP whether the order can be booked.
type CheckCustomerInput struct {
	OrderID      string            `json:"orderId"`
	ExternalID   string            `json:"externalId"`             // the shop's customer id
	CustomerCode string            `json:"customerCode,omitempty"` // the ERP's code, where the shop knows it
	Document     mappings.Document `json:"document"`               // the customer, if it must be created
	Attempt      int               `json:"attempt"`                // n of the operation key
	CheckCredit  bool              `json:"checkCredit"`
	Total        canonical.Money   `json:"total"`
	Lines        []StockLine       `json:"lines"`
	Warehouse    string            `json:"warehouse,omitempty"`
}

// StockLine is what an order wants of one stock code.
type StockLine struct {
	StockCode string          `json:"stockCode"`
	Quantity  decimal.Decimal `json:"quantity"`
}

// Bookable is the ERP's answer. Shortages name what is missing; CreditRefused says why credit was refused, empty where it was not.
type Bookable struct {
	Customer      erp.Customer `json:"customer"`
	Created       bool         `json:"created,omitempty"`
	CreditRefused string       `json:"creditRefused,omitempty"`
	Shortages     []Shortage   `json:"shortages,omitempty"`
}

// Shortage is a line that stock does not cover.
type Shortage struct {
	StockCode string          `json:"stockCode"`
	Wanted    decimal.Decimal `json:"wanted"`
	Available decimal.Decimal `json:"available"`
}

// AuthorizePaymentInput asks for an authorization, or for authorization and capture in one request.
type AuthorizePaymentInput struct {
	OrderID    string            `json:"orderId"`
	Attempt    int               `json:"attempt"` // n of the operation key; a new token or a proven absence makes the next one
	Document   mappings.Document `json:"document"`
	Token      canonical.Token   `json:"token"`
	SaveCard   bool              `json:"saveCard,omitempty"`
	Amount     canonical.Money   `json:"amount"`
	Capture    bool              `json:"capture"`
	SkipReview bool              `json:"skipReview,omitempty"` // a reviewer has accepted already
	Renewal    bool              `json:"renewal,omitempty"`    // by the merchant, with a stored credential, in place of an authorization that ran out
	Mark       Mark              `json:"mark"`
}

// AuthorizationResult is what became of an authorization; a business answer, never an error.
type AuthorizationResult string

// The results.
const (
	Authorized             AuthorizationResult = "authorized"
	Captured               AuthorizationResult = "captured" // authorized and captured in one request
	Declined               AuthorizationResult = "declined"
	PartiallyAuthorized    AuthorizationResult = "partially_authorized"
	RiskDeclined           AuthorizationResult = "risk_declined"     // refused by risk rules; LiveHold tells whether the bank holds the money
	Held                   AuthorizationResult = "held"              // approved at the bank, held for review
	HeldUnauthorized       AuthorizationResult = "held_unauthorized" // held for review before the bank was asked
	AuthenticationRequired AuthorizationResult = "authentication_required"
	TokenRefused           AuthorizationResult = "token_refused" // unknown or expired token: a new one may follow
	Absent                 AuthorizationResult = "absent"        // proven not to exist at the gateway: a new attempt may open
)

// Authorization is the answer to AuthorizePayment.
type Authorization struct {
	Result     AuthorizationResult `json:"result"`
	Payment    canonical.Payment   `json:"payment"`
	LiveHold   bool                `json:"liveHold,omitempty"`   // the bank holds money although the payment failed
	Retryable  bool                `json:"retryable,omitempty"`  // another try with other details may succeed
	RiskScore  string              `json:"riskScore,omitempty"`  // Decision Manager score
	ReasonText string              `json:"reasonText,omitempty"` // for the shop
}

// CapturePaymentInput asks for the capture of an authorization.
type CapturePaymentInput struct {
	OrderID         string          `json:"orderId"`
	AuthorizationID string          `json:"authorizationId"`
	Attempt         int             `json:"attempt"`
	Amount          canonical.Money `json:"amount"`
	Mark            Mark            `json:"mark"`
}

// Capture is the answer to CapturePayment.
type Capture struct {
	Payment canonical.Payment `json:"payment"`
	Adopted bool              `json:"adopted,omitempty"` // somebody else had captured, or an answer was lost: found, not sent again
}

// UndoPaymentInput asks to take back an order's money in one of the ways: void, reversal or refund. RefundID is set by the process
// that a refund was asked of, and with it the amount; a compensation takes back all there is.
type UndoPaymentInput struct {
	OrderID  string          `json:"orderId"`
	RefundID string          `json:"refundId,omitempty"`
	Amount   canonical.Money `json:"amount,omitzero"`
	Attempt  int             `json:"attempt"`
	Reason   string          `json:"reason"`
	Mark     Mark            `json:"mark"`
}

// UndoneResult says what taking back came to.
type UndoneResult string

// The results of taking back.
const (
	UndoNothing UndoneResult = "nothing"  // there was nothing to take back
	UndoDone    UndoneResult = "done"     // taken back
	UndoTooLate UndoneResult = "too_late" // a void that came after the batch: a refund is the way
	UndoRefused UndoneResult = "refused"  // a refund of more than is left: Undone.Why says what is
)

// Undone is the answer to VoidCapture, ReverseAuthorization and RefundCapture.
type Undone struct {
	Result        UndoneResult      `json:"result"`
	TransactionID string            `json:"transactionId,omitempty"` // of the void, refund or reversal
	Why           string            `json:"why,omitempty"`
	Payment       canonical.Payment `json:"payment"`
	Parts         []RefundPart      `json:"parts,omitempty"` // of a refund's void or refund: what went back of each capture
}

// DecideCaseInput takes a decision at Decision Manager, and finds what a reviewer may have done there.
type DecideCaseInput struct {
	OrderID   string                  `json:"orderId"`
	PaymentID string                  `json:"paymentId"` // gateway transaction that is held
	Decision  canonical.FraudDecision `json:"decision"`
	Comment   string                  `json:"comment,omitempty"`
	Actor     string                  `json:"actor"`
	Source    string                  `json:"source"`
	EventID   string                  `json:"eventId,omitempty"` // inbox event by which the gateway told; proven before it counts, and the case is not decided again
	Asked     bool                    `json:"asked,omitempty"`   // the gateway has told when it was asked; it is asked again before it counts
	Attempt   int                     `json:"attempt"`
	Amount    canonical.Money         `json:"amount"`
}

// CaseDecision is what holds at the gateway after DecideCase.
type CaseDecision struct {
	Decision canonical.FraudDecision `json:"decision"` // the gateway's, which wins over ours
	Captured bool                    `json:"captured,omitempty"`
	Reversed bool                    `json:"reversed,omitempty"`
	Payment  canonical.Payment       `json:"payment"`
}

// BookingInput is what every ERP step of an order needs.
type BookingInput struct {
	Order        canonical.Order   `json:"order"`
	Site         Site              `json:"site,omitempty"`
	Document     mappings.Document `json:"document"`
	CustomerCode string            `json:"customerCode"`
	Payment      canonical.Payment `json:"payment"`
	SalesOrder   string            `json:"salesOrder,omitempty"` // the ERP's number
	Invoice      string            `json:"invoice,omitempty"`
	OnHold       bool              `json:"onHold,omitempty"`  // create the sales order suspended
	Deposit      bool              `json:"deposit,omitempty"` // the receipt is not for an invoice yet
	Attempt      int               `json:"attempt"`
	Date         string            `json:"date"` // ERP business date, YYYY-MM-DD
}

// BookingRef names what an ERP step works on.
type BookingRef struct {
	OrderID       string                  `json:"orderId"`
	CustomerCode  string                  `json:"customerCode"`
	SalesOrder    string                  `json:"salesOrder,omitempty"`
	Invoice       string                  `json:"invoice,omitempty"`
	Receipt       string                  `json:"receipt,omitempty"`
	PaymentStatus canonical.PaymentStatus `json:"paymentStatus,omitempty"` // what became of the money, for TagPayment
	Amount        canonical.Money         `json:"amount"`
	BankCode      string                  `json:"bankCode,omitempty"`
	Date          string                  `json:"date"`
	Attempt       int                     `json:"attempt"`
	Site          Site                    `json:"site,omitempty"`
	Order         canonical.Order         `json:"order"`
}

// BookingUndone tells what an ERP compensation found and did.
type BookingUndone struct {
	Result   UndoneResult `json:"result"`
	Document string       `json:"document,omitempty"` // number or reference of the compensating document
}

// TimelineEvent is one line of an order's story.
type TimelineEvent struct {
	Key     string            `json:"key"` // unique within the order
	At      time.Time         `json:"at"`
	Kind    string            `json:"kind"`
	Summary string            `json:"summary"`
	Actor   string            `json:"actor,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

// ProgressInput writes where an order stands into the read model.
type ProgressInput struct {
	OrderID        string                  `json:"orderId"`
	Mark           Mark                    `json:"mark"`
	PaymentStatus  canonical.PaymentStatus `json:"paymentStatus,omitempty"`
	Reason         string                  `json:"reason,omitempty"`
	CustomerCode   string                  `json:"customerCode,omitempty"`
	ErpOrderNumber string                  `json:"erpOrderNumber,omitempty"`
	ErpInvoice     string                  `json:"erpInvoice,omitempty"`
	Events         []TimelineEvent         `json:"events,omitempty"`
}

// ParkInput is a step that waits for a person.
type ParkInput struct {
	ID         string       `json:"id"`
	OrderID    string       `json:"orderId"`
	WorkflowID string       `json:"workflowId"`
	Step       string       `json:"step"`
	Class      fault.Kind   `json:"class"`
	Summary    string       `json:"summary"`
	Suggestion string       `json:"suggestion,omitempty"`
	Answer     *FaultDetail `json:"answer,omitempty"`
	Actions    []string     `json:"actions"`
	Since      time.Time    `json:"since"`
	Deadline   time.Time    `json:"deadline,omitzero"`
	Mark       Mark         `json:"mark"`
}

// UnparkInput ends a parked step.
type UnparkInput struct {
	ID         string   `json:"id"`
	OrderID    string   `json:"orderId"`
	Resolution string   `json:"resolution"`
	Actor      string   `json:"actor"`
	Reason     string   `json:"reason,omitempty"`
	Changed    []string `json:"changed,omitempty"` // of retry_with: the places that the correction changes, never their values
}

// CallbackInput is one message to the shop.
type CallbackInput struct {
	ID      string                  `json:"id"` // the callback workflow's ID; the shop dedupes by it
	OrderID string                  `json:"orderId"`
	Channel string                  `json:"channel"`
	Event   string                  `json:"event"`
	At      time.Time               `json:"at"`
	Status  canonical.OrderStatus   `json:"status"`
	Payment canonical.PaymentStatus `json:"paymentStatus"`
	Reason  string                  `json:"reason,omitempty"`
	Data    map[string]string       `json:"data,omitempty"`
	Lines   []Shortage              `json:"lines,omitempty"` // lines that are back-ordered or missing
	Refund  *RefundNotice           `json:"refund,omitempty"`

	Shipment *ShipmentNotice `json:"shipment,omitempty"`
}
