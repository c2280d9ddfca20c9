package cybersource

import (
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Query asks for transactions by merchant reference.
type Query struct {
	Code  string    // clientReferenceInformation.code, exactly
	Since time.Time // submitted at or after; zero: the last 180 days
}

// Transaction is one entry of the search index. It has no payment status: the applications tell what ran and how it ended.
type Transaction struct {
	ID           string          `json:"id"`
	Code         string          `json:"code"`
	SubmittedAt  time.Time       `json:"submittedAt"`
	Amount       canonical.Money `json:"amount,omitzero"`
	ReasonCode   string          `json:"reasonCode,omitempty"` // of the whole request
	RFlag        string          `json:"rFlag,omitempty"`
	RCode        string          `json:"rCode,omitempty"`
	Applications []Application   `json:"applications,omitempty"`
	CardType     string          `json:"cardType,omitempty"`
	CardSuffix   string          `json:"cardSuffix,omitempty"`
}

// Application is one service that ran within a request: ics_auth, ics_bill, ics_credit, ics_auth_reversal, ics_void, ics_decision.
type Application struct {
	Name             string `json:"name"`
	ReasonCode       string `json:"reasonCode,omitempty"` // "100" is success
	RFlag            string `json:"rFlag,omitempty"`      // "SOK" is success
	RCode            string `json:"rCode,omitempty"`      // "1" done, "0" declined, "-1" error
	ReconciliationID string `json:"reconciliationId,omitempty"`
}

// Detail is what is known of one transaction now, its later fate included.
type Detail struct {
	Transaction
	Status               string          `json:"status,omitempty"` // "AUTHORIZED", "PENDING", "REVERSED", ...; undocumented by the gateway
	Reason               string          `json:"reason,omitempty"`
	Message              string          `json:"message,omitempty"`
	RootID               string          `json:"rootId,omitempty"`
	Related              []string        `json:"related,omitempty"` // ids of related transactions
	Authorized           canonical.Money `json:"authorized,omitzero"`
	RefundBalance        canonical.Money `json:"refundBalance,omitzero"`
	ReconciliationID     string          `json:"reconciliationId,omitempty"`
	ApprovalCode         string          `json:"approvalCode,omitempty"`
	NetworkTransactionID string          `json:"networkTransactionId,omitempty"`
	ProcessorCode        string          `json:"processorCode,omitempty"`
	AVS                  string          `json:"avs,omitempty"`
	CVN                  string          `json:"cvn,omitempty"`
	Risk                 *Risk           `json:"risk,omitempty"`
	Tokens               *Tokens         `json:"tokens,omitempty"`
}

// Wanted describes the transaction that a lost answer was about.
type Wanted struct {
	Kind    Kind
	Amount  canonical.Money
	After   time.Time            // when it was first sent, by our clock
	Related string               // for follow-ons: the id it refers to; empty where unknown
	Exclude func(id string) bool // ids that serve other operations; nil: none
}
