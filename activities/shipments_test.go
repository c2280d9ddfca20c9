package activities_test

import (
	"encoding/json"
	"fmt"
	"sync"
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

// inParts lets the account capture an authorization in parts.
func inParts(_ *bank, c *sandbox.Config) { c.MultiCapture = true }

// releasingParts lets it release a part of a hold, too.
func releasingParts(_ *bank, c *sandbox.Config) { c.MultiCapture, c.PartialReversals = true, true }

// shipping asks for the capture of the n-th shipment of an order; "S<n>" is its number.
func shipping(n int, amount string, final bool) activities.CaptureShipmentInput {
	return activities.CaptureShipmentInput{
		OrderID: "WEB-1", Shipment: fmt.Sprintf("S%d", n), Sequence: n, Final: final, Amount: usd(amount), Attempt: 1,
	}
}

// onShipment is an order that is authorized, to be captured when it ships.
func onShipment(t testing.TB, b *bank) canonical.Order {
	t.Helper()
	order := b.order(t, "WEB-1")
	auth := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, false))
	require.Equal(t, activities.Authorized, auth.Result)
	return order
}

// inShipments is an order of which shipments are captured, one for each amount. The last one is not the final one.
func inShipments(t testing.TB, b *bank, amounts ...string) canonical.Order {
	t.Helper()
	order := onShipment(t, b)
	for i, amount := range amounts {
		must(t, b, b.payments.CaptureShipment, shipping(i+1, amount, false))
		b.clock.Advance(time.Minute)
	}
	return order
}

// captureOptions are the numbers that a capture was sent with; zero for none.
func captureOptions(t testing.TB, b *bank, key string) (sequence, count int) {
	t.Helper()
	var request cybersource.Request
	require.NoError(t, json.Unmarshal(b.operation(t, key).Request, &request))
	var body struct {
		ProcessingInformation struct {
			CaptureOptions struct{ CaptureSequenceNumber, TotalCaptureCount int }
		}
	}
	require.NoError(t, json.Unmarshal(request.Body, &body))
	options := body.ProcessingInformation.CaptureOptions
	return options.CaptureSequenceNumber, options.TotalCaptureCount
}

func TestEachShipmentIsCapturedForWhatItIsWorth(t *testing.T) {
	b := newBank(t, inParts)
	order := onShipment(t, b)
	ids, references := map[string]bool{}, map[string]bool{}
	steps := []struct {
		amount         string
		final          bool
		sequence       int
		count          int
		held, captured string
	}{
		{"20.00", false, 1, 2, "28.19", "20.00"},
		{"0.01", false, 2, 3, "28.18", "20.01"},
		{"28.18", true, 3, 3, "0.00", total},
	}
	for i, step := range steps {
		in := shipping(i+1, step.amount, step.final)
		capture := must(t, b, b.payments.CaptureShipment, in)
		require.False(t, capture.Adopted)
		require.Equal(t, canonical.PaymentCaptured, capture.Payment.Status)
		require.True(t, capture.Payment.Captured.Equal(dec(step.captured)), "%s", capture.Payment.Captured)
		key := fmt.Sprintf("shipment:WEB-1/S%d:capture:1", i+1)
		stored := b.operation(t, key)
		require.Equal(t, stored.OutsideID, capture.Payment.CaptureID)
		require.Equal(t, capture.Payment.AuthorizationID, stored.Related)
		ids[stored.OutsideID], references[stored.Reference] = true, true
		require.LessOrEqual(t, len(stored.Reference), 50)
		sequence, count := captureOptions(t, b, key)
		require.Equal(t, [2]int{step.sequence, step.count}, [2]int{sequence, count})
		b.requireBalance(t, order.OrderID, step.held, step.captured, "0.00")
		b.requireJournal(t, order.OrderID)

		for _, attempt := range []int{1, 2, 7} {
			again := in
			again.Attempt, again.Final, again.Amount = attempt, !in.Final, usd("1.00")
			second := must(t, b, b.payments.CaptureShipment, again)
			require.True(t, second.Adopted, "a shipment is captured once")
			require.Equal(t, capture.Payment, second.Payment)
		}
		require.Len(t, b.booked("capture"), i+1)
	}
	require.Len(t, ids, 3)
	require.Len(t, references, 3)
	captures, err := b.store.Captures(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Len(t, captures, 3)
	require.True(t, captures[0].Amount.Equal(dec("20.00")) && captures[2].Amount.Equal(dec("28.18")), "oldest first")
}

func TestTheOnlyShipmentIsAnOrdinaryCapture(t *testing.T) {
	b := newBank(t) // an account that is not enabled for several
	order := onShipment(t, b)
	must(t, b, b.payments.CaptureShipment, shipping(1, total, true))
	sequence, count := captureOptions(t, b, "shipment:WEB-1/S1:capture:1")
	require.Zero(t, sequence+count)
	b.requireBalance(t, order.OrderID, "0.00", total, "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestAnAccountForOneCaptureRefusesParts(t *testing.T) {
	b := newBank(t)
	order := onShipment(t, b)
	_, err := finish(b, b.payments.CaptureShipment, shipping(1, "20.00", false))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, "NOT_SUPPORTED", code(t, err))
	b.requireBalance(t, order.OrderID, total, "0.00", "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestALostAnswerOfAShipmentsCapture(t *testing.T) {
	for _, lost := range lostAnswers {
		for _, verified := range []bool{true, false} { // a capture has no guard either way
			t.Run(fmt.Sprintf("%s, guard verified %v", lost.name, verified), func(t *testing.T) {
				b := newBank(t, inParts, withLag(indexLag, 0))
				b.payments.GuardVerified = verified
				order := inShipments(t, b, "10.00", "10.00")
				b.broken(t, captureRoute, lost.mode, 1)
				brokenAt := b.clock.Now()
				_, err := try(b, b.payments.CaptureShipment, shipping(3, "10.00", false)) // the amount of the others: only its reference tells
				requireFault(t, err, fault.UnknownOutcome, false)

				other := shipping(3, "12.00", true)
				other.Attempt = 2
				capture := must(t, b, b.payments.CaptureShipment, other)
				stored := b.operation(t, "shipment:WEB-1/S3:capture:1")
				require.Equal(t, journal.OperationSucceeded, stored.State, "what was begun is carried on as it was begun")
				require.Equal(t, stored.OutsideID, capture.Payment.CaptureID)
				require.Equal(t, lost.arrives, capture.Adopted)
				sequence, count := captureOptions(t, b, stored.Key)
				require.Equal(t, [2]int{3, 4}, [2]int{sequence, count})
				if !lost.arrives {
					require.GreaterOrEqual(t, b.clock.Now().Sub(brokenAt), settleWait)
				}
				require.Len(t, b.booked("capture"), 3)
				b.requireBalance(t, order.OrderID, "18.19", "30.00", "0.00")
				b.requireJournal(t, order.OrderID)
			})
		}
	}
}

// TestALateIndexCapturesNoShipmentTwice: the gateway refuses the number that it knows, and that is a sign to look, not a refusal.
func TestALateIndexCapturesNoShipmentTwice(t *testing.T) {
	b := newBank(t, inParts, withLag(5*time.Minute, 0))
	order := inShipments(t, b, "10.00")
	b.broken(t, captureRoute, "drop_after", 1)
	capture := must(t, b, b.payments.CaptureShipment, shipping(2, "10.00", false))
	require.True(t, capture.Adopted)
	require.Len(t, b.booked("capture"), 2)
	b.requireBalance(t, order.OrderID, "28.19", "20.00", "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestAnAuthorizationThatIsGoneIsNotCaptured(t *testing.T) {
	tests := []struct {
		name    string
		gone    func(t *testing.T, b *bank)
		known   bool // to the journal, before the capture is asked for
		shipped []string
		left    string
	}{
		{"run out", func(t *testing.T, b *bank) { b.expire(t, b.authorized(t)) }, false, nil, "0.00"},
		{"run out after a part", func(t *testing.T, b *bank) { b.expire(t, b.authorized(t)) }, false, []string{"20.00"}, "20.00"},
		{"released in the console", func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "reverse", "") }, false, nil, "0.00"},
		{"released in the console after a part", func(t *testing.T, b *bank) { b.console(t, b.authorized(t), "reverse", "") }, false, []string{"20.00"}, "20.00"},
		{"released by us", func(t *testing.T, b *bank) {
			require.Equal(t, activities.UndoDone, must(t, b, b.payments.ReverseAuthorization, undoing("WEB-1", 1)).Result)
		}, true, []string{"20.00"}, "20.00"},
	}
	for _, test := range tests {
		for _, lag := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s, index behind by %s", test.name, lag), func(t *testing.T) {
				b := newBank(t, releasingParts, withLag(lag, 0))
				order := inShipments(t, b, test.shipped...)
				test.gone(t, b)
				in := shipping(9, "5.00", false)
				for range 2 {
					_, err := finish(b, b.payments.CaptureShipment, in)
					requireFault(t, err, fault.Conflict, true)
					require.Contains(t, []string{activities.CodeAuthorizationExpired, "EXCEEDS_AUTH_AMOUNT"}, code(t, err))
					require.Equal(t, activities.CodeAuthorizationExpired, code(t, err))
					require.Len(t, b.booked("capture"), len(test.shipped))
					b.requireBalance(t, order.OrderID, "0.00", test.left, "0.00")
					b.requireJournal(t, order.OrderID)
				}
				if len(test.shipped) > 0 {
					require.Equal(t, canonical.PaymentCaptured, b.lastPayment(t).Status, "while something is captured")
				} else {
					require.Equal(t, canonical.PaymentReversed, b.lastPayment(t).Status)
				}
				before := len(b.server.Ledger().Transactions)
				in.Attempt = 2
				_, err := finish(b, b.payments.CaptureShipment, in)
				require.Equal(t, activities.CodeAuthorizationExpired, code(t, err), "and the journal knows it from now on")
				require.Len(t, b.server.Ledger().Transactions, before)
			})
		}
	}
}

func TestAShipmentNeverPassesWhatIsLeft(t *testing.T) {
	b := newBank(t, inParts)
	order := inShipments(t, b, "20.00")
	_, err := try(b, b.payments.CaptureShipment, shipping(2, "28.20", false))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, journal.CodeExceedsAuthorized, code(t, err))
	require.Equal(t, 1, b.requests(t, "POST", "/pts/v2/payments/"+b.authorized(t)+"/captures"), "nothing was sent")
	must(t, b, b.payments.CaptureShipment, shipping(2, "28.19", false))
	_, err = try(b, b.payments.CaptureShipment, shipping(3, "0.01", true))
	require.Equal(t, journal.CodeExceedsAuthorized, code(t, err), "all of it is captured, and nothing has run out")
	b.requireBalance(t, order.OrderID, "0.00", total, "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestAShipmentThatCannotBeNumbered(t *testing.T) {
	b := newBank(t, inParts)
	_, err := try(b, b.payments.CaptureShipment, shipping(1, "1.00", true))
	requireFault(t, err, fault.Conflict, true)
	require.Equal(t, journal.CodeNothingAuthorized, code(t, err), "nothing was ever asked for")
	onShipment(t, b)
	_, err = try(b, b.payments.CaptureShipment, shipping(0, "1.00", true))
	requireFault(t, err, fault.Bug, true)
	_, err = try(b, b.payments.CaptureShipment, shipping(99, "1.00", false))
	requireFault(t, err, fault.Value, true)
	must(t, b, b.payments.CaptureShipment, shipping(99, "1.00", true))
}

func TestAShipmentWhoseCaptureWasVoidedIsNotBooked(t *testing.T) {
	b := newBank(t, inParts)
	order := inShipments(t, b, "20.00", "5.00")
	plan, undone := payBack(t, b, "R-1", "20.00")
	require.Equal(t, activities.WayVoid, plan.Way)
	require.Equal(t, activities.UndoDone, undone.Result)
	for _, attempt := range []int{1, 2} {
		in := shipping(1, "20.00", false)
		in.Attempt = attempt
		_, err := try(b, b.payments.CaptureShipment, in)
		requireFault(t, err, fault.Conflict, true)
		require.Equal(t, "TAKEN_BACK", code(t, err))
	}
	require.True(t, must(t, b, b.payments.CaptureShipment, shipping(2, "5.00", false)).Adopted, "the other one is paid")
	b.requireBalance(t, order.OrderID, "43.19", "5.00", "0.00")
	b.requireJournal(t, order.OrderID)
}

func TestWhatShipmentsLeaveIsReleased(t *testing.T) {
	tests := []struct {
		name   string
		final  bool
		change func(*bank, *sandbox.Config)
		result activities.UndoneResult
		held   string
	}{
		{"by the gateway, with the last capture", true, inParts, activities.UndoDone, "0.00"},
		{"by the gateway, with the last capture, parts allowed", true, releasingParts, activities.UndoDone, "0.00"},
		{"by us", false, releasingParts, activities.UndoDone, "0.00"},
		{"by nobody", false, inParts, activities.UndoNothing, "18.19"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBank(t, test.change, withLag(indexLag, 0))
			order := inShipments(t, b, "20.00")
			must(t, b, b.payments.CaptureShipment, shipping(2, "10.00", test.final))
			for range 2 {
				undone := must(t, b, b.payments.ReverseAuthorization, undoing("WEB-1", 1))
				if undone.Result == activities.UndoDone {
					require.Equal(t, b.booked("reversal")[0].ID, undone.TransactionID)
					require.Len(t, b.booked("reversal"), 1)
				} else if test.result == activities.UndoNothing {
					require.Equal(t, "the gateway releases no part of an authorization: the bank lets 18.19 USD go by itself", undone.Why)
				}
				require.Equal(t, canonical.PaymentCaptured, undone.Payment.Status)
				b.requireBalance(t, order.OrderID, test.held, "30.00", "0.00")
				b.requireJournal(t, order.OrderID)
				if test.result == activities.UndoNothing {
					require.Equal(t, activities.UndoNothing, undone.Result)
				}
			}
		})
	}
}

// TestRacingShipments: the same shipments from several workers at once, as after a lost lease, beside other ones.
func TestRacingShipments(t *testing.T) {
	b := newBank(t, inParts)
	order := onShipment(t, b)
	var group sync.WaitGroup
	start := make(chan struct{})
	failures := make([]error, 12)
	for i := range failures {
		group.Go(func() {
			own := *b
			own.env = activityEnvironment()
			own.env.RegisterActivity(own.payments)
			<-start
			_, failures[i] = finish(&own, own.payments.CaptureShipment, shipping(i%6+1, "9.99", false))
		})
	}
	close(start)
	group.Wait()
	for _, err := range failures {
		if err != nil {
			requireFault(t, err, fault.Conflict, true)
		}
	}
	require.Len(t, b.booked("capture"), 4, "four times 9.99 fit into 48.19")
	references := map[string]bool{}
	for _, entry := range b.booked("capture") {
		references[entry.Reference] = true
	}
	require.Len(t, references, 4)
	b.requireBalance(t, order.OrderID, "8.23", "39.96", "0.00")
	b.requireJournal(t, order.OrderID)
}
