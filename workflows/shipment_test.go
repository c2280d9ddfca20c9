package workflows_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// parcelWorld is one in which an order is confirmed on a live authorization, and leaves in two parcels.
func parcelWorld() *world {
	w := authorizedWorld()
	w.worth["D1"], w.worth["D2"] = amount("20.00"), amount("28.19")
	return w
}

// parcel is a parcel of an order that is captured as it leaves.
func parcel(number string) workflows.ShipmentInput {
	order := input()
	order.Order.Payment.Capture = canonical.CaptureOnShipment
	return workflows.ShipmentInput{
		Order: order.Order, Erp: order.Erp, CustomerCode: "WEB", SalesOrder: "015562", Policy: order.Policy,
		Shipment: canonical.Shipment{
			Number: number, SalesOrder: "015562", OrderID: "WEB-10001", Carrier: "UPS", Tracking: "1Z-" + number, ShippedOn: "2026-08-21", Invoice: "I-" + number,
			Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: "A100", Quantity: amount("1")}},
		},
	}
}

// paidParcel is a parcel of an order that was paid when it was placed; its deposit is applied to the invoice.
func paidParcel(number string) workflows.ShipmentInput {
	in := parcel(number)
	in.Order.Payment.Capture = canonical.CaptureImmediate
	return in
}

// ship runs a Shipment to its end.
func ship(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.ShipmentInput) (outcome string) {
	t.Helper()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ShipmentWorkflowID(in.Order.OrderID, in.Shipment.Number)})
	env.ExecuteWorkflow(workflows.Shipment, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&outcome))
	return outcome
}

func TestOrderIsCapturedInTwoParts(t *testing.T) {
	w := parcelWorld()
	require.Equal(t, "Shipped in part", ship(t, environment(t, w), parcel("D1")))
	require.Equal(t, []string{"20", "28.19"}, []string{w.pay.Captured.String(), w.hold.String()})
	require.Equal(t, canonical.OrderConfirmed, w.status["WEB-10001"])
	require.Zero(t, w.count("ReverseAuthorization"), "the rest is not let go")

	require.Equal(t, "Shipped in full", ship(t, environment(t, w), parcel("D2")))
	require.Equal(t, []string{"48.19", "0"}, []string{w.pay.Captured.String(), w.hold.String()})
	require.Equal(t, canonical.OrderShipped, w.status["WEB-10001"])
	require.Equal(t, canonical.PaymentCaptured, w.pay.Status)
	require.Equal(t, 2, w.count("CaptureShipment"))
	require.Equal(t, 1, w.count("ReverseAuthorization"))
	require.True(t, w.deposit["D1"].Equal(amount("20")) && w.deposit["D2"].Equal(amount("28.19")))
	require.Equal(t, []string{"I-D1", "I-D2"}, w.applied)
	require.Equal(t, map[string]string{"D1": "1Z-D1", "D2": "1Z-D2"}, w.tracked)
	require.Equal(t, []bool{false, true}, []bool{w.captures[0].Final, w.captures[1].Final})
	require.Equal(t, []int{1, 2}, []int{w.captures[0].Sequence, w.captures[1].Sequence})
	require.Equal(t, []string{"capture-1", "capture-2"}, []string{w.ships[0].Payment.CaptureID, w.ships[3].Payment.CaptureID})
	require.Empty(t, w.parkings)
}

func TestShopIsToldOfEachParcel(t *testing.T) {
	w := parcelWorld()
	ship(t, environment(t, w), parcel("D1"))
	ship(t, environment(t, w), parcel("D2"))
	require.Len(t, w.told, 2)
	for i, number := range []string{"D1", "D2"} {
		told := w.told[i]
		require.Regexp(t, "^callback/WEB-10001/order.shipped/"+number+"/tracked/[0-9a-f]{8}$", told.ID)
		require.Equal(t, []string{"WEB-10001", "web-us", "order.shipped", "captured"}, []string{told.OrderID, told.Channel, told.Event, string(told.Payment)})
		require.False(t, told.At.IsZero())
		require.Equal(t, &activities.ShipmentNotice{
			Number: number, Carrier: "UPS", Tracking: "1Z-" + number, ShippedOn: "2026-08-21", Lines: parcel(number).Shipment.Lines, Complete: number == "D2",
		}, told.Shipment)
	}
	require.Equal(t, []canonical.OrderStatus{"", canonical.OrderShipped}, []canonical.OrderStatus{w.told[0].Status, w.told[1].Status})
}

// TestShopIsToldOfATrackingNumberThatWasCorrected: shops drop what comes under an ID that they have had.
func TestShopIsToldOfATrackingNumberThatWasCorrected(t *testing.T) {
	w := parcelWorld()
	bare, mistyped, corrected := parcel("D1"), parcel("D1"), parcel("D1")
	bare.Shipment.Tracking, corrected.Shipment.Tracking = "", "1Z-OTHER"
	for _, in := range []workflows.ShipmentInput{bare, mistyped, corrected, corrected} {
		ship(t, environment(t, w), in)
	}
	ids := map[string]string{}
	for _, told := range w.told {
		ids[told.ID] = told.Shipment.Tracking
	}
	require.ElementsMatch(t, []string{"", "1Z-D1", "1Z-OTHER"}, slices.Collect(maps.Values(ids)), "each once")
}

func TestParcelOfAPaidOrderIsNotCaptured(t *testing.T) {
	tests := map[string]struct {
		change  func(in *workflows.ShipmentInput)
		applied int
		tracked int
	}{
		"invoice and tracking": {func(*workflows.ShipmentInput) {}, 1, 1},
		"no invoice":           {func(in *workflows.ShipmentInput) { in.Shipment.Invoice = "" }, 0, 1},
		"no tracking":          {func(in *workflows.ShipmentInput) { in.Shipment.Tracking = "" }, 1, 0},
		"neither":              {func(in *workflows.ShipmentInput) { in.Shipment.Invoice, in.Shipment.Tracking = "", "" }, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			w.worth["D1"], w.worth["D2"] = amount("20.00"), amount("28.19")
			in := paidParcel("D1")
			test.change(&in)
			require.Equal(t, "Shipped in part", ship(t, environment(t, w), in))
			require.Equal(t, []int{test.applied, test.tracked, 0, 0, 0},
				[]int{len(w.applied), len(w.tracked), w.count("CaptureShipment"), w.count("BookShipment"), w.count("ReverseAuthorization")})
			require.Equal(t, []string{"order.shipped"}, w.events())
		})
	}
}

func TestSameParcelAgainCapturesNothing(t *testing.T) {
	w := parcelWorld()
	ship(t, environment(t, w), parcel("D1"))
	ship(t, environment(t, w), parcel("D1"))
	require.Equal(t, "20", w.pay.Captured.String())
	require.Equal(t, []string{"I-D1"}, w.applied)
}

// TestCaptureOfAParcelThatIsRefused: the goods have left. A person decides about the money; the shop hears of the parcel either way.
func TestCaptureOfAParcelThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		answer   workflows.ResolutionKind
		outcome  string
		captured string
	}{
		"tried again":    {workflows.ResolveRetry, "Shipped in part", "20"},
		"given up":       {workflows.ResolveCompensate, "Shipped in part; not captured: refused: conflict (looked at it)", "0"},
		"nobody answers": {"", "Shipped in part", "20"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := parcelWorld()
			w.fail["CaptureShipment"] = []error{permanent(fault.Conflict)}
			env := environment(t, w)
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			require.Equal(t, test.outcome, ship(t, env, parcel("D1")))
			require.Equal(t, test.captured, w.pay.Captured.String())
			require.Equal(t, []string{"capture-shipment", "retry compensate"}, []string{w.parkings[0].Step, strings.Join(w.parkings[0].Actions, " ")})
			require.Equal(t, "1Z-D1", w.tracked["D1"])
			require.Equal(t, []string{"order.shipped"}, w.events())
			if test.answer == workflows.ResolveCompensate {
				require.Empty(t, w.deposit)
				require.Empty(t, w.applied, "deposits of other parcels are not for its invoice")
				return
			}
			require.Equal(t, 2, w.captures[1].Attempt)
		})
	}
}

func TestCaptureOfAParcelThatMayHaveArrivedIsNotGivenUp(t *testing.T) {
	for name, failure := range map[string]error{"unknown": unanswered(), "done, but nobody answered": lost(timedOut())} {
		t.Run(name, func(t *testing.T) {
			w := parcelWorld()
			w.fail["CaptureShipment"] = []error{failure}
			env := environment(t, w)
			refused := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveCompensate})
			w.answers(env, workflows.ResolveRetry)
			ship(t, env, parcel("D1"))
			refused.requireRefused(t, workflows.RefusedInvalid)
			require.Equal(t, "20", w.pay.Captured.String())
			require.Equal(t, 1, w.captures[len(w.captures)-1].Attempt, "the same business attempt goes on")
		})
	}
}

// TestLastParcelOvertakesOneThatIsParked: it is captured at once, but takes nothing away from what the other has to capture.
func TestLastParcelOvertakesOneThatIsParked(t *testing.T) {
	tests := map[string]struct {
		answer   workflows.ResolutionKind
		meantime bool // the other is captured meanwhile
		hold     string
		captured string
	}{
		"the other is captured meanwhile":        {"", true, "0", "48.19"},
		"a person looks again when it is":        {workflows.ResolveRetry, true, "0", "48.19"},
		"the other was given up: the hold goes":  {workflows.ResolveCompensate, false, "0", "28.19"},
		"the other was given up: it may run out": {workflows.ResolveSkip, false, "20", "28.19"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := parcelWorld()
			w.shipped = []string{"D1"} // recorded, and parked at its capture
			env := environment(t, w)
			told := 0
			env.RegisterDelayedCallback(func() {
				told = len(w.told)
				require.Len(t, w.open("other-captures"), 1)
				if test.meantime {
					ship(t, environment(t, w), parcel("D1"))
				}
			}, 30*time.Minute)
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			require.Equal(t, "Shipped in full", ship(t, env, parcel("D2")))
			require.Equal(t, 1, told, "the shop does not wait for that")
			require.False(t, w.captures[0].Final, "the bank keeps its hold for the other")
			require.Equal(t, []string{test.hold, test.captured}, []string{w.hold.String(), w.pay.Captured.String()})
			require.Contains(t, w.parkings[0].Summary, "20.00 USD of it is not captured")
			require.Equal(t, []string{"retry", "compensate", "skip"}, w.parkings[0].Actions)
			require.Empty(t, w.parked)
		})
	}
}

func TestLastParcelWhoseCaptureIsGivenUpLetsTheHoldGo(t *testing.T) {
	w := parcelWorld()
	ship(t, environment(t, w), parcel("D1"))
	w.fail["CaptureShipment"] = []error{permanent(fault.Conflict)}
	env := environment(t, w)
	w.answers(env, workflows.ResolveCompensate)
	require.Contains(t, ship(t, env, parcel("D2")), "Shipped in full; not captured")
	require.Equal(t, []string{"0", "20"}, []string{w.hold.String(), w.pay.Captured.String()})
	require.Len(t, w.parkings, 1)
}

// TestCaptureThatWasGivenUpIsNotTriedByALaterRun: the buyer may have paid otherwise. A tracking number that comes later is told all the same.
func TestCaptureThatWasGivenUpIsNotTriedByALaterRun(t *testing.T) {
	w := parcelWorld()
	w.givenUp = map[string]string{"D1": "given up by olga: paid by bank transfer"}
	require.Equal(t, "Shipped in part; not captured: given up by olga: paid by bank transfer", ship(t, environment(t, w), parcel("D1")))
	require.Zero(t, w.count("CaptureShipment"))
	require.Equal(t, "0", w.pay.Captured.String())
	require.Empty(t, w.applied)
	require.Equal(t, "1Z-D1", w.tracked["D1"])
	require.Equal(t, []string{"order.shipped"}, w.events())
	require.Equal(t, []string{"shipment/WEB-10001/D1", "capture-shipment", "book-shipment"},
		[]string{w.parcelIn.WorkflowID, w.parcelIn.CaptureStep, w.parcelIn.BookStep})
	require.Empty(t, w.parkings)
}

// TestReceiptThatPeopleBookedIsNotPostedByALaterRun: it would be in the books twice. Its invoice and tracking number are nobody's but the run's.
func TestReceiptThatPeopleBookedIsNotPostedByALaterRun(t *testing.T) {
	w := parcelWorld()
	w.receiptsByHand = map[string]string{"D1": "left out by fay: booked as R-17"}
	require.Equal(t, "Shipped in part", ship(t, environment(t, w), parcel("D1")))
	require.Equal(t, "20", w.pay.Captured.String())
	require.Zero(t, w.count("BookShipment"))
	require.Equal(t, []string{"I-D1"}, w.applied)
	require.Equal(t, "1Z-D1", w.tracked["D1"])
	require.Empty(t, w.parkings)
}

func TestParcelThatIsWorthNothingIsNotCaptured(t *testing.T) {
	w := authorizedWorld()
	w.worth["D1"], w.worth["D2"] = amount("48.19"), amount("0") // the gift follows
	ship(t, environment(t, w), parcel("D1"))
	w.worth["D1"] = amount("48.19")
	require.Equal(t, "Shipped in full", ship(t, environment(t, w), parcel("D2")))
	require.Equal(t, 1, w.count("CaptureShipment"))
	require.Equal(t, "1Z-D2", w.tracked["D2"])
	require.Empty(t, w.parkings)
}

// TestEachStepOfAShipmentParks, is done once, and can be left to people where no money is at stake.
func TestEachStepOfAShipmentParks(t *testing.T) {
	steps := map[string]struct {
		name, actions string
	}{
		"RecordShipment":       {"record-shipment", "retry"},
		"ReadOrder":            {"read-payment", "retry"},
		"CaptureShipment":      {"capture-shipment", "retry compensate"},
		"BookShipment":         {"book-shipment", "retry retry_with skip"},
		"ApplyDeposits":        {"apply-deposit", "retry retry_with skip"},
		"TrackShipment":        {"tracking", "retry retry_with skip"},
		"ReverseAuthorization": {"release-rest", "retry skip"},
	}
	whole := func() *world {
		w := authorizedWorld()
		w.worth["D1"] = amount("48.19")
		return w
	}
	failures := map[string]error{"refused": permanent(fault.ClosedPeriod), "timed out": timedOut()}
	for activity, step := range steps {
		for name, failure := range failures {
			t.Run(activity+"/"+name, func(t *testing.T) {
				w := whole()
				w.fail[activity] = []error{failure}
				env := environment(t, w)
				env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute) // changes nothing: the goods have left
				w.answers(env, workflows.ResolveRetry)
				require.Equal(t, "Shipped in full", ship(t, env, parcel("D1")))
				require.Len(t, w.parkings, 1)
				require.Equal(t, step.name, w.parkings[0].Step)
				if name == "refused" {
					require.Equal(t, step.actions, strings.Join(w.parkings[0].Actions, " "))
				}
				require.Equal(t, []string{"48.19", "0"}, []string{w.pay.Captured.String(), w.hold.String()})
				require.Len(t, w.applied, 1)
				require.Len(t, w.deposit, 1)
				require.Len(t, w.tracked, 1)
				require.Equal(t, []string{"order.shipped"}, w.events())
			})
		}
		if !strings.Contains(step.actions, "skip") {
			continue
		}
		t.Run(activity+"/left to people", func(t *testing.T) {
			w := whole()
			w.fail[activity] = []error{permanent(fault.ClosedPeriod)}
			env := environment(t, w)
			w.answers(env, workflows.ResolveSkip)
			require.Equal(t, "Shipped in full", ship(t, env, parcel("D1")))
			require.Equal(t, 1, w.count(activity))
			require.Equal(t, []string{"order.shipped"}, w.events())
		})
		t.Run(activity+"/an outage heals", func(t *testing.T) {
			w := whole()
			w.fail[activity] = outage()
			ship(t, environment(t, w), parcel("D1"))
			require.Empty(t, w.parkings)
		})
	}
}

func TestDepositIsBookedOnAnotherDate(t *testing.T) {
	w := parcelWorld()
	w.fail["BookShipment"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-09-01"}})
	ship(t, env, parcel("D1"))
	require.Equal(t, "2026-09-01", w.ships[0].Date)
	require.Equal(t, 2, w.ships[0].Attempt)
}

func TestReadModelIsNotInTheWayOfAShipment(t *testing.T) {
	w := parcelWorld()
	w.fail["RecordProgress"] = []error{permanent(fault.Bug)}
	require.Equal(t, "Shipped in part", ship(t, environment(t, w), parcel("D1")))
	require.Equal(t, []string{"order.shipped"}, w.events())
}

// TestShopHearsOfAParcelBeforeItsBooksWait: what waits for people in the ERP keeps nobody from hearing that the goods are on their way.
func TestShopHearsOfAParcelBeforeItsBooksWait(t *testing.T) {
	for _, activity := range []string{"BookShipment", "ApplyDeposits", "TrackShipment"} {
		t.Run(activity, func(t *testing.T) {
			w := parcelWorld()
			w.fail[activity] = []error{permanent(fault.ClosedPeriod)}
			env := environment(t, w)
			heard := false
			env.RegisterDelayedCallback(func() {
				require.Len(t, w.open(), 1)
				require.Equal(t, []string{"order.shipped"}, w.events())
				require.Equal(t, canonical.PaymentCaptured, w.told[0].Payment)
				heard = true
			}, time.Minute)
			w.answers(env, workflows.ResolveRetry)
			require.Equal(t, "Shipped in part", ship(t, env, parcel("D1")))
			require.True(t, heard)
			require.Equal(t, []string{"order.shipped"}, w.events(), "once")
		})
	}
}

// TestInvoiceOfAParcelIsKnownOnceItIsPaid: who looks for the order's invoice, as a refund does, finds one that its deposit has reached.
func TestInvoiceOfAParcelIsKnownOnceItIsPaid(t *testing.T) {
	w := parcelWorld()
	ship(t, environment(t, w), parcel("D1"))
	var calls []string
	for _, call := range w.calls {
		if call == "RecordProgress" || call == "ApplyDeposits" {
			calls = append(calls, call)
		}
	}
	require.Equal(t, []string{"RecordProgress", "ApplyDeposits", "RecordProgress"}, calls)
	require.Equal(t, []string{"", "I-D1"}, w.billed)
}

// TestLastParcelReadsOnceWhatIsCaptured before it captures, and once more before it lets the rest go.
func TestLastParcelReadsOnceWhatIsCaptured(t *testing.T) {
	w := authorizedWorld()
	w.worth["D1"] = amount("48.19")
	ship(t, environment(t, w), parcel("D1"))
	require.Equal(t, 2, w.count("ReadOrder"))
	require.True(t, w.captures[0].Final)
}

// TestInvoicesOfParcelsArePaidToTheLastCent: an invoice for each parcel, rounded otherwise than its share; what the last one leaves pays the
// first one's rest.
func TestInvoicesOfParcelsArePaidToTheLastCent(t *testing.T) {
	for name, test := range map[string]struct {
		parcel  func(number string) workflows.ShipmentInput
		deposit string
		between []string // open of the first invoice and left of the deposits, after the first parcel
	}{
		"captured parcel by parcel": {parcel, "0", []string{"0.01", "0"}},
		"paid before":               {paidParcel, "48.19", []string{"0", "28.18"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := parcelWorld()
			if test.deposit != "0" {
				w = settledWorld()
				w.worth["D1"], w.worth["D2"] = amount("20.00"), amount("28.19")
			}
			w.unapplied = amount(test.deposit)
			w.owing = map[string]decimal.Decimal{"I-D1": amount("20.01"), "I-D2": amount("28.18")}
			ship(t, environment(t, w), test.parcel("D1"))
			between := []string{w.owing["I-D1"].String(), w.unapplied.String()}
			require.Equal(t, test.between, between)
			require.Empty(t, w.ships[0].Invoices, "more of it is to leave")
			require.Equal(t, "Shipped in full", ship(t, environment(t, w), test.parcel("D2")))
			require.Equal(t, []string{"0", "0", "0"}, []string{w.owing["I-D1"].String(), w.owing["I-D2"].String(), w.unapplied.String()})
			require.Equal(t, []string{"I-D1", "I-D2"}, w.ships[len(w.ships)-1].Invoices)
		})
	}
}
