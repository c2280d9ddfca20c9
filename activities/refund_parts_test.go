package activities_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	sandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

const captureRefunds = "POST /pts/v2/captures/*/refunds"

// requireBack holds what of each capture went back against what must have.
func (b *bank) requireBack(t testing.TB, want ...string) {
	t.Helper()
	captures, err := b.store.Captures(t.Context(), "WEB-1")
	require.NoError(t, err)
	var back []string
	for _, capture := range captures {
		require.True(t, capture.Reserved.IsZero(), "%+v", capture)
		require.False(t, capture.Room().IsNegative(), "%+v", capture)
		back = append(back, capture.Back.StringFixed(2))
		total := decimal.Zero
		for _, entry := range b.booked("refund") {
			if entry.RelatedID == capture.ID && entry.Status != "VOIDED" {
				total = total.Add(dec(entry.Amount))
			}
		}
		require.True(t, total.Equal(capture.Back), "the gateway has %s back of %+v", total, capture)
	}
	require.Equal(t, want, back)
}

func TestARefundTakesFromTheOldestCapturesThatHaveRoom(t *testing.T) {
	b := newBank(t, inParts, func(_ *bank, c *sandbox.Config) { c.CapRefunds = true })
	order := inShipments(t, b, "20.00", "10.00", "18.19")
	steps := []struct {
		amount string
		keys   []string
		back   []string
	}{
		{"25.00", []string{":refund:1", ":refund-2:1"}, []string{"20.00", "5.00", "0.00"}},
		{"4.99", []string{":refund:1"}, []string{"20.00", "9.99", "0.00"}},
		{"0.02", []string{":refund:1", ":refund-2:1"}, []string{"20.00", "10.00", "0.01"}},
		{"18.18", []string{":refund:1"}, []string{"20.00", "10.00", "18.19"}},
	}
	for i, step := range steps {
		id := fmt.Sprintf("R-%d", i)
		plan, undone := payBack(t, b, id, step.amount)
		require.Equal(t, activities.WayRefund, plan.Way)
		require.Equal(t, activities.UndoDone, undone.Result, undone.Why)
		require.Equal(t, b.operation(t, "refund:WEB-1/"+id+step.keys[0]).OutsideID, undone.TransactionID, "the first one's")
		require.Equal(t, b.operation(t, "refund:WEB-1/"+id+step.keys[0]).Related, plan.Payment.CaptureID)
		var parts int
		operations, err := b.store.Operations().ByOrder(t.Context(), order.OrderID)
		require.NoError(t, err)
		for _, stored := range operations {
			if len(stored.Key) > len("refund:WEB-1/"+id) && stored.Key[:len("refund:WEB-1/"+id)] == "refund:WEB-1/"+id {
				parts++
			}
		}
		require.Equal(t, len(step.keys), parts)
		for _, key := range step.keys {
			require.Equal(t, journal.OperationSucceeded, b.operation(t, "refund:WEB-1/"+id+key).State)
		}
		b.requireBack(t, step.back...)
		b.requireJournal(t, order.OrderID)
		before := len(b.booked("refund"))
		for _, attempt := range []int{1, 2} {
			require.Equal(t, undone, must(t, b, b.payments.RefundCapture, payingBack(id, step.amount, attempt)), "one refund moves money once")
		}
		require.Len(t, b.booked("refund"), before)
	}
	require.Equal(t, canonical.PaymentRefunded, b.lastPayment(t).Status)
	plan, _ := payBack(t, b, "R-9", "0.01")
	require.Equal(t, activities.WayNone, plan.Way)
}

func TestALostAnswerOfARefundInParts(t *testing.T) {
	for _, lost := range lostAnswers {
		for _, verified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, guard verified %v", lost.name, verified), func(t *testing.T) {
				b := newBank(t, inParts, withLag(indexLag, 0))
				b.payments.GuardVerified = verified
				order := inShipments(t, b, "20.00", "10.00")
				b.broken(t, captureRefunds, lost.mode, 1)
				_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
				requireFault(t, err, fault.UnknownOutcome, false)
				require.Equal(t, journal.OperationSucceeded, b.operation(t, "refund:WEB-1/R-1:refund-2:1").State, "the other part does not wait")
				plan := must(t, b, b.payments.PlanRefund, planning("R-2", "5.00"))
				require.Equal(t, activities.WayRefund, plan.Way, "what is left beside the reservation")
				refused := must(t, b, b.payments.PlanRefund, planning("R-3", "5.01"))
				require.Equal(t, activities.WayNone, refused.Way)

				undone, err := finish(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
				if !lost.arrives && !verified { // voided by its time-out form, and never repeated by itself
					requireFault(t, err, fault.UnknownOutcome, true)
					require.Contains(t, err.Error(), "5.00 USD has gone back, and 20.00 USD has not")
					undone, err = finish(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
				}
				require.NoError(t, err)
				require.Equal(t, activities.UndoDone, undone.Result)
				b.requireBack(t, "20.00", "5.00")
				b.requireBalance(t, order.OrderID, "18.19", "30.00", "25.00")
				b.requireJournal(t, order.OrderID)
				again := must(t, b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
				require.Equal(t, undone, again)
				require.Len(t, b.booked("refund"), 2)
			})
		}
	}
}

// TestARefundThatDiedBetweenItsPartsGoesOn: both were reserved, and the second never left.
func TestARefundThatDiedBetweenItsPartsGoesOn(t *testing.T) {
	b := newBank(t, inParts, withLag(indexLag, 0))
	order := inShipments(t, b, "20.00", "10.00")
	b.answering(t, captureRefunds, http.StatusTooManyRequests, "") // neither is taken
	b.answering(t, captureRefunds, http.StatusTooManyRequests, "")
	_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
	requireFault(t, err, fault.RateLimit, false)
	for _, key := range []string{"refund", "refund-2"} {
		stored := b.operation(t, "refund:WEB-1/R-1:"+key+":1")
		require.Equal(t, journal.OperationIntent, stored.State)
		require.Zero(t, stored.Sends)
	}
	payment := b.lastPayment(t)
	require.True(t, payment.Refundable.Equal(dec("5.00")), "both are reserved: %s", payment.Refundable)
	undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", "25.00", 2))
	require.Equal(t, activities.UndoDone, undone.Result)
	require.Equal(t, b.operation(t, "refund:WEB-1/R-1:refund:1").OutsideID, undone.TransactionID)
	b.requireBack(t, "20.00", "5.00")
	b.requireJournal(t, order.OrderID)
}

func TestARefundOfWhichAPartIsRefusedIsNotGivenUp(t *testing.T) {
	b := newBank(t, inParts)
	order := inShipments(t, b, "20.00", "10.00")
	b.answering(t, captureRefunds, http.StatusBadRequest, "INVALID_AMOUNT")
	for range 2 {
		_, err := finish(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
		failure := requireFault(t, err, fault.UnknownOutcome, true)
		require.Contains(t, failure.Error(), "5.00 USD has gone back, and 20.00 USD has not")
		b.requireBack(t, "0.00", "5.00")
		b.answering(t, captureRefunds, http.StatusBadRequest, "INVALID_AMOUNT") // the next try begins the rest anew
	}
	b.healed(t)
	undone := must(t, b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
	require.Equal(t, activities.UndoDone, undone.Result)
	require.Equal(t, b.operation(t, "refund:WEB-1/R-1:refund-2:1").OutsideID, undone.TransactionID, "the first that went back")
	b.requireBack(t, "20.00", "5.00")
	require.Len(t, b.booked("refund"), 2)
	b.requireJournal(t, order.OrderID)
}

func TestWhatAVoidedCaptureCannotGiveOthersDo(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprintf("index behind by %s", lag), func(t *testing.T) {
			b := newBank(t, inParts, withLag(lag, 0))
			order := inShipments(t, b, "20.00", "10.00", "18.19")
			b.answering(t, captureRefunds, http.StatusTooManyRequests, "")
			b.answering(t, captureRefunds, http.StatusTooManyRequests, "")
			_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1)) // begun against the first two
			requireFault(t, err, fault.RateLimit, false)
			captures, err := b.store.Captures(t.Context(), order.OrderID)
			require.NoError(t, err)
			b.console(t, captures[0].ID, "void", "")
			undone, err := finish(b, b.payments.RefundCapture, payingBack("R-1", "25.00", 1))
			if err != nil { // given up for want of room, and begun anew by a person
				requireFault(t, err, fault.UnknownOutcome, true)
				undone = must(t, b, b.payments.RefundCapture, payingBack("R-1", "25.00", 2))
			}
			require.Equal(t, activities.UndoDone, undone.Result, undone.Why)
			b.requireBalance(t, order.OrderID, "20.00", "28.19", "25.00")
			b.requireJournal(t, order.OrderID)
			b.requireBack(t, "10.00", "15.00")
		})
	}
}

func TestOneOfSeveralCapturesIsVoided(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*bank, *sandbox.Config)
		held   string // after the release
	}{
		{"parts of holds are released", releasingParts, "38.19"}, // the rest may be for goods that have not left
		{"holds are released as a whole", inParts, "38.19"},
		{"by the gateway itself", func(_ *bank, c *sandbox.Config) { c.MultiCapture, c.AutoVoidReversal = true, true }, "18.19"},
		{"by the gateway itself, parts of holds are released", func(_ *bank, c *sandbox.Config) {
			c.MultiCapture, c.AutoVoidReversal, c.PartialReversals = true, true, true
		}, "18.19"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t, test.change, withLag(indexLag, 0))
			order := inShipments(t, b, "20.00", "10.00")
			captures, err := b.store.Captures(t.Context(), order.OrderID)
			require.NoError(t, err)
			plan, undone := payBack(t, b, "R-1", "20.00")
			require.Equal(t, activities.WayVoid, plan.Way, "it is refunded whole and not batched")
			require.Equal(t, captures[0].ID, plan.Payment.CaptureID)
			require.Equal(t, activities.UndoDone, undone.Result)
			require.Equal(t, captures[0].ID, b.operation(t, "refund:WEB-1/R-1:void:1").Related)
			require.Equal(t, canonical.PaymentCaptured, b.lastPayment(t).Status)
			b.requireBalance(t, order.OrderID, test.held, "10.00", "0.00")
			must(t, b, b.payments.PlanRefund, planning("R-9", "0.01")) // takes over what the gateway released
			b.requireJournal(t, order.OrderID)
			require.Equal(t, captures[0].ID, must(t, b, b.payments.PlanRefund, planning("R-1", "20.00")).Payment.CaptureID)

			must(t, b, b.payments.CaptureShipment, shipping(3, "18.19", true)) // what has not left yet is still held
			b.closeBatch(t)
			plan, undone = payBack(t, b, "R-2", "10.00")
			require.Equal(t, activities.WayRefund, plan.Way, "its batch has gone")
			require.Equal(t, captures[1].ID, plan.Payment.CaptureID)
			require.Equal(t, activities.UndoDone, undone.Result)
			b.requireBack(t, "10.00", "0.00")
		})
	}
}

// TestTheHoldOfAVoidIsReleasedWhereAllHasLeft: nothing waits for what the void has left of it.
func TestTheHoldOfAVoidIsReleasedWhereAllHasLeft(t *testing.T) {
	for _, test := range []struct {
		name    string
		release func(*bank, *sandbox.Config)
		held    string
		result  activities.UndoneResult
	}{
		{"a part of it", releasingParts, "0.00", activities.UndoDone},
		{"not a part", inParts, "20.00", activities.UndoNothing},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t, test.release, withLag(indexLag, 0))
			order := inShipments(t, b, "20.00", "28.19")
			plan, _ := payBack(t, b, "R-1", "20.00")
			require.Equal(t, activities.WayVoid, plan.Way)
			for range 2 {
				undone := must(t, b, b.payments.ReverseAuthorization, payingBack("R-1", "20.00", 1))
				require.Equal(t, test.result, undone.Result)
				b.requireBalance(t, order.OrderID, test.held, "28.19", "0.00")
				b.requireJournal(t, order.OrderID)
			}
		})
	}
}

func TestSeveralCapturesAreNotVoidedByOneRefund(t *testing.T) {
	b := newBank(t, inParts)
	order := inShipments(t, b, "20.00", "10.00")
	for _, amount := range []string{"30.00", "19.99", "20.01", "10.00"} {
		require.Equal(t, activities.WayRefund, must(t, b, b.payments.PlanRefund, planning("R-"+amount, amount)).Way, amount)
	}
	undone := must(t, b, b.payments.VoidCapture, payingBack("R-1", "30.00", 1))
	require.Equal(t, activities.UndoNothing, undone.Result, "the plan was for something else")
	require.Contains(t, undone.Why, "a capture is voided as a whole")
	b.requireBalance(t, order.OrderID, "18.19", "30.00", "0.00")
}

func TestAVoidOfOneCaptureThatTheConsoleHasDone(t *testing.T) {
	for _, lag := range []time.Duration{0, time.Hour} {
		b := newBank(t, inParts, withLag(lag, 0))
		order := inShipments(t, b, "20.00", "20.00")
		captures, err := b.store.Captures(t.Context(), order.OrderID)
		require.NoError(t, err)
		require.Equal(t, activities.WayVoid, must(t, b, b.payments.PlanRefund, planning("R-1", "20.00")).Way)
		b.console(t, captures[0].ID, "void", "")
		undone := must(t, b, b.payments.VoidCapture, payingBack("R-1", "20.00", 1))
		require.Equal(t, activities.UndoDone, undone.Result, "%s: voided, but it is another capture that the refund takes then", undone.Why)
		b.requireJournal(t, order.OrderID)
		b.requireBalance(t, order.OrderID, "48.19", "0.00", "0.00")
	}
}

func TestACompensationTakesEveryCaptureBack(t *testing.T) {
	for _, test := range []struct {
		name    string
		batched int // captures whose batch has gone
		refund  string
		voids   int
		refunds int
	}{
		{"none batched", 0, "", 3, 0},
		{"one batched", 1, "", 2, 1},
		{"two batched", 2, "", 1, 2},
		{"one refunded in part", 0, "5.00", 2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t, releasingParts, withLag(indexLag, 0))
			order := onShipment(t, b)
			for i, amount := range []string{"20.00", "10.00", "8.19"} {
				must(t, b, b.payments.CaptureShipment, shipping(i+1, amount, false))
				if i+1 == test.batched {
					b.closeBatch(t)
				}
			}
			if test.refund != "" {
				payBack(t, b, "R-1", test.refund)
			}
			undone := must(t, b, b.payments.VoidCapture, undoing("WEB-1", 1))
			if test.refunds > 0 {
				require.Equal(t, activities.UndoTooLate, undone.Result)
				undone = must(t, b, b.payments.RefundCapture, undoing("WEB-1", 1))
			}
			require.Equal(t, activities.UndoDone, undone.Result)
			require.NotEmpty(t, undone.TransactionID)
			require.Equal(t, activities.UndoDone, must(t, b, b.payments.ReverseAuthorization, undoing("WEB-1", 1)).Result)
			require.Len(t, b.booked("void"), test.voids)
			require.Len(t, b.booked("refund"), test.refunds)
			b.requireJournal(t, order.OrderID)
			sums := b.server.Balances(order.OrderID)[0]
			require.True(t, sums.Held.IsZero() && sums.Net.IsZero(), "%+v", sums)

			before := len(b.server.Ledger().Transactions)
			must(t, b, b.payments.VoidCapture, undoing("WEB-1", 1))
			must(t, b, b.payments.RefundCapture, undoing("WEB-1", 1))
			must(t, b, b.payments.ReverseAuthorization, undoing("WEB-1", 1))
			require.Len(t, b.server.Ledger().Transactions, before)
		})
	}
}

// TestACompensationWaitsForWhatARefundHasReserved: all that is left is another process's to end.
func TestACompensationWaitsForWhatARefundHasReserved(t *testing.T) {
	b := newBank(t, inParts, withLag(indexLag, 0))
	order := inShipments(t, b, "20.00", "10.00")
	b.closeBatch(t)
	b.broken(t, captureRefunds, "drop_after", 2)
	_, err := try(b, b.payments.RefundCapture, payingBack("R-1", "30.00", 1))
	requireFault(t, err, fault.UnknownOutcome, false)
	_, err = try(b, b.payments.RefundCapture, undoing("WEB-1", 1))
	requireFault(t, err, fault.UnknownOutcome, true) // not "nothing to refund"
	must(t, b, b.payments.RefundCapture, payingBack("R-1", "30.00", 1))
	require.Equal(t, activities.UndoNothing, must(t, b, b.payments.RefundCapture, undoing("WEB-1", 1)).Result)
	b.requireBack(t, "20.00", "10.00")
	b.requireJournal(t, order.OrderID)
}

// TestRacingRefundsOfSeveralCaptures: the sums of the payment hold, and those of each capture.
func TestRacingRefundsOfSeveralCaptures(t *testing.T) {
	for _, amount := range []string{"9.99", "16.00", "24.00", total} {
		t.Run(amount, func(t *testing.T) {
			b := newBank(t, inParts, func(_ *bank, c *sandbox.Config) { c.CapRefunds = true })
			order := inShipments(t, b, "20.00", "10.00", "18.19")
			b.closeBatch(t)
			var group sync.WaitGroup
			start := make(chan struct{})
			results := make([]activities.Undone, 8)
			failures := make([]error, len(results))
			for i := range results {
				group.Go(func() {
					own := *b
					own.env = activityEnvironment()
					own.env.RegisterActivity(own.payments)
					<-start
					results[i], failures[i] = race(&own, fmt.Sprintf("R-%d", i), amount)
				})
			}
			close(start)
			group.Wait()
			done := int64(0)
			for i, undone := range results {
				require.NoError(t, failures[i])
				if undone.Result == activities.UndoDone {
					done++
				} else {
					require.Equal(t, activities.UndoRefused, undone.Result)
				}
			}
			fit := dec(total).Div(dec(amount)).IntPart()
			require.Equal(t, fit, done, "as many as fit")
			require.True(t, b.server.Balances(order.OrderID)[0].Refunded.Equal(dec(amount).Mul(decimal.NewFromInt(fit))))
			b.requireJournal(t, order.OrderID)
		})
	}
}
