package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// DisputeEventType is the type of a dispute's row in the inbox: each action of a case reaches its process from there, once.
const DisputeEventType = "chargeback"

// Dispute is what a report row, a query or a person tells of a case; the body of its inbox item. OpenedAt of the case is the row's own time.
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

// dispute keeps a dispute's row for the inbox. A row that is shown once more with how the case ended tells something new.
func (r *reading) dispute(row report.Row) error {
	outcome, action := disputeOutcome(row), row.Case.Key()
	if outcome != ChargebackOpen {
		action += "/" + string(outcome)
	}
	item, err := DisputeEvent(action, Dispute{
		Case: ChargebackCase{
			ID: row.Case.Number, TransactionID: row.RequestID, Reference: strings.Clone(row.Reference), Amount: row.Amount, Fee: row.Case.Fee,
			Reason: row.Case.ReasonCode, OpenedAt: row.Case.Time, RespondBy: row.Case.RespondBy, Retrieval: row.Case.Retrieval,
			Taken: row.Direction == report.Out,
		},
		Outcome: outcome,
	})
	if err != nil {
		return err
	}
	r.disputes = append(r.disputes, told{item, strings.Clone(row.RequestID)})
	return nil
}

// told is what a row tells of a dispute, and the transaction that it is about; "" where it does not say.
type told struct {
	item        journal.InboxItem
	transaction string
}

// tellDisputes brings the disputes into the inbox, each for the order of its transaction. Where nobody knows that, its reference names the order.
func (r *reading) tellDisputes(ctx context.Context) error {
	var transactions []string
	for _, dispute := range r.disputes {
		if dispute.transaction != "" {
			transactions = append(transactions, dispute.transaction)
		}
	}
	disputed, err := r.Journal.Settling(system, time.Time{}).Find(ctx, transactions)
	if err != nil {
		return err
	}
	orders := map[string]string{}
	for _, op := range disputed {
		orders[op.TransactionID] = op.OrderID
	}
	for _, dispute := range r.disputes {
		if order := orders[dispute.transaction]; order != "" {
			dispute.item.OrderID = order
		}
		if _, err := r.Journal.Receive(ctx, dispute.item); err != nil {
			return err
		}
	}
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

// RecordCycleInput brings a dispute's record forward with its outcome, or into a further cycle: after it had ended, the money was taken again,
// or it was decided otherwise.
type RecordCycleInput struct {
	RecordChargebackInput
	Cycle   int               `json:"cycle"`            // from 1
	EndedAt time.Time         `json:"endedAt,omitzero"` // when it was decided, by who told so
	Former  ChargebackOutcome `json:"former,omitempty"` // how the cycle before ended
}

// RecordCycle records how a cycle of a dispute ends, or that another one begins, as RecordChargeback does the rest; of a further cycle finance is
// told what was booked before.
func (c *Changes) RecordCycle(ctx context.Context, in RecordCycleInput) error {
	return toTemporal(c.recordCycle(ctx, in))
}

func (c *Changes) recordCycle(ctx context.Context, in RecordCycleInput) error {
	if in.At.IsZero() {
		in.At = c.Clock().UTC()
	}
	told := map[string]string{"caseId": in.Case.ID}
	if in.Cycle > 0 {
		told["cycle"] = strconv.Itoa(in.Cycle)
	}
	var progress *journal.Progress
	if in.OrderID != "" {
		progress = &journal.Progress{OrderID: in.OrderID, Seq: in.At.UnixMicro(), Events: []journal.Event{{
			Key: in.Key, At: in.At, Kind: NoticeChargeback + in.Note, Summary: in.sentence() + in.after(), Actor: in.Actor, Detail: map[string]string{
				"caseId": in.Case.ID, "amount": in.Case.Amount.Amount.String(), "currency": in.Case.Amount.Currency, "code": in.Case.Reason,
				"transactionId": in.Case.TransactionID,
			},
		}}}
	}
	var action *journal.Action
	if in.Actor != "" {
		action = &journal.Action{Key: in.Key, At: in.At, OrderID: in.OrderID, Actor: in.Actor, Action: NoticeChargeback + in.Note, Detail: told}
	}
	notices := in.notices(in.At)
	for i := range notices {
		notices[i].Subject = strings.Replace(notices[i].Subject, in.sentence(), in.sentence()+in.after(), 1)
		notices[i].Text += in.advice()
	}
	return c.Journal.RecordChargeback(ctx, journal.ChargebackRecord{
		CaseID: in.Case.ID, OrderID: in.OrderID, TransactionID: in.Case.TransactionID, Amount: in.Case.Amount, Fee: in.Case.Fee, Reason: in.Case.Reason,
		Retrieval: in.Case.Retrieval, Outcome: journal.ChargebackOutcome(in.Outcome), Cycle: in.Cycle, OpenedAt: in.Case.OpenedAt,
		EndedAt: in.EndedAt, RespondBy: in.Case.RespondBy,
	}, journal.ChargebackNote{Key: in.Key, At: in.At, Note: in.Note, Actor: in.Actor}, progress, action, notices...)
}

// after says what came before a further cycle.
func (in RecordCycleInput) after() string {
	if in.Former == ChargebackOpen {
		return ""
	}
	return ", after it was " + string(in.Former)
}

// DisputeContradicted is the note of a dispute of which a row tells another outcome, and not a later one.
const DisputeContradicted = "contradicted"

// advice is what finance has to know of a further cycle, or of a row that contradicts.
func (in RecordCycleInput) advice() string {
	switch {
	case in.Note == DisputeContradicted:
		return "\nA report tells another outcome than " + string(in.Outcome) + ", of a time that is not after it. Nothing is booked for that: ask the processor which one holds."
	case in.Former != ChargebackOpen:
		return "\nThat it was " + string(in.Former) + " is in the ledger; what follows has a journal of its own."
	default:
		return ""
	}
}
