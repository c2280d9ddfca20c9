package cybersource

import (
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Result is what became of a request. Only the results named as such are successes; Unrecognized never is.
type Result string

// The results of payments, follow-ons and case actions.
const (
	Authorized             Result = "authorized"              // money is held (authorization; a sale whose capture did not run)
	Captured               Result = "captured"                // a capture or sale is accepted, the money moves with the batch
	Refunded               Result = "refunded"                // a refund is accepted, the money moves with the batch
	Reversed               Result = "reversed"                // the hold is released
	Voided                 Result = "voided"                  // capture, sale or refund is cancelled before the batch
	Pending                Result = "pending"                 // a payment that the gateway answers later (no card does that)
	PartiallyAuthorized    Result = "partially_authorized"    // held for less than asked: Outcome.Authorized says how much
	Declined               Result = "declined"                // no: Reason says why; nothing is held
	RiskDeclined           Result = "risk_declined"           // refused by risk rules, but the money is held: reverse it
	Held                   Result = "held"                    // authorized and in review: neither capture nor reverse before the verdict
	HeldUnauthorized       Result = "held_unauthorized"       // in review, not authorized yet
	AuthenticationRequired Result = "authentication_required" // the payer must authenticate (3-D Secure); nothing is held
	Invalid                Result = "invalid"                 // processed as an invalid request; nothing moved
	Duplicate              Result = "duplicate"               // the transactionId was used before: the first request is there, look it up
	Decided                Result = "decided"                 // the verdict on a case is taken: Status ACCEPTED or REJECTED
	Noted                  Result = "noted"                   // the comment or the marking is kept
	Unrecognized           Result = "unrecognized"            // a status we don't know; money may be held
)

// Outcome is the gateway's answer in our words. It holds no personal data and may be stored; amounts are in the currency of the answer.
type Outcome struct {
	Kind                 Kind              `json:"kind"`
	Result               Result            `json:"result"`
	ID                   string            `json:"id,omitempty"`          // the transaction's id
	Status               string            `json:"status,omitempty"`      // the gateway's word
	Reason               string            `json:"reason,omitempty"`      // errorInformation.reason, or the flat reason of a 400
	Message              string            `json:"message,omitempty"`     // the gateway's sentence, shortened
	RetryAdvice          string            `json:"retryAdvice,omitempty"` // categoryCode of a decline: "01" means never again
	Authorized           canonical.Money   `json:"authorized,omitzero"`   // what is held, or was captured by a sale
	Amount               canonical.Money   `json:"amount,omitzero"`       // of this request: captured, refunded, reversed, voided, asked
	SubmittedAt          time.Time         `json:"submittedAt,omitzero"`
	ReconciliationID     string            `json:"reconciliationId,omitempty"`
	ApprovalCode         string            `json:"approvalCode,omitempty"`
	NetworkTransactionID string            `json:"networkTransactionId,omitempty"`
	ProcessorCode        string            `json:"processorCode,omitempty"` // processorInformation.responseCode
	CardType             string            `json:"cardType,omitempty"`      // "001" Visa, ...
	CardSuffix           string            `json:"cardSuffix,omitempty"`    // last four, where given
	AVS                  string            `json:"avs,omitempty"`           // address verification code
	CVN                  string            `json:"cvn,omitempty"`           // card verification result
	Risk                 *Risk             `json:"risk,omitempty"`
	Tokens               *Tokens           `json:"tokens,omitempty"`
	CaptureID            string            `json:"captureId,omitempty"`  // made by a case action
	ReversalID           string            `json:"reversalId,omitempty"` // made by a case action
	Links                map[string]string `json:"links,omitempty"`      // name to path: "authReversal", "capture", "void"
	CorrelationID        string            `json:"correlationId,omitempty"`
	Adopted              bool              `json:"adopted,omitempty"`  // found again by a look-up, not answered
	ByItself             bool              `json:"byItself,omitempty"` // a hold that nobody released: it ran out, or the gateway let go what a capture or void left
}

// Risk is Decision Manager's part of an answer.
type Risk struct {
	Score       string              `json:"score,omitempty"` // "0" to "99"
	FactorCodes []string            `json:"factorCodes,omitempty"`
	Model       string              `json:"model,omitempty"`
	Profile     string              `json:"profile,omitempty"`
	Queue       string              `json:"queue,omitempty"`
	Priority    string              `json:"priority,omitempty"` // "1" to "5"
	Rules       []RiskRule          `json:"rules,omitempty"`
	InfoCodes   map[string][]string `json:"infoCodes,omitempty"` // "velocity", "address", ... to codes
}

// RiskRule is a rule that fired.
type RiskRule struct {
	Name     string `json:"name"`
	Decision string `json:"decision"`
}

// Tokens are the stored tokens that a payment created.
type Tokens struct {
	Customer                string `json:"customer,omitempty"`
	PaymentInstrument       string `json:"paymentInstrument,omitempty"`
	InstrumentIdentifier    string `json:"instrumentIdentifier,omitempty"`
	InstrumentIdentifierNew bool   `json:"instrumentIdentifierNew,omitempty"`
	ShippingAddress         string `json:"shippingAddress,omitempty"`
}
