package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

// paid is an order that is captured: by a sale, or by a capture of its own.
func paid(t *testing.T, b *bank, bySale bool) canonical.Order {
	t.Helper()
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, bySale))
	if !bySale {
		must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
	}
	return order
}

func planning(refundID, amount string) activities.PlanRefundInput {
	return activities.PlanRefundInput{OrderID: "WEB-1", RefundID: refundID, Amount: usd(amount)}
}

func payingBack(refundID, amount string, attempt int) activities.UndoPaymentInput {
	return activities.UndoPaymentInput{OrderID: "WEB-1", RefundID: refundID, Amount: usd(amount), Attempt: attempt, Reason: "returned"}
}

// payBack carries a refund out as its process does.
func payBack(t tb, b *bank, refundID, amount string) (activities.RefundPlan, activities.Undone) {
	t.Helper()
	plan := must(t, b, b.payments.PlanRefund, planning(refundID, amount))
	undone := activities.Undone{}
	switch in := payingBack(refundID, amount, 1); plan.Way {
	case activities.WayVoid:
		undone = must(t, b, b.payments.VoidCapture, in)
		if undone.Result == activities.UndoTooLate {
			return plan, must(t, b, b.payments.RefundCapture, in)
		}
		if undone.Result == activities.UndoDone {
			must(t, b, b.payments.ReverseAuthorization, in)
		}
	case activities.WayRefund:
		undone = must(t, b, b.payments.RefundCapture, in)
	case activities.WayReversal:
		undone = must(t, b, b.payments.ReverseAuthorization, in)
	case activities.WayNone: // nothing goes back
	}
	return plan, undone
}

func TestAVoidBeforeTheBatch(t *testing.T) {
	for _, bySale := range []bool{true, false} {
		for _, released := range []bool{true, false} {
			t.Run(fmt.Sprintf("sale %v, released by itself %v", bySale, released), func(t *testing.T) {
				b := newBank(t, func(_ *bank, c *sandbox.Config) { c.AutoVoidReversal = released })
				order := paid(t, b, bySale)
				plan, undone := payBack(t, b, "R-1", total)
				require.Equal(t, activities.WayVoid, plan.Way)
				require.Equal(t, activities.UndoDone, undone.Result)
				require.Equal(t, b.booked("void")[0].ID, undone.TransactionID)
				b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
				b.requireJournal(t, order.OrderID)
				require.Equal(t, journal.OperationSucceeded, b.operation(t, "refund:WEB-1/R-1:void:1").State)

				before := len(b.server.Ledger().Transactions)
				for _, attempt := range []int{1, 2} {
					again := must(t, b, b.payments.VoidCapture, payingBack("R-1", total, attempt))
					require.Equal(t, undone.TransactionID, again.TransactionID, "done before")
					require.Equal(t, activities.UndoDone, again.Result)
				}
				again := must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", total, 1))
				require.Equal(t, activities.UndoDone, again.Result)
				require.Equal(t, b.booked("reversal")[0].ID, again.TransactionID)
				require.Equal(t, activities.WayVoid, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way, "a refund keeps its way")
				require.Len(t, b.server.Ledger().Transactions, before)

				plan = must(t, b, b.payments.PlanRefund, planning("R-2", "1.00"))
				require.Equal(t, activities.WayNone, plan.Way)
				require.Contains(t, plan.Refused, "the capture of 48.19 USD was voided")
				require.Equal(t, activities.UndoRefused, must(t, b, b.payments.VoidCapture, payingBack("R-2", total, 1)).Result)
				require.Equal(t, activities.UndoRefused, must(t, b, b.payments.RefundCapture, payingBack("R-2", total, 1)).Result)
			})
		}
	}
}

func TestPartsToTheLastCentAndNotOneMore(t *testing.T) {
	for _, bySale := range []bool{true, false} {
		t.Run(fmt.Sprintf("sale %v", bySale), func(t *testing.T) {
			b := newBank(t)
			order := paid(t, b, bySale)
			ids := map[string]bool{}
			for i, amount := range []string{"20.00", "0.01", "28.17", "0.01"} {
				plan, undone := payBack(t, b, fmt.Sprintf("R-%d", i), amount)
				require.Equal(t, activities.WayRefund, plan.Way, "a part is never voided")
				require.Equal(t, activities.UndoDone, undone.Result)
				require.False(t, ids[undone.TransactionID], "each has its own transaction")
				ids[undone.TransactionID] = true
				b.requireJournal(t, order.OrderID)
			}
			b.requireBalance(t, order.OrderID, "0.00", total, total)
			plan, _ := payBack(t, b, "R-9", "0.01")
			require.Equal(t, activities.WayNone, plan.Way)
			require.Equal(t, "0.01 USD asked, 0.00 USD of the captured 48.19 USD can be paid back: 48.19 USD already refunded", plan.Refused)
			refused := must(t, b, b.payments.RefundCapture, payingBack("R-9", "0.01", 1))
			require.Equal(t, activities.UndoRefused, refused.Result)
			require.Equal(t, plan.Refused, refused.Why)
			require.Equal(t, canonical.PaymentRefunded, refused.Payment.Status)
			require.Len(t, b.booked("refund"), 4)
		})
	}
}

func TestOneRefundMovesMoneyOnce(t *testing.T) {
	b := newBank(t)
	order := paid(t, b, true)
	b.closeBatch(t)
	_, undone := payBack(t, b, "R-1", "20.00")
	for _, attempt := range []int{1, 2, 3} {
		again := must(t, b, b.payments.RefundCapture, payingBack("R-1", "20.00", attempt))
		require.Equal(t, undone, again)
	}
	other := payingBack("R-1", "28.19", 1)
	require.Equal(t, undone, must(t, b, b.payments.RefundCapture, other), "a refund keeps the amount it began with")
	b.requireBalance(t, order.OrderID, "0.00", total, "20.00")
}

func TestARefundThatHasBegunGoesOnWithItsAmount(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := paid(t, b, true)
	b.closeBatch(t)
	b.broken(t, "POST /pts/v2/payments/*/refunds", "drop_after", 1)
	_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "20.00", 1))
	requireFault(t, err, fault.UnknownOutcome, false)
	plan := must(t, b, b.payments.PlanRefund, planning("R-1", "20.00"))
	require.Equal(t, activities.WayRefund, plan.Way, "its own reservation does not stand in its way")
	undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", "28.19", 2))
	require.Equal(t, activities.UndoDone, undone.Result)
	require.Equal(t, b.booked("refund")[0].ID, undone.TransactionID)
	b.requireBalance(t, order.OrderID, "0.00", total, "20.00")
	b.requireJournal(t, order.OrderID)
}

func TestAfterTheBatchARefundIsTheWay(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := paid(t, b, false)
	b.closeBatch(t)
	plan, undone := payBack(t, b, "R-1", total)
	require.Equal(t, activities.WayRefund, plan.Way, "the capture's record says that it is batched")
	require.Equal(t, b.booked("refund")[0].ID, undone.TransactionID)
	require.Empty(t, b.booked("void"))
	b.requireBalance(t, order.OrderID, "0.00", total, total)
	b.requireJournal(t, order.OrderID)
}

func TestAPaymentThatIsKnownToBeSettledIsNotVoided(t *testing.T) {
	b := newBank(t)
	paid(t, b, true)
	require.NoError(t, b.store.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{Status: canonical.PaymentSettled}, nil))
	require.Equal(t, activities.WayRefund, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way)
}

func TestAVoidThatIsTooLateBecomesARefund(t *testing.T) {
	b := newBank(t, withLag(indexLag, 0))
	order := paid(t, b, true)
	require.Equal(t, activities.WayVoid, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way)
	b.closeBatch(t)
	for range 2 {
		require.Equal(t, activities.UndoTooLate, must(t, b, b.payments.VoidCapture, payingBack("R-1", total, 1)).Result)
	}
	require.Equal(t, activities.WayRefund, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way)
	undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", total, 1))
	require.Equal(t, activities.UndoDone, undone.Result)
	b.requireBalance(t, order.OrderID, "0.00", total, total)
	b.requireJournal(t, order.OrderID)
}

func TestAVoidIsTooLateOnlyIfNobodyHasVoided(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Hour} {
		for _, bySale := range []bool{true, false} {
			t.Run(fmt.Sprintf("sale %v, index behind by %s", bySale, lag), func(t *testing.T) {
				b := newBank(t, withLag(lag, 0))
				order := paid(t, b, bySale)
				require.Equal(t, activities.WayVoid, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way)
				b.console(t, b.captured(t), "void", "")
				undone := must(t, b, b.payments.VoidCapture, payingBack("R-1", total, 1))
				require.Equal(t, activities.UndoDone, undone.Result, "somebody has voided it in the console")
				require.Equal(t, b.booked("void")[0].ID, undone.TransactionID)
				b.requireJournal(t, order.OrderID)
				require.Equal(t, undone.TransactionID, must(t, b, b.payments.VoidCapture, payingBack("R-1", total, 1)).TransactionID)
				must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", total, 1))
				b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
				b.requireJournal(t, order.OrderID)
			})
		}
	}
}

func TestALostVoidThatTheIndexHidesIsNotTooLate(t *testing.T) {
	b := newBank(t, withLag(time.Hour, 0))
	order := paid(t, b, true)
	b.broken(t, "POST /pts/v2/*/*/voids", "drop_after", 1)
	undone := must(t, b, b.payments.VoidCapture, payingBack("R-1", total, 1))
	require.Equal(t, activities.UndoDone, undone.Result, "the sale's own record says that it is voided")
	require.Equal(t, b.booked("void")[0].ID, undone.TransactionID)
	require.Empty(t, b.booked("refund"))
	b.requireJournal(t, order.OrderID)
}

func TestWhatWasDoneInTheConsoleIsTakenOver(t *testing.T) {
	tests := []struct {
		name    string
		capture bool
		console func(t *testing.T, b *bank)
		amount  string
		way     activities.RefundWay
		refused string
	}{
		{"void", true, func(t *testing.T, b *bank) { b.console(t, b.captured(t), "void", "") }, "10.00", activities.WayNone, "the capture of 48.19 USD was voided"},
		{"void, the hold lives", true, func(t *testing.T, b *bank) { b.console(t, b.captured(t), "void", "") }, total, activities.WayReversal, ""},
		{"void and reversal", true, func(t *testing.T, b *bank) {
			b.console(t, b.captured(t), "void", "")
			b.console(t, b.authorized(t), "reverse", "")
		}, total, activities.WayNone, "the capture of 48.19 USD was voided, the authorization of 48.19 USD was reversed"},
		{"full refund", true, func(t *testing.T, b *bank) { b.console(t, b.captured(t), "refund", "") }, "10.00", activities.WayNone, "48.19 USD already refunded"},
		{"refund of a part", true, func(t *testing.T, b *bank) { b.console(t, b.captured(t), "refund", "40.00") }, "8.19", activities.WayRefund, ""},
		{"refunds of parts", true, func(t *testing.T, b *bank) {
			b.console(t, b.captured(t), "refund", "20.00")
			b.console(t, b.captured(t), "refund", "20.00")
		}, "8.20", activities.WayNone, "40.00 USD already refunded"},
		{"reversal", false, func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "reverse", "") }, total, activities.WayNone, "the authorization of 48.19 USD was reversed"},
		{"capture", false, func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "capture", "") }, total, activities.WayVoid, ""},
		{"capture that was voided", false, func(t *testing.T, b *bank) {
			b.console(t, b.authorized(t), "capture", "")
			b.console(t, b.booked("capture")[0].ID, "void", "")
		}, total, activities.WayReversal, ""},
		{"a void and another capture", true, func(t *testing.T, b *bank) {
			b.console(t, b.captured(t), "void", "")
			b.clock.Advance(time.Second)
			b.console(t, b.authorized(t), "capture", "")
		}, total, activities.WayVoid, ""},
		{"refund that was voided", true, func(t *testing.T, b *bank) {
			b.console(t, b.captured(t), "refund", "")
			b.console(t, b.booked("refund")[0].ID, "void", "")
		}, total, activities.WayVoid, ""},
		{"the bank let the hold go", false, func(t *testing.T, b *bank) { b.expire(t, b.authorized(t)) }, total, activities.WayNone, "the authorization of 48.19 USD was reversed"},
	}
	for _, test := range tests {
		for _, lag := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s, index behind by %s", test.name, lag), func(t *testing.T) {
				b := newBank(t, withLag(lag, 0))
				order := b.order(t, "WEB-1")
				auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
				if test.capture {
					must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
				}
				test.console(t, b)
				for range 2 {
					plan := must(t, b, b.payments.PlanRefund, planning("R-1", test.amount))
					require.Equal(t, test.way, plan.Way, plan.Refused)
					if test.refused != "" {
						require.Contains(t, plan.Refused, test.refused)
					}
					b.requireJournal(t, order.OrderID)
				}
				before := len(b.server.Ledger().Transactions)
				_, undone := payBack(t, b, "R-1", test.amount)
				if test.way == activities.WayNone {
					require.Len(t, b.server.Ledger().Transactions, before)
				} else {
					require.Equal(t, activities.UndoDone, undone.Result, undone.Why)
					require.NotEmpty(t, undone.TransactionID)
				}
				b.requireJournal(t, order.OrderID)
			})
		}
	}
}

func TestAPlanOfWhatIsNotCaptured(t *testing.T) {
	b := newBank(t)
	require.Contains(t, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Refused, "nothing is captured", "nothing was ever asked for")

	order := b.order(t, "WEB-1")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardDeclined, true))
	plan := must(t, b, b.payments.PlanRefund, planning("R-1", total))
	require.Equal(t, activities.WayNone, plan.Way)
	require.Equal(t, "48.19 USD asked, nothing is captured", plan.Refused)

	must(t, b, b.payments.AuthorizePayment, paying(t, order, 2, cardApproved, false))
	plan = must(t, b, b.payments.PlanRefund, planning("R-1", "10.00"))
	require.Equal(t, activities.WayNone, plan.Way, "a hold is released as a whole")
	require.Contains(t, plan.Refused, "48.19 USD is authorized and not captured")
	plan = must(t, b, b.payments.PlanRefund, activities.PlanRefundInput{OrderID: "WEB-1", RefundID: "R-1", Amount: canonical.NewMoney(dec(total), "EUR")})
	require.Equal(t, "the payment is in USD, not in EUR", plan.Refused)
	_, err := try(b, b.payments.PlanRefund, planning("R-1", "0.00"))
	requireFault(t, err, fault.Value, true)

	plan, undone := payBack(t, b, "R-1", total)
	require.Equal(t, activities.WayReversal, plan.Way)
	require.Equal(t, b.booked("reversal")[0].ID, undone.TransactionID)
	b.requireBalance(t, order.OrderID, "0.00", "0.00", "0.00")
	b.requireJournal(t, order.OrderID)
	require.Equal(t, undone.TransactionID, must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", total, 1)).TransactionID)
	require.Contains(t, must(t, b, b.payments.PlanRefund, planning("R-2", total)).Refused, "the authorization of 48.19 USD was reversed")
}

func TestAPlanUnderReview(t *testing.T) {
	b := newBank(t)
	in := held(t, b, canonical.FraudAccept)
	require.Contains(t, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Refused, "under review")
	undone := must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", total, 1))
	require.Equal(t, activities.UndoRefused, undone.Result)
	require.Contains(t, undone.Why, "under review")
	require.Equal(t, in.PaymentID, undone.Payment.AuthorizationID)
}

func TestAPlanSettlesWhatIsUnknownFirst(t *testing.T) {
	for _, lost := range lostAnswers {
		t.Run(lost.name, func(t *testing.T) {
			b := newBank(t, withLag(indexLag, 0))
			order := b.order(t, "WEB-1")
			b.broken(t, payRoute, lost.mode, 1)
			_, err := try(b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
			requireFault(t, err, fault.UnknownOutcome, false)
			plan := must(t, b, b.payments.PlanRefund, planning("R-1", total))
			if lost.arrives {
				require.Equal(t, activities.WayVoid, plan.Way)
			} else {
				require.Equal(t, activities.WayNone, plan.Way)
			}
			b.requireJournal(t, order.OrderID)
		})
	}
}

func TestAPlanTellsOfChargebacksAndOfOtherRefunds(t *testing.T) {
	b := newBank(t)
	paid(t, b, true)
	back := dec("30.00")
	require.NoError(t, b.store.ChangePayment(t.Context(), "WEB-1", journal.PaymentChange{ChargedBack: &back}, nil))
	b.broken(t, "POST /pts/v2/payments/*/refunds", "status", 1)
	_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "8.19", 1))
	requireFault(t, err, fault.UnknownOutcome, false)
	plan := must(t, b, b.payments.PlanRefund, planning("R-2", "10.01"))
	require.Equal(t, "10.01 USD asked, 10.00 USD of the captured 48.19 USD can be paid back: 30.00 USD charged back, 8.19 USD reserved by a refund or void that is still running", plan.Refused)
	require.Equal(t, activities.WayRefund, must(t, b, b.payments.PlanRefund, planning("R-2", "10.00")).Way)
}

func TestALostAnswerOfARefundsStepEndsAsIfItHadCome(t *testing.T) {
	steps := []struct {
		name, route string
		captured    bool
		batched     bool
		kind        string
		run         func(b *bank) func(context.Context, activities.UndoPaymentInput) (activities.Undone, error)
		amount      string
		held, taken string
		refunded    string
	}{
		{"void", "POST /pts/v2/*/*/voids", true, false, "void", func(b *bank) func(context.Context, activities.UndoPaymentInput) (activities.Undone, error) {
			return b.payments.VoidCapture
		}, total, total, "0.00", "0.00"},
		{"refund", "POST /pts/v2/*/*/refunds", true, true, "refund", func(b *bank) func(context.Context, activities.UndoPaymentInput) (activities.Undone, error) {
			return b.payments.RefundCapture
		}, "20.00", "0.00", total, "20.00"},
		{"reversal", "POST /pts/v2/payments/*/reversals", false, false, "reversal", func(b *bank) func(context.Context, activities.UndoPaymentInput) (activities.Undone, error) {
			return b.payments.ReverseAuthorization
		}, total, "0.00", "0.00", "0.00"},
	}
	for _, step := range steps {
		for _, lost := range lostAnswers {
			t.Run(step.name+"/"+lost.name, func(t *testing.T) {
				b := newBank(t, withLag(indexLag, 0))
				order := b.order(t, "WEB-1")
				auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
				if step.captured {
					must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
				}
				if step.batched {
					b.closeBatch(t)
				}
				b.broken(t, step.route, lost.mode, 1)
				brokenAt := b.clock.Now()
				in := payingBack("R-1", step.amount, 1)
				undone := must(t, b, step.run(b), in)
				require.Equal(t, activities.UndoDone, undone.Result, undone.Why)
				require.Len(t, b.booked(step.kind), 1)
				require.Equal(t, b.booked(step.kind)[0].ID, undone.TransactionID)
				if lost.arrives {
					require.Less(t, b.clock.Now().Sub(brokenAt), settleWait, "found as soon as the index has it")
				} else {
					require.GreaterOrEqual(t, b.clock.Now().Sub(brokenAt), settleWait, "nothing is sent again before the settling time")
				}
				b.requireBalance(t, order.OrderID, step.held, step.taken, step.refunded)
				b.requireJournal(t, order.OrderID)
				require.Equal(t, undone, must(t, b, step.run(b), in))
				require.Len(t, b.booked(step.kind), 1)
			})
		}
	}
}

// TestALostRefundIsNotSentAgainOverWhatTheConsoleRefunded: the gateway caps no refunds, so that the room for a resend is asked for first.
func TestALostRefundIsNotSentAgainOverWhatTheConsoleRefunded(t *testing.T) {
	for _, verified := range []bool{true, false} {
		t.Run(fmt.Sprintf("guard verified %v", verified), func(t *testing.T) {
			b := newBank(t)
			b.payments.GuardVerified = verified
			order := paid(t, b, true)
			b.broken(t, "POST /pts/v2/*/*/refunds", "drop_before", 1)
			_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "40.00", 1))
			requireFault(t, err, fault.UnknownOutcome, false)
			b.console(t, b.captured(t), "refund", "20.00")
			_, err = try(b, b.payments.PlanRefund, planning("R-2", "1.00"))
			requireFault(t, err, fault.Busy, false) // no room yet for what the console did
			undone, err := finish(b, b.payments.RefundCapture, payingBack("R-1", "40.00", 1))
			if !verified {
				require.Equal(t, "ABSENT", code(t, err))
				undone, err = finish(b, b.payments.RefundCapture, payingBack("R-1", "40.00", 2))
			}
			require.NoError(t, err)
			require.Equal(t, activities.UndoRefused, undone.Result)
			require.Contains(t, undone.Why, "20.00 USD already refunded")
			b.requireBalance(t, order.OrderID, "0.00", total, "20.00")
			b.requireJournal(t, order.OrderID)
		})
	}
}

// TestALostRefundWhoseVoidIsLostTooIsCarriedToItsEnd: the time-out form's key begins with the refund's own, and is none of its attempts.
func TestALostRefundWhoseVoidIsLostTooIsCarriedToItsEnd(t *testing.T) {
	for _, mode := range []string{"drop_after", "drop_before"} {
		t.Run(mode, func(t *testing.T) {
			b := newBank(t, withLag(2*time.Minute, 0))
			b.payments.GuardVerified = false
			order := paid(t, b, true)
			b.broken(t, "POST /pts/v2/*/*/refunds", "drop_after", 1)
			b.broken(t, "POST /pts/v2/voids", mode, 1)
			_, err := finish(b, b.payments.RefundCapture, payingBack("R-1", "20.00", 1))
			requireFault(t, err, fault.Conflict, true)
			undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", "20.00", 2))
			require.Equal(t, activities.UndoDone, undone.Result)
			b.requireBalance(t, order.OrderID, "0.00", total, "20.00")
			b.requireJournal(t, order.OrderID)
		})
	}
}

func TestARefundOfWhatTheConsoleVoidedMeanwhile(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Hour} {
		b := newBank(t, withLag(lag, 0))
		order := paid(t, b, false)
		require.Equal(t, activities.WayRefund, must(t, b, b.payments.PlanRefund, planning("R-1", "20.00")).Way)
		b.console(t, b.captured(t), "void", "")
		for range 2 {
			undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", "20.00", 1))
			require.Equal(t, activities.UndoRefused, undone.Result)
			require.Contains(t, undone.Why, "the capture of 48.19 USD was voided")
		}
		b.requireJournal(t, order.OrderID)
	}
}

func TestAReversalOfWhatIsGone(t *testing.T) {
	tests := []struct {
		name string
		gone func(t *testing.T, b *bank)
		want activities.UndoneResult
	}{
		{"reversed in the console", func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "reverse", "") }, activities.UndoDone},
		{"reversed under another reference", func(t *testing.T, b *bank) {
			reversal, err := cybersource.ReversalRequest(b.authorized(t), "CONSOLE-1", usd(total), "by hand")
			require.NoError(t, err)
			_, err = b.payments.Gateway.Send(t.Context(), reversal)
			require.NoError(t, err)
		}, activities.UndoDone},
		{"run out", func(t *testing.T, b *bank) { b.expire(t, b.authorized(t)) }, activities.UndoDone},
		{"captured in the console", func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "capture", "") }, activities.UndoNothing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t, withLag(indexLag, 0))
			order := b.order(t, "WEB-1")
			must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
			test.gone(t, b)
			for range 2 {
				undone := must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", total, 1))
				require.Equal(t, test.want, undone.Result, undone.Why)
				if test.want == activities.UndoDone {
					require.Equal(t, b.booked("reversal")[0].ID, undone.TransactionID)
				}
				b.requireJournal(t, order.OrderID)
			}
		})
	}
}

// TestATakeoverThatDiedOnTheWayIsCarriedOn: begun and not concluded, it is neither undone nor sent.
func TestATakeoverThatDiedOnTheWayIsCarriedOn(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	b.console(t, b.authorized(t), "capture", "")
	id := b.booked("capture")[0].ID
	_, _, err := b.store.BeginPayment(t.Context(), journal.Operation{
		Key: "order:WEB-1:adopt-capture-" + id + ":1", System: "cybersource", Kind: "capture", OrderID: "WEB-1", Reference: "WEB-1", Amount: usd(total),
		InputHash: activities.InputHash(journal.EffectCapture, usd(total)), Request: []byte("{}"),
	}, journal.EffectCapture)
	require.NoError(t, err)
	plan := must(t, b, b.payments.PlanRefund, planning("R-1", total))
	require.Equal(t, id, plan.Payment.CaptureID)
	b.requireJournal(t, order.OrderID)
}

// TestRacingRefundsNeverPassWhatIsCaptured: ten processes at once, each with its own worker.
func TestRacingRefundsNeverPassWhatIsCaptured(t *testing.T) {
	for _, mix := range []string{"parts", "whole", "with a cancel"} {
		t.Run(mix, func(t *testing.T) {
			b := newBank(t)
			order := paid(t, b, false)
			var group sync.WaitGroup
			start := make(chan struct{})
			results := make([]activities.Undone, 10)
			failures := make([]error, 10)
			for i := range results {
				group.Go(func() {
					own := *b
					own.env = activityEnvironment()
					own.env.RegisterActivity(own.payments)
					amount := total
					if mix == "parts" || mix == "with a cancel" && i%2 == 0 {
						amount = "9.99"
					}
					<-start
					if mix == "with a cancel" && i == 9 {
						results[i], failures[i] = finish(&own, own.payments.VoidCapture, undoing("WEB-1", 1))
						return
					}
					results[i], failures[i] = race(&own, fmt.Sprintf("R-%d", i), amount)
				})
			}
			close(start)
			group.Wait()
			done := 0
			for i, undone := range results {
				if failures[i] != nil {
					failure := application(failures[i])
					require.NotNil(t, failure, "%v", failures[i])
					require.Equal(t, string(fault.Conflict), failure.Type(), "%v", failures[i])
					continue
				}
				if undone.Result == activities.UndoDone {
					done++
				}
			}
			require.Positive(t, done)
			sums := b.server.Balances(order.OrderID)[0]
			require.False(t, sums.Net.IsNegative(), "%+v", sums)
			require.False(t, sums.Refunded.GreaterThan(sums.Captured), "%+v", sums)
			if mix == "parts" {
				require.Equal(t, 4, done, "four times 9.99 fit into 48.19")
				require.True(t, sums.Refunded.Equal(dec("9.99").Mul(decimal.NewFromInt(4))))
			}
			b.requireJournal(t, order.OrderID)
		})
	}
}

// race carries a refund out while others do the same; what it ends with is an answer either way.
func race(b *bank, refundID, amount string) (activities.Undone, error) {
	plan, err := finish(b, b.payments.PlanRefund, planning(refundID, amount))
	if err != nil {
		return activities.Undone{}, err
	}
	in := payingBack(refundID, amount, 1)
	switch plan.Way {
	case activities.WayVoid:
		undone, err := finish(b, b.payments.VoidCapture, in)
		if err != nil || undone.Result != activities.UndoTooLate {
			return undone, err
		}
		return finish(b, b.payments.RefundCapture, in)
	case activities.WayRefund:
		return finish(b, b.payments.RefundCapture, in)
	case activities.WayReversal:
		return finish(b, b.payments.ReverseAuthorization, in)
	default:
		return activities.Undone{Result: activities.UndoRefused, Why: plan.Refused}, nil
	}
}

func TestARecordThatLagsIsNoAnswerToAPlan(t *testing.T) {
	b := newBank(t, withLag(0, 3*time.Minute))
	paid(t, b, true)
	_, err := try(b, b.payments.PlanRefund, planning("R-1", total))
	failure := requireFault(t, err, fault.Busy, false)
	require.GreaterOrEqual(t, failure.NextRetryDelay(), time.Second)
	require.Equal(t, cybersource.CodeDetailsLag, code(t, err))
	require.Equal(t, activities.WayVoid, must(t, b, b.payments.PlanRefund, planning("R-1", total)).Way)
	b.answering(t, detailsRoute, http.StatusUnauthorized, "")
	_, err = try(b, b.payments.PlanRefund, planning("R-2", total))
	requireFault(t, err, fault.Credentials, true)
}
