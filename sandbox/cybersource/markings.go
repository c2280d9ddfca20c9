package cybersource

import (
	"slices"
	"strings"
	"time"
)

// markingEmail is the one field that a marking may name: the reference has no other.
const markingEmail = "customer_email"

// MarkingEntry is a payment's customer put on the merchant's negative list, or taken off it.
type MarkingEntry struct {
	PaymentID string    `json:"paymentId"`
	Reference string    `json:"reference"`
	Action    string    `json:"action"` // add, clear, hide
	Reason    string    `json:"reason,omitempty"`
	Notes     string    `json:"notes,omitempty"`
	Fields    []string  `json:"fieldsIncluded,omitempty"`
	Email     string    `json:"email,omitempty"` // what customer_email stands for in the payment
	At        time.Time `json:"at"`
}

// caseMarking is POST /risk/v1/decisions/{id}/marking.
func (s *Server) caseMarking(c *call) reply {
	return s.onCase(c, func(t *transaction, r caseRequest) *refusal {
		marking := r.RiskInformation.MarkingDetails
		if refused := checkMarking(t, r); refused != nil {
			return refused
		}
		entry := MarkingEntry{
			PaymentID: t.ID, Reference: t.Reference, Action: marking.Action, Reason: marking.Reason, Notes: marking.Notes,
			Fields: marking.FieldsIncluded, At: c.now,
		}
		if slices.Contains(marking.FieldsIncluded, markingEmail) {
			entry.Email = t.Details.BillTo.Email
		}
		if s.books.repeats(t, entry) {
			return nil
		}
		t.Details.Markings = append(t.Details.Markings, orElse(marking.Reason, marking.Action))
		t.Details.MarkingEntries = append(t.Details.MarkingEntries, entry)
		s.books.mark(t.MerchantID, entry)
		return nil
	})
}

// checkMarking: an entry that is added says why and what of the payment it takes.
func checkMarking(t *transaction, r caseRequest) *refusal {
	marking := r.RiskInformation.MarkingDetails
	var problems checks
	const at = "riskInformation.markingDetails."
	problems.required(at+"action", marking.Action, 10)
	problems.oneOf(at+"action", marking.Action, "add", "clear", "hide")
	problems.oneOf(at+"reason", marking.Reason, "fraud_chargeback", "non_fraud_chargeback", "suspected", "creditback")
	if marking.Action == "add" {
		problems.requiredOnly(at+"reason", marking.Reason)
		if len(marking.FieldsIncluded) == 0 {
			problems.missing(at + "fieldsIncluded")
		}
	}
	for _, field := range marking.FieldsIncluded {
		problems.oneOf(at+"fieldsIncluded", field, markingEmail)
		if field == "" || field == markingEmail && t.Details.BillTo.Email == "" {
			problems.invalid(at + "fieldsIncluded")
		}
	}
	return problems.refusal()
}

// repeats tells that the payment's last marking said the same: asking again changes nothing.
func (b *books) repeats(t *transaction, entry MarkingEntry) bool {
	entries := t.Details.MarkingEntries
	if len(entries) == 0 {
		return false
	}
	last := entries[len(entries)-1]
	return last.Action == entry.Action && last.Reason == entry.Reason && last.Notes == entry.Notes && slices.Equal(last.Fields, entry.Fields)
}

func markKey(merchant, email string) string { return byMerchant(merchant, strings.ToLower(email)) }

// mark brings the negative list forward, in whatever order markings are read back.
func (b *books) mark(merchant string, entry MarkingEntry) {
	if entry.Email == "" {
		return
	}
	key := markKey(merchant, entry.Email)
	if last, known := b.marked[key]; !known || !entry.At.Before(last.At) {
		b.marked[key] = entry
	}
}

// onNegativeList tells whether the last marking of an e-mail address is one that was added.
func (b *books) onNegativeList(merchant, email string) bool {
	return email != "" && b.marked[markKey(merchant, email)].Action == "add"
}

// markings are all of them, oldest first.
func (b *books) markings() []MarkingEntry {
	entries := []MarkingEntry{}
	for _, t := range b.all {
		entries = append(entries, t.Details.MarkingEntries...)
	}
	slices.SortStableFunc(entries, func(x, y MarkingEntry) int { return x.At.Compare(y.At) })
	return entries
}
