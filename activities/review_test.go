package activities_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

const caseRoute = "POST /risk/v1/decisions/*/actions"

// held is an order whose payment is under review, and the input of a decision.
func held(t *testing.T, b *bank, decision canonical.FraudDecision) activities.DecideCaseInput {
	t.Helper()
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardHeld, false))
	require.Equal(t, activities.Held, auth.Result)
	return activities.DecideCaseInput{
		OrderID: order.OrderID, PaymentID: auth.Payment.AuthorizationID, Decision: decision, Actor: "ana", Source: "api", Attempt: 1, Amount: usd(total),
	}
}

// carryOut does with the money what holds after a decision.
func carryOut(t *testing.T, b *bank, in activities.DecideCaseInput, decided activities.CaseDecision) {
	t.Helper()
	if decided.Decision == canonical.FraudAccept {
		must(t, b, b.payments.CapturePayment, capturing(in.OrderID, in.PaymentID, 1))
		b.requireBalance(t, in.OrderID, "0.00", total, "0.00")
	} else {
		must(t, b, b.payments.VoidCapture, undoing(in.OrderID, 1))
		must(t, b, b.payments.ReverseAuthorization, undoing(in.OrderID, 1))
		b.requireBalance(t, in.OrderID, "0.00", "0.00", "0.00")
	}
	b.requireJournal(t, in.OrderID)
}

func TestAVerdictHolds(t *testing.T) {
	for _, decision := range []canonical.FraudDecision{canonical.FraudAccept, canonical.FraudReject} {
		for _, mode := range []string{"", "drop_after", "drop_before", "status", "garbage"} {
			t.Run(string(decision)+"/"+mode, func(t *testing.T) {
				b := newBank(t)
				in := held(t, b, decision)
				if mode != "" {
					b.broken(t, caseRoute, mode, 1)
				}
				decided := must(t, b, b.payments.DecideCase, in)
				require.Equal(t, decision, decided.Decision)
				require.False(t, decided.Captured || decided.Reversed)
				require.Equal(t, canonical.PaymentAuthorized, decided.Payment.Status, "no longer under review")
				require.Equal(t, decided, must(t, b, b.payments.DecideCase, in))
				carryOut(t, b, in, decided)
			})
		}
	}
}

func TestTheGatewaysOwnVerdictWins(t *testing.T) {
	tests := []struct {
		name               string
		ours               canonical.FraudDecision
		theirs             string
		actions            []string
		want               canonical.FraudDecision
		captured, reversed bool
	}{
		{"captured by the reviewer", canonical.FraudReject, "ACCEPT", []string{"CAPTURE"}, canonical.FraudAccept, true, false},
		{"reversed by the reviewer", canonical.FraudAccept, "REJECT", []string{"REVERSE"}, canonical.FraudReject, false, true},
		{"accepted by the reviewer", canonical.FraudReject, "ACCEPT", nil, canonical.FraudAccept, false, false},
		{"rejected by the reviewer", canonical.FraudAccept, "REJECT", nil, canonical.FraudReject, false, false},
		{"same verdict, captured", canonical.FraudAccept, "ACCEPT", []string{"CAPTURE"}, canonical.FraudAccept, true, false},
		{"same verdict, reversed", canonical.FraudReject, "REJECT", []string{"REVERSE"}, canonical.FraudReject, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t)
			in := held(t, b, test.ours)
			b.reviewer(t, in.PaymentID, test.theirs, test.actions...)
			decided := must(t, b, b.payments.DecideCase, in)
			require.Equal(t, test.want, decided.Decision)
			require.Equal(t, test.captured, decided.Captured)
			require.Equal(t, test.reversed, decided.Reversed)
			again := must(t, b, b.payments.DecideCase, in)
			require.Equal(t, decided, again)
			carryOut(t, b, in, decided)
			require.LessOrEqual(t, len(b.booked("capture")), 1)
			require.LessOrEqual(t, len(b.booked("reversal")), 1)
		})
	}
}

func TestACaseIsNotDecidedByAKeyThatIsNotAccepted(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudAccept)
	for range 2 {
		b.answering(t, caseRoute, http.StatusUnauthorized, "")
		_, err := try(b, b.payments.DecideCase, in)
		requireFault(t, err, fault.Credentials, true)
		payment, err := b.store.Payment(t.Context(), in.OrderID)
		require.NoError(t, err)
		require.Equal(t, canonical.PaymentHeld, payment.Status)
	}
	require.Equal(t, canonical.FraudAccept, must(t, b, b.payments.DecideCase, in).Decision)
}

func TestARefusedVerdictOnAnOpenCaseIsNoVerdict(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudAccept)
	b.answering(t, caseRoute, http.StatusBadRequest, "INVALID_DATA")
	for range 2 {
		_, err := finish(b, b.payments.DecideCase, in)
		requireFault(t, err, fault.Conflict, true)
		require.Equal(t, activities.CodeCaseOpen, code(t, err))
	}
	payment, err := b.store.Payment(t.Context(), in.OrderID)
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentHeld, payment.Status)
}

func TestAnEventMustBeInTheInbox(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudAccept)
	for id, item := range map[string]journal.InboxItem{
		"other-order":    {Source: "cybersource", OrderID: "WEB-2", EventType: "risk.casemanagement.decision.accept"},
		"other-source":   {Source: "erp-syspro", OrderID: "WEB-1", EventType: "risk.casemanagement.decision.accept"},
		"other-decision": {Source: "cybersource", OrderID: "WEB-1", EventType: "risk.casemanagement.decision.reject"},
		"other-event":    {Source: "cybersource", OrderID: "WEB-1", EventType: "risk.casemanagement.addnote"},
		"proven":         {Source: "cybersource", OrderID: "WEB-1", EventType: "risk.casemanagement.decision.accept"},
	} {
		item.ID, item.Body = id, []byte("{}")
		_, err := b.store.Receive(t.Context(), item)
		require.NoError(t, err)
	}
	for _, id := range []string{"unknown", "other-order", "other-source", "other-decision", "other-event"} {
		in.EventID = id
		_, err := try(b, b.payments.DecideCase, in)
		requireFault(t, err, fault.DeclinedByPolicy, true)
		require.Equal(t, activities.CodeUnproven, code(t, err))
	}
	b.reviewer(t, in.PaymentID, "ACCEPT")
	in.EventID = "proven"
	decided := must(t, b, b.payments.DecideCase, in)
	require.Equal(t, canonical.FraudAccept, decided.Decision)
	require.Zero(t, b.requests(t, http.MethodPost, "/risk/v1/decisions/"+in.PaymentID+"/actions"), "the gateway has decided: it is not told again")
	carryOut(t, b, in, decided)
}
