package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

const (
	payRoute     = "POST /pts/v2/payments"
	captureRoute = "POST /pts/v2/payments/*/captures"
	searchRoute  = "POST /tss/v2/searches"
	detailsRoute = "GET /tss/v2/transactions/*"
)

func capturing(orderID, authorizationID string, attempt int) activities.CapturePaymentInput {
	return activities.CapturePaymentInput{OrderID: orderID, AuthorizationID: authorizationID, Attempt: attempt, Amount: usd(total)}
}

func undoing(orderID string, attempt int) activities.UndoPaymentInput {
	return activities.UndoPaymentInput{OrderID: orderID, Attempt: attempt, Reason: "order not completed"}
}

func TestEveryOutcomeOfAnAuthorization(t *testing.T) {
	tests := []struct {
		name      string
		card      string
		capture   bool
		want      activities.AuthorizationResult
		status    canonical.PaymentStatus
		order     canonical.OrderStatus
		liveHold  bool
		held      string
		captured  string
		authorize string
	}{
		{"authorized", cardApproved, false, activities.Authorized, canonical.PaymentAuthorized, canonical.OrderCapturing, false, total, "0.00", total},
		{"sale", cardApproved, true, activities.Captured, canonical.PaymentCaptured, canonical.OrderBooking, false, "0.00", total, total},
		{"declined", cardDeclined, true, activities.Declined, canonical.PaymentDeclined, canonical.OrderReceived, false, "0.00", "0.00", "0"},
		{"held", cardHeld, false, activities.Held, canonical.PaymentHeld, canonical.OrderInReview, false, total, "0.00", total},
		{"sale held", cardHeld, true, activities.Held, canonical.PaymentHeld, canonical.OrderInReview, false, total, "0.00", total},
		{"held before authorization", cardHeldUnauthorized, true, activities.HeldUnauthorized, canonical.PaymentHeld, canonical.OrderInReview, false, "0.00", "0.00", "0"},
		{"risk declined", cardRiskDeclined, true, activities.RiskDeclined, canonical.PaymentAuthorized, canonical.OrderReceived, true, total, "0.00", total},
		{"partly", cardPartial, true, activities.PartiallyAuthorized, canonical.PaymentAuthorized, canonical.OrderReceived, true, "24.09", "0.00", "24.09"},
		{"authentication", cardAuthentication, false, activities.AuthenticationRequired, canonical.PaymentDeclined, canonical.OrderReceived, false, "0.00", "0.00", "0"},
		{"unknown token", "99", false, activities.TokenRefused, canonical.PaymentNone, canonical.OrderReceived, false, "0.00", "0.00", "0"},
	}
	b := newBank(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			order := b.order(t, "WEB-"+test.card+map[bool]string{true: "S", false: "A"}[test.capture])
			in := paying(t, order, 1, test.card, test.capture)
			auth := must(t, b, b.payments.AuthorizePayment, in)
			require.Equal(t, test.want, auth.Result)
			require.Equal(t, test.liveHold, auth.LiveHold)
			require.Equal(t, test.status, auth.Payment.Status)
			require.True(t, auth.Payment.Authorized.Equal(dec(test.authorize)), "%s", auth.Payment.Authorized)
			b.requireBalance(t, order.OrderID, test.held, test.captured, "0.00")
			if success := test.want == activities.Authorized || test.want == activities.Captured; success {
				require.Empty(t, auth.ReasonText)
			} else {
				require.NotEmpty(t, auth.ReasonText)
			}
			shown, err := b.store.Order(t.Context(), order.OrderID)
			require.NoError(t, err)
			require.Equal(t, test.order, shown.Status)

			before := len(b.server.Ledger().Transactions)
			again := must(t, b, b.payments.AuthorizePayment, in)
			require.Equal(t, auth, again, "the same operation gives the same answer")
			require.Len(t, b.server.Ledger().Transactions, before, "and sends nothing")

			other := in
			other.Amount = usd("48.18")
			_, err = try(b, b.payments.AuthorizePayment, other)
			requireFault(t, err, fault.Value, true) // the document is for another amount
			other = in
			other.Token = card("10")
			_, err = try(b, b.payments.AuthorizePayment, other)
			requireFault(t, err, fault.Bug, true)
			require.Len(t, b.server.Ledger().Transactions, before)
		})
	}
}

// lostAnswers are the ways in which an answer does not come. arrives tells that the request was carried out.
var lostAnswers = []struct {
	name    string
	mode    string
	arrives bool
}{
	{"cut after it was done", "drop_after", true},
	{"half an answer", "truncate", true},
	{"cut before it was done", "drop_before", false},
	{"garbage", "garbage", false},
	{"502", "status", false},
}

func TestALostAnswerEndsAsIfItHadCome(t *testing.T) {
	steps := []struct {
		name, route string
		// run takes the order to the step, breaks it, and gives what the balance must be at the end
		run func(t *testing.T, b *bank, order canonical.Order, lose func()) (held, captured, refunded string)
	}{
		{"authorization", payRoute, func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			lose()
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
			require.Equal(t, activities.Authorized, auth.Result)
			return total, "0.00", "0.00"
		}},
		{"sale", payRoute, func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			lose()
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			require.Equal(t, activities.Captured, auth.Result)
			return "0.00", total, "0.00"
		}},
		{"held sale", payRoute, func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			lose()
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardHeld, true))
			require.Equal(t, activities.Held, auth.Result)
			require.Equal(t, canonical.PaymentHeld, auth.Payment.Status)
			return total, "0.00", "0.00"
		}},
		{"sale approved in part", payRoute, func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			lose()
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardPartial, true))
			require.Equal(t, activities.PartiallyAuthorized, auth.Result)
			return "24.09", "0.00", "0.00"
		}},
		{"capture", captureRoute, func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
			lose()
			capture := must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
			require.Equal(t, canonical.PaymentCaptured, capture.Payment.Status)
			return "0.00", total, "0.00"
		}},
		{"void of a sale", "POST /pts/v2/payments/*/voids", func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			lose()
			undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoDone, undone.Result)
			require.Equal(t, canonical.PaymentVoided, undone.Payment.Status)
			return total, "0.00", "0.00"
		}},
		{"void of a capture", "POST /pts/v2/captures/*/voids", func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
			must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
			lose()
			undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoDone, undone.Result)
			return total, "0.00", "0.00"
		}},
		{"reversal", "POST /pts/v2/payments/*/reversals", func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
			lose()
			undone := must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoDone, undone.Result)
			require.Equal(t, canonical.PaymentReversed, undone.Payment.Status)
			return "0.00", "0.00", "0.00"
		}},
		{"refund", "POST /pts/v2/payments/*/refunds", func(t *testing.T, b *bank, order canonical.Order, lose func()) (string, string, string) {
			must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			b.closeBatch(t)
			lose()
			undone := must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoDone, undone.Result)
			require.Equal(t, canonical.PaymentRefunded, undone.Payment.Status)
			return "0.00", total, total
		}},
	}
	for _, step := range steps {
		for _, lost := range lostAnswers {
			t.Run(step.name+"/"+lost.name, func(t *testing.T) {
				b := newBank(t, withLag(indexLag, 0))
				order := b.order(t, "WEB-1")
				var brokenAt time.Time
				held, captured, refunded := step.run(t, b, order, func() {
					b.broken(t, step.route, lost.mode, 1)
					brokenAt = b.clock.Now()
				})
				b.requireBalance(t, order.OrderID, held, captured, refunded)
				b.requireJournal(t, order.OrderID)
				if lost.arrives {
					require.Less(t, b.clock.Now().Sub(brokenAt), settleWait, "found as soon as the index has it")
				} else {
					require.GreaterOrEqual(t, b.clock.Now().Sub(brokenAt), settleWait, "nothing is sent again before the settling time")
				}
			})
		}
	}
}

func TestTheGatewaysOwnTimeoutsAreLookedUp(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardCommitted502, true))
	require.Equal(t, activities.Captured, auth.Result)
	require.Len(t, b.booked("sale"), 1)
	b.requireJournal(t, order.OrderID)
}

func TestALateIndexMakesNobodyPayTwice(t *testing.T) {
	for _, verified := range []bool{true, false} {
		t.Run(map[bool]string{true: "guard verified", false: "guard not verified"}[verified], func(t *testing.T) {
			b := newBank(t, withLag(4*time.Minute, 0))
			b.payments.GuardVerified = verified
			order := b.order(t, "WEB-1")
			b.broken(t, payRoute, "drop_after", 1)
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			if verified {
				require.Equal(t, activities.Captured, auth.Result, "a duplicate is never a decline")
				require.Greater(t, b.requests(t, http.MethodPost, "/pts/v2/payments"), 1, "sent again under the same guard")
				b.requireBalance(t, order.OrderID, "0.00", total, "0.00")
			} else {
				require.Equal(t, activities.Absent, auth.Result)
				require.Equal(t, 1, b.requests(t, http.MethodPost, "/pts/v2/payments"))
				require.Equal(t, 1, b.requests(t, http.MethodPost, "/pts/v2/voids"))
				require.Equal(t, 1, b.requests(t, http.MethodPost, "/pts/v2/reversals"), "a voided sale leaves its hold")
				b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
			}
			require.Len(t, b.booked("sale"), 1)
		})
	}
}

func TestALateRecordIsNoAbsence(t *testing.T) {
	b := newBank(t, withLag(0, 3*time.Minute))
	order := b.order(t, "WEB-1")
	b.broken(t, payRoute, "drop_after", 1)
	in := paying(t, order, 1, cardApproved, false)
	_, err := try(b, b.payments.AuthorizePayment, in)
	requireFault(t, err, fault.UnknownOutcome, false)
	b.clock.Advance(indexLag)
	_, err = try(b, b.payments.AuthorizePayment, in)
	failure := requireFault(t, err, fault.Busy, false)
	require.GreaterOrEqual(t, failure.NextRetryDelay(), time.Second, "asks again after a pause")
	require.Equal(t, cybersource.CodeDetailsLag, code(t, err))
	auth := must(t, b, b.payments.AuthorizePayment, in)
	require.Equal(t, activities.Authorized, auth.Result)
	require.Len(t, b.booked("auth"), 1)
}

func TestWhatStaysUnknownWaitsForAPerson(t *testing.T) {
	b := newBank(t, withLag(time.Hour, 0))
	order := b.order(t, "WEB-1")
	b.broken(t, payRoute, "drop_after", 1)
	in := paying(t, order, 1, cardApproved, false)
	started := b.clock.Now()
	_, err := finish(b, b.payments.AuthorizePayment, in)
	failure := requireFault(t, err, fault.UnknownOutcome, true)
	require.Contains(t, failure.Message(), "reference WEB-1")
	require.Contains(t, failure.Message(), b.operation(t, "order:WEB-1:authorize:1").Guard)
	require.InDelta(t, budget, b.clock.Now().Sub(started), float64(time.Minute))
	b.requireOneLive(t, order.OrderID)

	_, err = try(b, b.payments.AuthorizePayment, paying(t, order, 2, "10", false))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, journal.CodeAuthorizationLive, code(t, err), "no new attempt while the former one is unknown")

	b.clock.Advance(time.Hour)
	auth, err := try(b, b.payments.AuthorizePayment, in)
	require.NoError(t, err, "a retry goes on where it was")
	require.Equal(t, activities.Authorized, auth.Result)
	b.requireJournal(t, order.OrderID)
}

func TestAnUnreadableLookUpIsNoEndEither(t *testing.T) {
	for name, break_ := range map[string]func(t *testing.T, b *bank){
		"search refused":      func(t *testing.T, b *bank) { b.answering(t, searchRoute, http.StatusConflict, "INVALID_DATA") },
		"key not accepted":    func(t *testing.T, b *bank) { b.answering(t, searchRoute, http.StatusUnauthorized, "") },
		"record not readable": func(t *testing.T, b *bank) { b.answering(t, detailsRoute, http.StatusForbidden, "ACCESS_DENIED") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t)
			order := b.order(t, "WEB-1")
			b.broken(t, payRoute, "drop_after", 1)
			in := paying(t, order, 1, cardApproved, true)
			_, err := try(b, b.payments.AuthorizePayment, in)
			requireFault(t, err, fault.UnknownOutcome, false)
			break_(t, b)
			_, err = try(b, b.payments.AuthorizePayment, in)
			requireFault(t, err, fault.UnknownOutcome, true) // not refused: the payment may be there
			require.Equal(t, journal.OperationUnknown, b.operation(t, "order:WEB-1:authorize:1").State)

			break_(t, b)
			_, err = try(b, b.payments.VoidCapture, undoing(order.OrderID, 1))
			requireFault(t, err, fault.UnknownOutcome, true)
			undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoDone, undone.Result)
			b.requireBalance(t, order.OrderID, total, "0.00", "0.00")
		})
	}
}

func TestARefusedResendSaysNothingOfTheFirstSend(t *testing.T) {
	for name, refusal := range map[string]struct {
		status int
		reason string
	}{
		"key not accepted":  {http.StatusUnauthorized, ""},
		"token has expired": {http.StatusBadRequest, "INVALID_PAYMENT_ID"},
		"value refused":     {http.StatusBadRequest, "INVALID_DATA"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t, withLag(4*time.Minute, 0))
			order := b.order(t, "WEB-1")
			b.broken(t, payRoute, "drop_after", 1)
			in := paying(t, order, 1, cardApproved, true)
			_, err := try(b, b.payments.AuthorizePayment, in)
			requireFault(t, err, fault.UnknownOutcome, false)
			b.clock.Advance(settleWait)
			b.answering(t, payRoute, refusal.status, refusal.reason)
			_, err = try(b, b.payments.AuthorizePayment, in)
			require.Error(t, err)
			require.Equal(t, string(fault.UnknownOutcome), application(err).Type(), "%v", err)
			require.False(t, b.operation(t, "order:WEB-1:authorize:1").State.Final())

			_, err = try(b, b.payments.AuthorizePayment, paying(t, order, 2, "10", true))
			require.Equal(t, journal.CodeAuthorizationLive, code(t, err))
			auth := must(t, b, b.payments.AuthorizePayment, in)
			require.Contains(t, []activities.AuthorizationResult{activities.Captured, activities.Absent}, auth.Result)
			b.requireOneLive(t, order.OrderID)
		})
	}
}

func TestALostAnswerNeverTakesAFormerAttemptForItsOwn(t *testing.T) {
	b := newBank(t, withLag(40*time.Second, 0))
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardDeclined, true))
	require.Equal(t, activities.Declined, auth.Result)
	b.clock.Advance(30 * time.Second) // the index knows the declined one before it knows the lost one
	b.broken(t, payRoute, "drop_after", 1)
	auth = must(t, b, b.payments.AuthorizePayment, paying(t, order, 2, cardApproved, true))
	require.Equal(t, activities.Captured, auth.Result)
	b.requireJournal(t, order.OrderID)
}

func TestALostAnswerNeverTakesWhatWasGivenUpForItsOwn(t *testing.T) {
	for name, former := range map[string]string{"reversed": cardApproved, "declined": cardDeclined} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t, withLag(2*time.Minute, 0))
			b.payments.GuardVerified = false
			order := b.order(t, "WEB-1")
			b.broken(t, payRoute, "drop_after", 1)
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, former, false))
			require.Equal(t, activities.Absent, auth.Result)
			b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")

			b.payments.GuardVerified = true
			b.clock.Advance(time.Minute)
			b.broken(t, payRoute, "drop_after", 1)
			auth = must(t, b, b.payments.AuthorizePayment, paying(t, order, 2, cardApproved, false))
			require.Equal(t, activities.Authorized, auth.Result)
			b.requireJournal(t, order.OrderID)
			require.Len(t, b.booked("auth"), 2)
		})
	}
}

func TestTheGatewaysClockMayBeBehind(t *testing.T) {
	b := newBank(t, func(b *bank, _ *sandbox.Config) { b.behind = 2 * time.Minute })
	b.payments.GuardVerified = false
	order := b.order(t, "WEB-1")
	b.broken(t, payRoute, "drop_after", 1)
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	require.Equal(t, activities.Captured, auth.Result)
	b.requireJournal(t, order.OrderID)
}

func TestARefusedTimeoutFormProvesNoAbsence(t *testing.T) {
	t.Run("batched sale", func(t *testing.T) {
		b := newBank(t, withLag(5*time.Minute, 0))
		b.payments.GuardVerified = false
		order := b.order(t, "WEB-1")
		b.broken(t, payRoute, "drop_after", 1)
		in := paying(t, order, 1, cardApproved, true)
		_, err := try(b, b.payments.AuthorizePayment, in)
		requireFault(t, err, fault.UnknownOutcome, false)
		b.closeBatch(t)
		auth := must(t, b, b.payments.AuthorizePayment, in)
		require.Equal(t, activities.Captured, auth.Result, "not voidable any more: it is there")
		b.requireJournal(t, order.OrderID)
	})
	t.Run("held payment", func(t *testing.T) {
		b := newBank(t, withLag(5*time.Minute, 0))
		b.payments.GuardVerified = false
		order := b.order(t, "WEB-1")
		b.broken(t, payRoute, "drop_after", 1)
		auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardHeld, false))
		require.Equal(t, activities.Held, auth.Result)
		b.requireJournal(t, order.OrderID)
	})
}

func TestATimeoutFormWhoseAnswerIsLostIsCarriedToItsEnd(t *testing.T) {
	for _, capture := range []bool{false, true} {
		for _, mode := range []string{"drop_after", "drop_before"} {
			t.Run(map[bool]string{true: "sale/", false: "authorization/"}[capture]+mode, func(t *testing.T) {
				b := newBank(t, withLag(2*time.Minute, 0))
				b.payments.GuardVerified = false
				order := b.order(t, "WEB-1")
				b.broken(t, payRoute, "drop_after", 1)
				b.broken(t, "POST /pts/v2/reversals", mode, 1)
				b.broken(t, "POST /pts/v2/voids", mode, 1)
				auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, capture))
				require.Contains(t, []activities.AuthorizationResult{activities.Absent, activities.Declined}, auth.Result)
				if auth.LiveHold { // a voided sale that was found by its id: the process reverses what is held
					must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
				}
				b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
				payment, err := b.store.Payment(t.Context(), order.OrderID)
				require.NoError(t, err)
				require.False(t, payment.Open, "an open form would bar every new attempt")
				auth = must(t, b, b.payments.AuthorizePayment, paying(t, order, 2, cardApproved, false))
				require.Equal(t, activities.Authorized, auth.Result)
			})
		}
	}
}

func TestNothingWasEverSent(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	reachable := b.payments.Gateway
	nobody, err := cybersource.New(cybersource.Config{BaseURL: "http://127.0.0.1:1", MerchantID: merchant, KeyID: keyID, SharedSecret: sharedSecret, Clock: b.clock.Now})
	require.NoError(t, err)
	b.payments.Gateway = nobody
	in := paying(t, order, 1, cardApproved, true)
	for range 3 {
		_, err = try(b, b.payments.AuthorizePayment, in)
		requireFault(t, err, fault.Connection, false)
		require.Zero(t, b.operation(t, "order:WEB-1:authorize:1").Sends)
	}
	undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	require.Equal(t, activities.UndoNothing, undone.Result, "nothing to ask for, though the gateway is down")
	b.payments.Gateway = reachable
	auth := must(t, b, b.payments.AuthorizePayment, in)
	require.Equal(t, activities.Absent, auth.Result, "closed: it can't be sent after it was undone")
	require.Empty(t, b.server.Ledger().Transactions)
}

func TestAnUnreachableGatewayDoesNotMakeAnUnknownSendForgotten(t *testing.T) {
	b := newBank(t, withLag(10*time.Minute, 0))
	order := b.order(t, "WEB-1")
	b.broken(t, payRoute, "drop_after", 1)
	in := paying(t, order, 1, cardApproved, true)
	_, err := try(b, b.payments.AuthorizePayment, in)
	requireFault(t, err, fault.UnknownOutcome, false)
	for range 3 {
		b.clock.Advance(settleWait)
		b.answering(t, payRoute, http.StatusTooManyRequests, "")
		_, err = try(b, b.payments.AuthorizePayment, in)
		requireFault(t, err, fault.RateLimit, false)
		require.Equal(t, 1, b.operation(t, "order:WEB-1:authorize:1").Sends, "the first send still counts")
	}
	auth := must(t, b, b.payments.AuthorizePayment, in)
	require.Equal(t, activities.Captured, auth.Result)
	require.Len(t, b.booked("sale"), 1)
}

func TestACaptureOfTheReviewerIsAdopted(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardHeld, false))
	_, err := try(b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
	require.Equal(t, journal.CodePaymentHeld, code(t, err))
	b.reviewer(t, auth.Payment.AuthorizationID, "ACCEPT", "CAPTURE")
	require.NoError(t, b.store.ChangePayment(t.Context(), order.OrderID, journal.PaymentChange{Status: canonical.PaymentAuthorized}, nil))
	capture := must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
	require.True(t, capture.Adopted)
	require.Equal(t, canonical.PaymentCaptured, capture.Payment.Status)
	require.Equal(t, b.booked("capture")[0].ID, capture.Payment.CaptureID)
	require.Len(t, b.booked("capture"), 1)
	b.requireJournal(t, order.OrderID)

	again := must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 2))
	require.True(t, again.Adopted, "a new attempt finds it captured")
	require.Len(t, b.booked("capture"), 1)
}

func TestACaptureThatDidNotHappenIsNoSuccess(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	in := capturing(order.OrderID, auth.Payment.AuthorizationID, 1)
	b.broken(t, captureRoute, "drop_after", 1)
	_, err := try(b, b.payments.CapturePayment, in)
	requireFault(t, err, fault.UnknownOutcome, false)
	// Somebody voids it in the gateway's console before we look.
	direct := b.payments.Gateway.(*cybersource.Client)
	void, err := cybersource.VoidRequest(cybersource.Captures, b.booked("capture")[0].ID, "CONSOLE-1")
	require.NoError(t, err)
	_, err = direct.Send(t.Context(), void)
	require.NoError(t, err)

	for range 2 {
		_, err = finish(b, b.payments.CapturePayment, in)
		requireFault(t, err, fault.Conflict, true)
	}
	b.requireBalance(t, order.OrderID, total, "0.00", "0.00")
	capture := must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 2))
	require.Equal(t, canonical.PaymentCaptured, capture.Payment.Status)
	b.requireJournal(t, order.OrderID)
}

func TestARefundThatTheGatewayDeclinesIsNoRefund(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	b.closeBatch(t)
	b.payments.Gateway = declining{b.payments.Gateway}
	for range 2 {
		_, err := finish(b, b.payments.RefundCapture, undoing(order.OrderID, 1))
		requireFault(t, err, fault.Conflict, true)
		require.Equal(t, "PROCESSOR_DECLINED", code(t, err))
	}
	payment, err := b.store.Payment(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.True(t, payment.Refundable.Equal(dec(total)), "what was declined can be refunded by another attempt")
}

func TestAVoidIsTooLateOnlyOnceALookUpHasSaidSo(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := b.order(t, "WEB-1")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	b.closeBatch(t)
	_, err := try(b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	requireFault(t, err, fault.UnknownOutcome, false)
	require.Equal(t, cybersource.ReasonNotVoidable, code(t, err))
	started := b.clock.Now()
	undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	require.Equal(t, activities.UndoTooLate, undone.Result)
	require.GreaterOrEqual(t, b.clock.Now().Sub(started), settleWait-indexLag)
	require.GreaterOrEqual(t, b.requests(t, http.MethodPost, "/tss/v2/searches"), 2)
	require.Equal(t, activities.UndoTooLate, must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1)).Result, "refused stays refused")

	refunded := must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 1))
	require.Equal(t, activities.UndoDone, refunded.Result)
	require.Equal(t, canonical.PaymentRefunded, refunded.Payment.Status)
	require.Equal(t, activities.UndoNothing, must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 2)).Result)
	require.Equal(t, activities.UndoTooLate, must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 2)).Result, "what is refunded is not voided")
	b.requireJournal(t, order.OrderID)
}

// TestAVoidBesideARefundIsNotTooLate: the journal's own refusal says nothing of the batch.
func TestAVoidBesideARefundIsNotTooLate(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	_, _, err := b.store.BeginPayment(t.Context(), journal.Operation{
		Key: "refund:WEB-1/R-1:refund:1", System: "cybersource", Kind: "refund", OrderID: "WEB-1", InputHash: "x", Reference: "WEB-1-F-00000000",
		Amount: usd("1.00"), Request: []byte("{}"),
	}, journal.EffectRefund)
	require.NoError(t, err)
	_, err = finish(b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, journal.CodeExceedsCaptured, code(t, err))
}

func TestAHoldThatIsGoneIsReversed(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	direct := b.payments.Gateway.(*cybersource.Client)
	reversal, err := cybersource.ReversalRequest(auth.Payment.AuthorizationID, "CONSOLE-1", usd(total), "by hand")
	require.NoError(t, err)
	_, err = direct.Send(t.Context(), reversal)
	require.NoError(t, err)
	for range 2 {
		undone := must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
		require.Equal(t, canonical.PaymentReversed, undone.Payment.Status)
	}
	require.Equal(t, cybersource.ReasonAuthAlreadyReversed, refusalCode(t, b, "order:WEB-1:reverse-"+auth.Payment.AuthorizationID+":1"))
	b.requireJournal(t, order.OrderID)
}

func TestThereIsNothingToUndo(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	nothing := func(orderID string) {
		for _, undo := range []func(*testing.T) activities.Undone{
			func(t *testing.T) activities.Undone { return must(t, b, b.payments.VoidCapture, undoing(orderID, 1)) },
			func(t *testing.T) activities.Undone {
				return must(t, b, b.payments.ReverseAuthorization, undoing(orderID, 1))
			},
			func(t *testing.T) activities.Undone { return must(t, b, b.payments.RefundCapture, undoing(orderID, 1)) },
		} {
			require.Equal(t, activities.UndoNothing, undo(t).Result)
		}
	}
	nothing("NEVER-SEEN")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardDeclined, true))
	nothing(order.OrderID)
}

func TestWhatIsUnknownIsSettledBeforeItIsUndone(t *testing.T) {
	for _, lost := range lostAnswers {
		for _, step := range []string{"authorization", "sale", "capture"} {
			t.Run(step+"/"+lost.name, func(t *testing.T) {
				b := newBank(t, withLag(indexLag, 0))
				order := b.order(t, "WEB-1")
				if step == "capture" {
					auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
					b.broken(t, captureRoute, lost.mode, 1)
					_, err := try(b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
					requireFault(t, err, fault.UnknownOutcome, false)
				} else {
					b.broken(t, payRoute, lost.mode, 1)
					_, err := try(b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, step == "sale"))
					requireFault(t, err, fault.UnknownOutcome, false)
				}
				must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
				must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
				b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
				b.requireJournal(t, order.OrderID)
			})
		}
	}
}

func TestEachAuthorizationIsTakenBackByAFirstAttempt(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	for attempt, number := range []string{cardPartial, cardApproved} {
		must(t, b, b.payments.AuthorizePayment, paying(t, order, attempt+1, number, true))
		must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
		undone := must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
		require.Equal(t, activities.UndoDone, undone.Result)
		b.requireJournal(t, order.OrderID)
	}
	b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
}

func TestACaptureIsNotRefusedByItself(t *testing.T) {
	b := newBank(t, withLag(5*time.Minute, 0))
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	b.broken(t, captureRoute, "drop_after", 1)
	capture := must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
	require.Equal(t, canonical.PaymentCaptured, capture.Payment.Status, "the resend was refused because the first one had captured")
	require.Len(t, b.booked("capture"), 1)
	b.requireJournal(t, order.OrderID)
}

func TestALostRefundWithoutAGuardIsVoidedBeforeItIsTriedAgain(t *testing.T) {
	for _, mode := range []string{"drop_after", "drop_before"} {
		t.Run(mode, func(t *testing.T) {
			b := newBank(t, withLag(2*time.Minute, 0))
			b.payments.GuardVerified = false
			order := b.order(t, "WEB-1")
			must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			b.closeBatch(t)
			b.broken(t, "POST /pts/v2/payments/*/refunds", mode, 1)
			_, err := try(b, b.payments.RefundCapture, undoing(order.OrderID, 1))
			requireFault(t, err, fault.UnknownOutcome, false)
			_, err = try(b, b.payments.RefundCapture, undoing(order.OrderID, 2))
			requireFault(t, err, fault.UnknownOutcome, false) // another attempt carries the first one on: it is not "nothing to refund"
			_, err = finish(b, b.payments.RefundCapture, undoing(order.OrderID, 1))
			requireFault(t, err, fault.Conflict, true)
			require.Equal(t, "ABSENT", code(t, err))
			b.requireBalance(t, order.OrderID, "0.00", total, "0.00")
			undone := must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 2))
			require.Equal(t, activities.UndoDone, undone.Result)
			b.requireBalance(t, order.OrderID, "0.00", total, total)
			b.requireJournal(t, order.OrderID)
		})
	}
}

func TestALostSaleWhoseCaptureDidNotRunIsReversed(t *testing.T) {
	b := newBank(t, withLag(5*time.Minute, 0))
	b.payments.GuardVerified = false
	order := b.order(t, "WEB-1")
	b.broken(t, payRoute, "drop_after", 1)
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardRiskDeclined, true))
	require.Equal(t, activities.Absent, auth.Result)
	b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestARefundOfWhatIsVoidedTellsOfTheVoid(t *testing.T) {
	for _, capture := range []bool{true, false} {
		t.Run(map[bool]string{true: "sale", false: "capture"}[capture], func(t *testing.T) {
			b := newBank(t, withLag(time.Hour, 0))
			order := b.order(t, "WEB-1")
			auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, capture))
			if !capture {
				must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
			}
			b.broken(t, "POST /pts/v2/*/*/voids", "drop_after", 1)
			undone := must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
			require.Equal(t, activities.UndoTooLate, undone.Result, "the resend is refused because of the lost void, which the index does not show")
			for range 2 {
				must(t, b, b.payments.RefundCapture, undoing(order.OrderID, 1))
				b.requireJournal(t, order.OrderID)
			}
			must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
			b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
			b.requireJournal(t, order.OrderID)
		})
	}
}
