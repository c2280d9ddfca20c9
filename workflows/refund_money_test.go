package workflows_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// TestMoneyAndBooksAreWhatARefundSays: whatever fails at whichever step, whatever people answer, and whatever others do with the payment
// meanwhile, the gateway's money and the ERP's books are what the refund's end says.
func TestMoneyAndBooksAreWhatARefundSays(t *testing.T) {
	steps := []string{
		"PlanRefund", "VoidCapture", "ReverseAuthorization", "RefundCapture", "CreditRefund", "PostRefund", "TagRefund", "CancelRefunded", "RecordRefund",
	}
	failures := map[string]func() error{
		"passing": passing, "unknown": unanswered, "done, unknown": func() error { return lost(unanswered()) },
		"timed out": timedOut, "done, timed out": func() error { return lost(timedOut()) },
		"conflict": func() error { return permanent(fault.Conflict) }, "closed period": func() error { return permanent(fault.ClosedPeriod) },
	}
	names := []string{"passing", "unknown", "done, unknown", "timed out", "done, timed out", "conflict", "closed period"}
	rapid.Check(t, func(rt *rapid.T) {
		w := rapid.SampledFrom([]func() *world{paidWorld, settledWorld, authorizedWorld}).Draw(rt, "world")()
		if rapid.Bool().Draw(rt, "not invoiced") {
			w.invoice = ""
		}
		for _, step := range steps {
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(rt, step) {
				if step == "RecordRefund" && name != "passing" {
					continue // the read model is written by others; what it lacks is no money
				}
				w.fail[step] = append(w.fail[step], failures[name]())
			}
		}
		others := rapid.SampledFrom([]string{"nothing", "batch", "reserve", "refund", "capture"}).Draw(rt, "others")
		w.before[rapid.SampledFrom(steps[:4]).Draw(rt, "before")] = func() { w.meanwhile(others) }

		env := environment(t, w)
		for i, kind := range rapid.SliceOfN(rapid.SampledFrom([]workflows.ResolutionKind{
			workflows.ResolveRetry, workflows.ResolveRetryWith, workflows.ResolveSkip, workflows.ResolveCompensate, "cancel the run",
		}), 0, 12).Draw(rt, "answers") {
			after := time.Duration(i+1) * 47 * time.Minute
			if kind == "cancel the run" {
				env.RegisterDelayedCallback(env.CancelWorkflow, after)
				continue
			}
			w.answerWith(env, after, kind)
		}
		in := w.refundInput("R1", rapid.SampledFrom([]string{"48.19", "48.18", "10.00", "0.01"}).Draw(rt, "amount"))
		w.requireAgreement(rt, in, payBack(rt, env, in))
	})
}

// meanwhile is what others do with the payment while a refund is on its way: once, and before any money went back.
func (w *world) meanwhile(what string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if len(w.back) > 0 || w.met {
		return
	}
	w.met = true
	switch what {
	case "batch":
		w.tooLate = true
	case "reserve":
		w.reserved = amount("5")
	case "refund":
		if w.net().GreaterThan(amount("5")) {
			w.pay.Refunded, w.pay.Status = w.pay.Refunded.Add(amount("5")), canonical.PaymentPartiallyRefunded
		}
	case "capture":
		if w.hold.IsPositive() {
			w.pay.Captured, w.pay.CaptureID, w.pay.Status, w.hold = w.hold, "capture-1", canonical.PaymentCaptured, decimal.Zero
		}
	}
}

// answerWith answers what is parked at a time, where that is offered.
func (w *world) answerWith(env *testsuite.TestWorkflowEnvironment, after time.Duration, kind workflows.ResolutionKind) {
	r := workflows.Resolution{Kind: kind}
	if kind == workflows.ResolveRetryWith {
		r.Correction = &activities.Correction{Date: "2026-12-01"}
	}
	w.later(env, after, r)
}
