package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

func TestRefundByEachWay(t *testing.T) {
	tests := map[string]struct {
		world  func() *world
		amount string
		way    activities.RefundWay
		status canonical.PaymentStatus
		calls  []string
	}{
		"authorized only: reversal": {authorizedWorld, "48.19", activities.WayReversal, canonical.PaymentReversed, []string{
			"PlanRefund", "ReverseAuthorization", "RecordRefund", "CreditRefund", "PostRefund", "RecordRefund", "TagRefund", "CancelRefunded", "RecordRefund",
			"RecordRefund", "DeliverCallback",
		}},
		"whole amount before the batch: void": {paidWorld, "48.19", activities.WayVoid, canonical.PaymentReversed, []string{
			"PlanRefund", "VoidCapture", "ReverseAuthorization", "RecordRefund", "CreditRefund", "PostRefund", "RecordRefund", "TagRefund", "RecordRefund",
			"DeliverCallback",
		}},
		"a part before the batch: refund": {paidWorld, "10.00", activities.WayRefund, canonical.PaymentPartiallyRefunded, []string{
			"PlanRefund", "RefundCapture", "RecordRefund", "CreditRefund", "PostRefund", "RecordRefund", "TagRefund", "RecordRefund", "DeliverCallback",
		}},
		"whole amount after the batch: refund": {settledWorld, "48.19", activities.WayRefund, canonical.PaymentRefunded, []string{
			"PlanRefund", "RefundCapture", "RecordRefund", "CreditRefund", "PostRefund", "RecordRefund", "TagRefund", "RecordRefund", "DeliverCallback",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := test.world()
			in := w.refundInput("R1", test.amount)
			view := payBack(t, environment(t, w), in)
			require.Equal(t, test.way, view.Way)
			require.Equal(t, test.status, view.PaymentStatus)
			require.Equal(t, test.calls, w.calls)
			require.Equal(t, []canonical.RefundStatus{canonical.RefundBooking, canonical.RefundCompleted}, w.recorded("R1"))
			w.requireAgreement(t, in, view)
		})
	}
}

func TestRefundTellsTheShop(t *testing.T) {
	w := settledWorld()
	payBack(t, environment(t, w), w.refundInput("R1", "10.00"))
	message := w.told[0]
	require.Equal(t, "callback/WEB-10001/refund.completed/R1", message.ID)
	require.Equal(t, "WEB-10001", message.OrderID)
	require.Equal(t, "web-us", message.Channel)
	require.Equal(t, canonical.PaymentPartiallyRefunded, message.Payment)
	require.Equal(t, "R1", message.Refund.RefundID)
	require.Equal(t, "10.00 USD", message.Refund.Amount.String())
	require.Equal(t, activities.WayRefund, message.Refund.Way)
	require.Equal(t, "damaged", message.Refund.Reason)
	require.Empty(t, message.Reason, "nothing was refused")

	w = settledWorld()
	payBack(t, environment(t, w), w.refundInput("R2", "48.20"))
	message = w.told[0]
	require.Equal(t, "callback/WEB-10001/refund.refused/R2", message.ID)
	require.Equal(t, "only 48.19 are left to refund", message.Reason)
	require.Equal(t, "R2", message.Refund.RefundID)
}

func TestRefundsToTheLastCentAndOneMore(t *testing.T) {
	w := settledWorld()
	for i, total := range []string{"20.00", "20.00", "8.19"} {
		w.told = nil
		in := w.refundInput(fmt.Sprintf("R%d", i+1), total)
		view := payBack(t, environment(t, w), in)
		require.Equal(t, canonical.RefundCompleted, view.Status)
		w.requireAgreement(t, in, view)
	}
	require.True(t, w.net().IsZero())
	require.Equal(t, "refunded", w.tagged)
	require.Equal(t, canonical.PaymentRefunded, w.pay.Status)

	w.told = nil
	in := w.refundInput("R4", "0.01")
	view := payBack(t, environment(t, w), in)
	require.Equal(t, canonical.RefundRefused, view.Status)
	require.Equal(t, 3, w.count("RefundCapture"), "the gateway is not asked for what is not left")
	w.requireAgreement(t, in, view)
}

func TestVoidThatComesTooLateBecomesARefund(t *testing.T) {
	w := paidWorld()
	w.before["VoidCapture"] = func() { w.tooLate = true } // the batch leaves between the plan and the void
	in := w.refundInput("R1", "48.19")
	view := payBack(t, environment(t, w), in)
	require.Equal(t, activities.WayRefund, view.Way)
	require.Equal(t, []string{"PlanRefund", "VoidCapture", "RefundCapture"}, w.calls[:3])
	require.Zero(t, w.count("ReverseAuthorization"), "a refund leaves no hold")
	w.requireAgreement(t, in, view)
}

func TestRefundIsPlannedAnewWhereThePaymentChanged(t *testing.T) {
	captures := func(w *world) {
		w.hold, w.pay.Captured, w.pay.CaptureID, w.pay.Status = amount("0"), amount("48.19"), "capture-1", canonical.PaymentCaptured
	}
	t.Run("captured between plan and reversal", func(t *testing.T) {
		w := authorizedWorld()
		w.before["ReverseAuthorization"] = func() { captures(w); w.forget("ReverseAuthorization") }
		in := w.refundInput("R1", "48.19")
		view := payBack(t, environment(t, w), in)
		require.Equal(t, activities.WayVoid, view.Way)
		require.Equal(t, []string{"PlanRefund", "ReverseAuthorization", "PlanRefund", "VoidCapture", "ReverseAuthorization"}, w.calls[:5])
		w.requireAgreement(t, in, view)
	})
	t.Run("a refused reversal, then captured, then voided", func(t *testing.T) {
		w := authorizedWorld()
		w.fail["ReverseAuthorization"] = []error{permanent(fault.Conflict)}
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { captures(w) }, 30*time.Second)
		w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry})
		in := w.refundInput("R1", "48.19")
		view := payBack(t, env, in)
		require.Equal(t, activities.WayVoid, view.Way)
		require.Equal(t, 1, w.count("ParkStep"), "the hold that the void leaves is released by an attempt that was not refused before")
		w.requireAgreement(t, in, view)
	})
	t.Run("voided by somebody else between plan and void", func(t *testing.T) {
		w := paidWorld()
		w.before["VoidCapture"] = func() { w.pay.Captured, w.pay.Status = amount("0"), canonical.PaymentReversed }
		in := w.refundInput("R1", "48.19")
		view := payBack(t, environment(t, w), in)
		require.Equal(t, canonical.RefundRefused, view.Status)
		require.Equal(t, 2, w.count("PlanRefund"))
		w.requireAgreement(t, in, view)
	})
	t.Run("changing for ever", func(t *testing.T) {
		w := authorizedWorld()
		w.before["PlanRefund"] = func() { w.pay.Captured, w.hold = amount("0"), amount("48.19") }
		w.before["ReverseAuthorization"] = func() { captures(w) }
		in := w.refundInput("R1", "48.19")
		view := payBack(t, environment(t, w), in)
		require.Equal(t, canonical.RefundRefused, view.Status)
		require.Equal(t, 5, w.count("PlanRefund"))
		require.Contains(t, view.Why, "changes faster")
		w.requireAgreement(t, in, view)
	})
}

func TestRefundThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		change func(w *world)
		amount string
		why    string
		calls  []string
	}{
		"nothing is left": {func(w *world) { w.pay.Refunded = w.pay.Captured }, "48.19", "only 0 are left to refund", []string{"PlanRefund"}},
		"other requests have reserved it between plan and step": {func(w *world) {
			w.before["RefundCapture"] = func() { w.reserved = amount("40") }
		}, "10.00", "only 8.19 are left", []string{"PlanRefund", "RefundCapture"}},
		"a void, but a part goes back just now": {func(w *world) {
			w.tooLate = false
			w.before["VoidCapture"] = func() { w.reserved = amount("1") }
		}, "48.19", "a part was refunded already", []string{"PlanRefund", "VoidCapture"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			test.change(w)
			in := w.refundInput("R1", test.amount)
			view := payBack(t, environment(t, w), in)
			require.Equal(t, canonical.RefundRefused, view.Status)
			require.Equal(t, test.why, view.Why)
			require.Equal(t, append(test.calls, "RecordRefund", "DeliverCallback"), w.calls)
			require.Empty(t, view.TransactionID)
			w.requireAgreement(t, in, view)
		})
	}
}

// TestErpStepOfARefundFails: the money has gone back, so that the refund ends in no other way than completed.
func TestErpStepOfARefundFails(t *testing.T) {
	steps := map[string]string{
		"CreditRefund": "credit-memo", "PostRefund": "ar-refund", "TagRefund": "payment-status", "CancelRefunded": "cancel-sales-order",
	}
	for activity, step := range steps {
		ways := map[string]struct {
			answer workflows.Resolution
			skips  bool
		}{
			"retry":            {answer: workflows.Resolution{Kind: workflows.ResolveRetry}},
			"another date":     {answer: workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-12-01"}}},
			"skip":             {answer: workflows.Resolution{Kind: workflows.ResolveSkip, Reason: "booked by hand"}, skips: true},
			"deadline retries": {},
		}
		for name, way := range ways {
			t.Run(activity+"/"+name, func(t *testing.T) {
				w := settledWorld()
				w.fixes = []activities.Fix{{Text: "Post into December", Resolution: "retry_with", Correction: &activities.Correction{Date: "2026-12-01"}}}
				if activity == "CancelRefunded" {
					w.invoice, w.receipt = "", "capture-1"
				}
				w.fail[activity] = []error{permanent(fault.ClosedPeriod)}
				env := environment(t, w)
				var given *reply
				if way.answer.Kind != "" {
					given = w.later(env, time.Minute, way.answer)
				}
				in := w.refundInput("R1", "48.19")
				view := payBack(t, env, in)
				if given != nil {
					given.requireAccepted(t)
				} else {
					require.Equal(t, "deadline", w.solved[0].Actor)
				}
				parked := w.parkings[0]
				require.Equal(t, step, parked.Step)
				require.Equal(t, fault.ClosedPeriod, parked.Class)
				require.Equal(t, []string{"retry", "retry_with", "skip"}, parked.Actions)
				require.Equal(t, way.skips, w.skipped()[step])
				w.requireAgreement(t, in, view)
				if way.answer.Correction != nil {
					require.Equal(t, "2026-12-01", w.bookings[len(w.bookings)-1].Date, "the date holds for what follows, too")
				}
			})
		}
	}
}

func TestRefundTakesNoOtherCorrectionThanADate(t *testing.T) {
	w := settledWorld()
	w.fail["PostRefund"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	wrongDate := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "1.12.2026"}})
	order := w.later(env, 2*time.Minute, workflows.Resolution{
		Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-12-01", Order: map[string]any{"/lines/0/sku": "B"}},
	})
	compensate := w.later(env, 3*time.Minute, workflows.Resolution{Kind: workflows.ResolveCompensate})
	right := w.later(env, 4*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-12-01"}})
	in := w.refundInput("R1", "10.00")
	view := payBack(t, env, in)
	wrongDate.requireRefused(t, workflows.RefusedInvalid)
	order.requireRefused(t, workflows.RefusedInvalid)
	compensate.requireRefused(t, workflows.RefusedInvalid)
	right.requireAccepted(t)
	require.Equal(t, []string{"date"}, w.solved[0].Changed)
	w.requireAgreement(t, in, view)
}

func TestUnknownErpAnswerOfARefundTakesNoOtherDate(t *testing.T) {
	w := settledWorld()
	w.fail["PostRefund"] = []error{lost(unanswered())}
	env := environment(t, w)
	w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry})
	in := w.refundInput("R1", "10.00")
	view := payBack(t, env, in)
	require.Equal(t, []string{"retry", "skip"}, w.parkings[0].Actions)
	require.Equal(t, 1, w.bookings[len(w.bookings)-1].Attempt, "what may have arrived goes on as it was sent")
	w.requireAgreement(t, in, view)
}

func TestPayBackThatIsRefused(t *testing.T) {
	for way, setup := range map[string]struct {
		world    func() *world
		activity string
	}{
		"reversal": {authorizedWorld, "ReverseAuthorization"}, "void": {paidWorld, "VoidCapture"}, "refund": {settledWorld, "RefundCapture"},
	} {
		t.Run(way+"/given up", func(t *testing.T) {
			w := setup.world()
			w.fail[setup.activity] = []error{permanent(fault.Conflict)}
			env := environment(t, w)
			before := w.pay
			given := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveCompensate, Reason: "paid in cash"})
			in := w.refundInput("R1", "48.19")
			view := payBack(t, env, in)
			given.requireAccepted(t)
			require.Equal(t, canonical.RefundRefused, view.Status)
			require.Equal(t, "refused: conflict (paid in cash)", view.Why)
			require.Equal(t, "pay-back", w.parkings[0].Step)
			require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
			require.Equal(t, before, w.pay, "no money moved")
			w.requireAgreement(t, in, view)
		})
		t.Run(way+"/tried again", func(t *testing.T) {
			w := setup.world()
			w.fail[setup.activity] = []error{permanent(fault.Conflict), permanent(fault.Value)}
			env := environment(t, w)
			w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetry}) // the second one waits for the deadline
			in := w.refundInput("R1", "48.19")
			view := payBack(t, env, in)
			require.Equal(t, 2, w.count("ParkStep"))
			require.Contains(t, view.TransactionID, "-3", "each refusal makes a new attempt")
			w.requireAgreement(t, in, view)
		})
		for name, silence := range map[string]error{"unknown": unanswered(), "timed out": timedOut()} {
			for when, failure := range map[string]error{"never arrived": silence, "done": lost(silence)} {
				t.Run(way+"/"+name+", "+when, func(t *testing.T) {
					w := setup.world()
					w.fail[setup.activity] = []error{failure}
					env := environment(t, w)
					given := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveCompensate})
					in := w.refundInput("R1", "48.19")
					view := payBack(t, env, in)
					given.requireRefused(t, workflows.RefusedInvalid)
					require.Equal(t, fault.UnknownOutcome, w.parkings[0].Class)
					require.Equal(t, []string{"retry"}, w.parkings[0].Actions, "what may have moved money is not given up")
					require.Contains(t, view.TransactionID, "-1", "the same attempt goes on")
					w.requireAgreement(t, in, view)
				})
			}
		}
	}
}

func TestRefundPlanThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		kind   workflows.ResolutionKind
		status canonical.RefundStatus
	}{
		"retry": {workflows.ResolveRetry, canonical.RefundCompleted}, "given up": {workflows.ResolveCompensate, canonical.RefundRefused},
		"deadline": {"", canonical.RefundCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			w.fail["PlanRefund"] = []error{unanswered()}
			env := environment(t, w)
			if test.kind != "" {
				w.later(env, time.Minute, workflows.Resolution{Kind: test.kind})
			}
			in := w.refundInput("R1", "10.00")
			view := payBack(t, env, in)
			require.Equal(t, test.status, view.Status)
			require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
			w.requireAgreement(t, in, view)
		})
	}
}

func TestErpOriginatesARefund(t *testing.T) {
	w := settledWorld()
	in := w.refundInput("CM-7", "10.00")
	in.Origin, in.CreditMemo = workflows.OriginErp, "C00099"
	view := payBack(t, environment(t, w), in)
	require.Empty(t, w.memos, "the memo is the origin: no other one is made")
	require.Equal(t, "C00099", w.bookings[len(w.bookings)-1].CreditMemo)
	w.requireAgreement(t, in, view)
}

func TestUninvoicedOrderIsCancelledWithItsLastCent(t *testing.T) {
	w := settledWorld()
	w.invoice = ""
	part := w.refundInput("R1", "10.00")
	view := payBack(t, environment(t, w), part)
	require.Zero(t, w.count("CancelRefunded"), "a part stays paid")
	w.requireAgreement(t, part, view)

	w.told = nil
	rest := w.refundInput("R2", "38.19")
	view = payBack(t, environment(t, w), rest)
	require.Equal(t, 1, w.count("CancelRefunded"))
	require.Equal(t, canonical.OrderCancelled, w.status["WEB-10001"])
	w.requireAgreement(t, rest, view)

	w = settledWorld()
	w.invoice, w.order = "", ""
	whole := w.refundInput("R1", "48.19")
	payBack(t, environment(t, w), whole)
	require.Zero(t, w.count("CancelRefunded"), "there is no sales order")
}

func TestRefundSurvivesAReadModelThatIsDown(t *testing.T) {
	w := settledWorld()
	w.fail["RecordRefund"] = []error{permanent(fault.Bug), passing(), permanent(fault.Bug)}
	in := w.refundInput("R1", "10.00")
	require.Equal(t, canonical.RefundCompleted, payBack(t, environment(t, w), in).Status)
}

// refundStep is a step of a refund, in a world that comes to it.
type refundStep struct {
	activity string
	world    func() *world
}

func refundSteps() map[string]refundStep {
	uninvoiced := func() *world {
		w := settledWorld()
		w.invoice = ""
		return w
	}
	return map[string]refundStep{
		"plan":         {"PlanRefund", settledWorld},
		"reversal":     {"ReverseAuthorization", authorizedWorld},
		"void":         {"VoidCapture", paidWorld},
		"release":      {"ReverseAuthorization", paidWorld},
		"refund":       {"RefundCapture", settledWorld},
		"credit memo":  {"CreditRefund", settledWorld},
		"AR refund":    {"PostRefund", settledWorld},
		"tag":          {"TagRefund", settledWorld},
		"cancel order": {"CancelRefunded", uninvoiced},
	}
}

// TestCancelOfARefundAtEachStep: a cancellation of the run gives the refund up before money moves, and changes nothing afterwards.
func TestCancelOfARefundAtEachStep(t *testing.T) {
	for name, step := range refundSteps() {
		want := canonical.RefundCompleted
		if name == "plan" {
			want = canonical.RefundRefused
		}
		t.Run(name+"/while it runs", func(t *testing.T) {
			w := step.world()
			env := environment(t, w)
			w.fail[step.activity] = []error{passing()} // it is tried again after the wish
			w.before[step.activity] = func() { env.CancelWorkflow(); w.forget(step.activity) }
			in := w.refundInput("R1", "48.19")
			view := payBack(t, env, in)
			require.Equal(t, want, view.Status)
			w.requireAgreement(t, in, view)
		})
		t.Run(name+"/while it is parked", func(t *testing.T) {
			w := step.world()
			env := environment(t, w)
			w.fail[step.activity] = []error{permanent(fault.Credentials)}
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			in := w.refundInput("R1", "48.19")
			start := env.Now()
			view := payBack(t, env, in)
			require.Equal(t, want, view.Status)
			require.Equal(t, want == canonical.RefundRefused, env.Now().Sub(start) < time.Hour, "only before money moves does the wish end the wait")
			w.requireAgreement(t, in, view)
		})
	}
	t.Run("between plan and money", func(t *testing.T) {
		w := settledWorld()
		env := environment(t, w)
		w.before["PlanRefund"] = env.CancelWorkflow
		in := w.refundInput("R1", "48.19")
		view := payBack(t, env, in)
		require.Contains(t, view.Why, "cancelled before money moved")
		require.Zero(t, w.count("RefundCapture"))
		w.requireAgreement(t, in, view)
	})
}

// TestTimeOutOfARefundAtEachStep: a call that never comes back waits for a person, is tried again at the deadline, and is done once.
func TestTimeOutOfARefundAtEachStep(t *testing.T) {
	for name, step := range refundSteps() {
		for when, failure := range map[string]error{"never arrived": timedOut(), "done": lost(timedOut())} {
			t.Run(name+"/"+when, func(t *testing.T) {
				w := step.world()
				w.fail[step.activity] = []error{failure}
				in := w.refundInput("R1", "48.19")
				view := payBack(t, environment(t, w), in)
				require.Len(t, w.parkings, 1)
				require.Equal(t, fault.UnknownOutcome, w.parkings[0].Class)
				require.NotContains(t, w.parkings[0].Actions, "retry_with")
				require.Equal(t, "deadline", w.solved[0].Actor)
				require.Equal(t, canonical.RefundCompleted, view.Status)
				w.requireAgreement(t, in, view)
			})
		}
	}
}

// TestOutageAtEachStepOfARefundHeals: what passes by itself needs nobody.
func TestOutageAtEachStepOfARefundHeals(t *testing.T) {
	for name, step := range refundSteps() {
		t.Run(name, func(t *testing.T) {
			w := step.world()
			w.fail[step.activity] = []error{passing(), passing(), passing()}
			in := w.refundInput("R1", "48.19")
			view := payBack(t, environment(t, w), in)
			require.Zero(t, w.count("ParkStep"))
			require.Equal(t, canonical.RefundCompleted, view.Status)
			w.requireAgreement(t, in, view)
		})
	}
}

func TestRefundShowsWhereItStands(t *testing.T) {
	w := settledWorld()
	w.fail["PostRefund"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	var parked workflows.RefundView
	env.RegisterDelayedCallback(func() { parked = refundView(t, env) }, time.Minute)
	payBack(t, env, w.refundInput("R1", "10.00"))
	require.Equal(t, canonical.RefundBooking, parked.Status)
	require.True(t, parked.NeedsAttention)
	require.Equal(t, `Parked at "ar-refund" (closed_period): refused: closed_period`, parked.Stage)
	require.Equal(t, "refund-R1-1", parked.TransactionID)
	require.Equal(t, "C-R1", parked.CreditMemo)
	require.Equal(t, "Completed: refund of 10.00 USD", refundView(t, env).Stage)
}

func refundView(t *testing.T, env *testsuite.TestWorkflowEnvironment) workflows.RefundView {
	t.Helper()
	value, err := env.QueryWorkflow(workflows.QueryRefund)
	require.NoError(t, err)
	var view workflows.RefundView
	require.NoError(t, value.Get(&view))
	return view
}

// TestRefundOfSeveralCapturesTellsTheBooksOfEach: each transaction at the gateway, and which credit memo it is posted against.
func TestRefundOfSeveralCapturesTellsTheBooksOfEach(t *testing.T) {
	w := settledWorld()
	in := w.refundInput("R-1", "30.00")
	w.parts = []activities.RefundPart{
		{TransactionID: "refund-1", CaptureID: "capture-1", Amount: in.Order.Money(amount("20.00")), Shipment: "D1", Invoice: "I-D1"},
		{TransactionID: "refund-2", CaptureID: "capture-2", Amount: in.Order.Money(amount("10.00")), Shipment: "D2"},
	}
	w.credited = []activities.CreditedPart{{TransactionID: "refund-1", CreditMemo: "C-R-1"}, {TransactionID: "refund-2"}}
	view := payBack(t, environment(t, w), in)
	require.Equal(t, canonical.RefundCompleted, view.Status)
	w.requireAgreement(t, in, view)
	require.Len(t, w.bookings, 3)
	for _, booking := range w.bookings {
		require.Len(t, booking.Parts, 2)
	}
}
