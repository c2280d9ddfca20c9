package activities

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// DisputeEventType is the type of a dispute's row in the inbox: each action of a case reaches its process from there, once.
const DisputeEventType = "chargeback"

// Dispute is what a report row, a query or a person tells of a case; the body of its inbox item.
type Dispute struct {
	Case    ChargebackCase    `json:"case"`
	Outcome ChargebackOutcome `json:"outcome,omitempty"`
}

// DisputeEvent is a dispute as the inbox keeps it. The same action of the same case has the same ID.
func DisputeEvent(action string, dispute Dispute) (journal.InboxItem, error) {
	body, err := json.Marshal(dispute)
	if err != nil {
		return journal.InboxItem{}, bug("encode dispute: %v", err)
	}
	sum := sha256.Sum256([]byte(system + "|" + DisputeEventType + "|" + action))
	return journal.InboxItem{
		ID: hex.EncodeToString(sum[:]), Source: system, EventType: DisputeEventType, ResourceID: dispute.Case.ID,
		OrderID: dispute.Case.Reference, Body: body,
	}, nil
}

// dispute keeps a dispute's row for the inbox.
func (r *reading) dispute(row report.Row) error {
	item, err := DisputeEvent(row.Case.Key(), Dispute{
		Case: ChargebackCase{
			ID: row.Case.Number, TransactionID: row.RequestID, Reference: strings.Clone(row.Reference), Amount: row.Amount, Fee: row.Case.Fee,
			Reason: row.Case.ReasonCode, OpenedAt: row.Case.Time, RespondBy: row.Case.RespondBy, Retrieval: row.Case.Retrieval,
		},
		Outcome: disputeOutcome(row),
	})
	if err != nil {
		return err
	}
	r.disputes = append(r.disputes, item)
	return nil
}

// disputeOutcome reads how a dispute ended: for the merchant (M), for the buyer (B, S, G), or by the word of its action.
func disputeOutcome(row report.Row) ChargebackOutcome {
	action := strings.ToLower(row.Case.Action)
	switch {
	case row.Case.Resolution == "M", strings.Contains(action, "won"), strings.Contains(action, "reversal"):
		return ChargebackWon
	case row.Case.Resolution != "", strings.Contains(action, "lost"):
		return ChargebackLost
	default:
		return ChargebackOpen
	}
}
