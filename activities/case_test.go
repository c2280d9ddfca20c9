package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

const markingRoute = "POST /risk/v1/decisions/*/marking"

// silently decides a case in the gateway's console, of which no webhook tells.
func (b *bank) silently(t tb, id, decision string, actions ...string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/review", map[string]any{"id": id, "decision": decision, "actionList": actions, "silent": true})
}

func asking(in activities.DecideCaseInput) activities.AskCaseInput {
	return activities.AskCaseInput{OrderID: in.OrderID, PaymentID: in.PaymentID, Amount: in.Amount}
}

func TestACaseIsAskedFor(t *testing.T) {
	none, accept, reject := canonical.FraudDecision(""), canonical.FraudAccept, canonical.FraudReject
	tests := []struct {
		name    string
		card    string
		decided func(t *testing.T, b *bank, id string)
		want    canonical.FraudDecision
	}{
		{"open", cardHeld, func(*testing.T, *bank, string) {}, none},
		{"accepted", cardHeld, func(t *testing.T, b *bank, id string) { b.silently(t, id, "ACCEPT") }, accept},
		{"accepted and captured", cardHeld, func(t *testing.T, b *bank, id string) { b.silently(t, id, "ACCEPT", "CAPTURE") }, accept},
		{"rejected", cardHeld, func(t *testing.T, b *bank, id string) { b.silently(t, id, "REJECT") }, reject},
		{"rejected and reversed", cardHeld, func(t *testing.T, b *bank, id string) { b.silently(t, id, "REJECT", "REVERSE") }, reject},
		{"the hold ran out, the case is open", cardHeld, func(t *testing.T, b *bank, id string) { b.expire(t, id) }, none},
		{"accepted after the hold ran out", cardHeld, func(t *testing.T, b *bank, id string) { b.expire(t, id); b.silently(t, id, "ACCEPT") }, accept},
		{"ran out after it was accepted", cardHeld, func(t *testing.T, b *bank, id string) { b.silently(t, id, "ACCEPT"); b.expire(t, id) }, none},
		{"open before authorization", cardHeldUnauthorized, func(*testing.T, *bank, string) {}, none},
		{"accepted before authorization", cardHeldUnauthorized, func(t *testing.T, b *bank, id string) { b.silently(t, id, "ACCEPT") }, accept},
		{"rejected before authorization", cardHeldUnauthorized, func(t *testing.T, b *bank, id string) { b.silently(t, id, "REJECT") }, reject},
	}
	for _, test := range tests {
		for name, lag := range map[string]time.Duration{"": 0, ", index behind": time.Hour} {
			t.Run(test.name+name, func(t *testing.T) {
				b := newBank(t, withLag(lag, 0))
				order := b.order(t, "WEB-1")
				auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, test.card, false))
				in := activities.AskCaseInput{OrderID: order.OrderID, PaymentID: auth.Payment.AuthorizationID, Amount: usd(total)}
				test.decided(t, b, in.PaymentID)
				require.Equal(t, test.want, must(t, b, b.payments.AskCase, in).Decision)
			})
		}
	}
}

func TestARecordThatLagsTellsNothingOfACase(t *testing.T) {
	b := newBank(t, withLag(0, 3*time.Minute))
	in := held(t, b, canonical.FraudAccept)
	b.silently(t, in.PaymentID, "ACCEPT")
	state, err := try(b, b.payments.AskCase, asking(in))
	require.NoError(t, err)
	require.Empty(t, state.Decision)
	b.clock.Advance(3 * time.Minute)
	require.Equal(t, canonical.FraudAccept, must(t, b, b.payments.AskCase, asking(in)).Decision)
	b.answering(t, detailsRoute, http.StatusInternalServerError, "")
	_, err = try(b, b.payments.AskCase, asking(in))
	requireFault(t, err, fault.Connection, false)
}

func TestAPolledDecisionHolds(t *testing.T) {
	for _, test := range []struct {
		decision           string
		actions            []string
		want               canonical.FraudDecision
		captured, reversed bool
	}{
		{"ACCEPT", nil, canonical.FraudAccept, false, false},
		{"ACCEPT", []string{"CAPTURE"}, canonical.FraudAccept, true, false},
		{"REJECT", nil, canonical.FraudReject, false, false},
		{"REJECT", []string{"REVERSE"}, canonical.FraudReject, false, true},
	} {
		t.Run(test.decision, func(t *testing.T) {
			b := newBank(t)
			in := held(t, b, test.want)
			in.Asked = true
			_, err := try(b, b.payments.DecideCase, in)
			requireFault(t, err, fault.DeclinedByPolicy, true)
			require.Equal(t, activities.CodeUnproven, code(t, err), "an open case is not decided")

			b.silently(t, in.PaymentID, test.decision, test.actions...)
			other := in
			other.Decision = map[canonical.FraudDecision]canonical.FraudDecision{canonical.FraudAccept: canonical.FraudReject, canonical.FraudReject: canonical.FraudAccept}[test.want]
			_, err = try(b, b.payments.DecideCase, other)
			require.Equal(t, activities.CodeUnproven, code(t, err), "it is decided the other way")
			payment, err := b.store.Payment(t.Context(), in.OrderID)
			require.NoError(t, err)
			require.Equal(t, canonical.PaymentHeld, payment.Status)

			decided := must(t, b, b.payments.DecideCase, in)
			require.Equal(t, test.want, decided.Decision)
			require.Equal(t, test.captured, decided.Captured)
			require.Equal(t, test.reversed, decided.Reversed)
			require.Zero(t, b.requests(t, http.MethodPost, "/risk/v1/decisions/"+in.PaymentID+"/actions"), "the gateway has decided: it is not told again")
			carryOut(t, b, in, decided)
		})
	}
}

func TestTheCustomerOfARejectedPaymentIsMarked(t *testing.T) {
	for _, mode := range []string{"", "drop_after", "drop_before", "truncate", "garbage", "status"} {
		t.Run(mode, func(t *testing.T) {
			b := newBank(t)
			in := held(t, b, canonical.FraudReject)
			carryOut(t, b, in, must(t, b, b.payments.DecideCase, in))
			mark := activities.MarkCustomerInput{OrderID: in.OrderID, PaymentID: in.PaymentID, Notes: "stolen card", Actor: "ana", Attempt: 1}
			if mode != "" {
				b.broken(t, markingRoute, mode, 1)
			}
			require.Eventually(t, func() bool { // as Temporal would: whatever may be retried comes again
				failure := application(b.payments.MarkCustomer(t.Context(), mark))
				return failure == nil || failure.NonRetryable()
			}, time.Minute, time.Millisecond)
			require.NoError(t, b.payments.MarkCustomer(t.Context(), mark))
			require.Len(t, b.server.Ledger().Markings, 1)
			entry := b.server.Ledger().Markings[0]
			require.Equal(t, []string{"add", "suspected", "ada@example.com", "stolen card (ana)"}, []string{entry.Action, entry.Reason, entry.Email, entry.Notes})
			stored := b.operation(t, "fraud-review:WEB-1:mark:1")
			require.Equal(t, journal.OperationSucceeded, stored.State)
			require.Empty(t, stored.Effect, "no money moves")

			next := b.order(t, "WEB-2")
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, next, 1, cardApproved, true))
			require.Equal(t, activities.Declined, auth.Result)
			require.Equal(t, "BLACKLISTED_CUSTOMER", auth.ReasonText)
		})
	}
}

func TestAMarkingThatIsRefused(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudReject)
	mark := activities.MarkCustomerInput{OrderID: in.OrderID, PaymentID: in.PaymentID, Actor: "ana", Attempt: 1}
	b.answering(t, markingRoute, http.StatusUnauthorized, "")
	require.Equal(t, string(fault.Credentials), application(b.payments.MarkCustomer(t.Context(), mark)).Type())
	b.answering(t, markingRoute, http.StatusBadRequest, "INVALID_DATA")
	for range 2 {
		failure := application(b.payments.MarkCustomer(t.Context(), mark))
		require.Equal(t, string(fault.Value), failure.Type())
		require.True(t, failure.NonRetryable())
	}
	require.Empty(t, b.server.Ledger().Markings)
	mark.Attempt = 2
	require.NoError(t, b.payments.MarkCustomer(t.Context(), mark))
	require.Len(t, b.server.Ledger().Markings, 1)
	mark.PaymentID, mark.Attempt = "", 3
	require.Equal(t, string(fault.Bug), application(b.payments.MarkCustomer(t.Context(), mark)).Type())
}

func TestAnAuthorizationThatRanOutIsRenewed(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudAccept)
	b.expire(t, in.PaymentID)
	for range 2 {
		decided := must(t, b, b.payments.DecideCase, in)
		require.Equal(t, canonical.FraudAccept, decided.Decision, "a hold that ran out is nobody's verdict")
		require.True(t, decided.Reversed)
	}
	b.requireJournal(t, in.OrderID)

	order := sampleOrder("WEB-1")
	renewal := paying(t, order, 2, cardHeld, false) // a card that Decision Manager would hold again
	renewal.Renewal = true
	auth := must(t, b, b.payments.AuthorizePayment, renewal)
	require.Equal(t, activities.Authorized, auth.Result)
	require.NotEqual(t, in.PaymentID, auth.Payment.AuthorizationID)
	again := must(t, b, b.payments.AuthorizePayment, renewal)
	require.Equal(t, auth, again)
	require.Contains(t, string(b.operation(t, "order:WEB-1:authorize:2").Request), `"reason":"3"`)
	require.Contains(t, string(b.operation(t, "order:WEB-1:authorize:2").Request), `"previousTransactionId":"`+in.PaymentID[2:17]+`"`)
	renewal.Renewal = false
	_, err := try(b, b.payments.AuthorizePayment, renewal)
	requireFault(t, err, fault.Bug, true) // by the same key, the buyer would ask for something else

	must(t, b, b.payments.CapturePayment, capturing(in.OrderID, auth.Payment.AuthorizationID, 2))
	b.requireBalance(t, in.OrderID, "0.00", total, "0.00")
	b.requireJournal(t, in.OrderID)
}

// TestAHoldThatRanOutUnseenIsRenewed: only the refusal of the capture tells.
func TestAHoldThatRanOutUnseenIsRenewed(t *testing.T) {
	b := newBank(t, withLag(time.Hour, 0))
	order := b.order(t, "WEB-1")
	first := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	b.expire(t, first.Payment.AuthorizationID)
	_, err := finish(b, b.payments.CapturePayment, capturing(order.OrderID, first.Payment.AuthorizationID, 1))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, "AUTH_ALREADY_REVERSED", code(t, err))
	must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
	renewal := paying(t, order, 2, cardApproved, false)
	renewal.Renewal = true
	second := must(t, b, b.payments.AuthorizePayment, renewal)
	require.Equal(t, activities.Authorized, second.Result)
	must(t, b, b.payments.CapturePayment, capturing(order.OrderID, second.Payment.AuthorizationID, 2))
	b.requireBalance(t, order.OrderID, "0.00", total, "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestARenewalNeedsAStoredCredential(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	in := paying(t, order, 1, cardApproved, false)
	in.Renewal = true
	in.Token = canonical.Token{Type: canonical.TokenTransient, Value: "a.b.c"}
	_, err := try(b, b.payments.AuthorizePayment, in)
	requireFault(t, err, fault.Value, true)
	require.Empty(t, b.server.Ledger().Transactions)
	in = paying(t, order, 1, "99", false)
	in.Renewal = true
	require.Equal(t, activities.TokenRefused, must(t, b, b.payments.AuthorizePayment, in).Result)
}
