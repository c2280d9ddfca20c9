package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

const lateID = "fraud-review/WEB-10001/late"

func lateInput() workflows.LateRejectInput {
	order := input()
	return workflows.LateRejectInput{
		OrderID: order.Order.OrderID, Actor: "anna", Source: workflows.SourceAPI, Comment: "stolen card", Order: order.Order, Erp: order.Erp, Policy: order.Policy,
	}
}

// reject runs a LateReject to its end and gives its result and the children it started.
func reject(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.LateRejectInput) (outcome string, started []string) {
	t.Helper()
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		started = append(started, info.WorkflowExecution.ID)
	})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.LateRejectWorkflowID(in.OrderID)})
	env.ExecuteWorkflow(workflows.LateReject, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&outcome))
	return outcome, started
}

func TestLateRejectHoldsTheOrderAndProposesARefund(t *testing.T) {
	tests := map[string]struct {
		change func(w *world)
		where  string
		held   bool
		calls  int
	}{
		"held":              {func(*world) {}, "sales order 015562 is on hold", true, 1},
		"has left":          {func(w *world) { w.left = true }, "sales order 015562 can't be held any more: invoiced 200069", false, 1},
		"no sales order":    {func(w *world) { w.order = "" }, "there is no sales order", false, 0},
		"nobody can hold":   {func(w *world) { w.fail["HoldSalesOrder"] = []error{permanent(fault.Credentials)} }, "sales order 015562 was not held", false, 1},
		"held, after a try": {func(w *world) { w.fail["HoldSalesOrder"] = []error{passing()} }, "sales order 015562 is on hold", true, 2},
	}
	for name, test := range tests {
		for _, answer := range []workflows.ResolutionKind{workflows.ResolveCompensate, workflows.ResolveSkip} {
			t.Run(name+"/"+string(answer), func(t *testing.T) {
				w := settledWorld()
				test.change(w)
				env := environment(t, w)
				// Long after any deadline: the proposal waits for a person, for ever.
				given := w.later(env, 30*24*time.Hour, workflows.Resolution{Kind: answer, Reason: "looked at it"})
				in := lateInput()
				in.EventID = "event-1"
				outcome, started := reject(t, env, in)
				require.Equal(t, []string{"event-1", ""}, []string{w.notes[0].EventID, w.notes[1].EventID}, "the gateway's word is the proposal's cause, not the answer's")
				given.requireAccepted(t)
				proposal := w.parkings[len(w.parkings)-1]
				require.Equal(t, "late-reject", proposal.Step)
				require.Equal(t, lateID, proposal.WorkflowID)
				require.Equal(t, fault.DeclinedByPolicy, proposal.Class)
				require.Equal(t, []string{"compensate", "skip"}, proposal.Actions)
				require.Contains(t, proposal.Summary, test.where)
				require.Contains(t, proposal.Summary, "Refund 48.19 USD (compensate)")
				require.True(t, proposal.Deadline.IsZero())
				require.Empty(t, w.parked)
				if answer == workflows.ResolveSkip {
					require.Equal(t, "Kept by olga", outcome)
					require.Empty(t, started)
					require.Equal(t, []string{"proposed", "kept"}, w.noted())
					require.False(t, w.onHold, "released")
					require.Equal(t, map[bool]int{true: test.calls + 1, false: test.calls}[test.held], w.count("HoldSalesOrder"))
					require.True(t, w.net().Equal(amount("48.19")), "nothing is refunded by itself")
					return
				}
				require.Equal(t, "Refund late-reject started by olga", outcome)
				require.Equal(t, workflows.RefundWorkflowID("WEB-10001", "late-reject"), started[0])
				require.Equal(t, []string{"proposed", "refunding"}, w.noted())
				require.Equal(t, "anna", w.notes[0].Actor)
				require.Equal(t, "olga", w.notes[1].Actor)
				require.Equal(t, test.held, w.onHold, "what is refunded is not released")
				require.Equal(t, test.held, w.taken[0].Restock, "only goods that have not left come back to stock")
				require.Equal(t, test.held, w.bookings[0].Restock)
				require.Equal(t, "review", w.taken[0].Origin)
				require.True(t, w.net().IsZero())
				require.Equal(t, canonical.RefundCompleted, w.progress[len(w.progress)-1].Status)
				require.Equal(t, []string{"refund.completed"}, w.events())
			})
		}
	}
}

func TestLateRejectWaitsForTheOrderToEnd(t *testing.T) {
	t.Run("then proposes", func(t *testing.T) {
		w := settledWorld()
		w.reads = []canonical.OrderStatus{canonical.OrderCapturing, canonical.OrderBooking, canonical.OrderBooking}
		env := environment(t, w)
		w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip})
		outcome, _ := reject(t, env, lateInput())
		require.Equal(t, "Kept by olga", outcome)
		require.Equal(t, 4, w.count("ReadOrder"))
		require.Less(t, w.position("ReadOrder"), w.position("HoldSalesOrder"))
	})
	t.Run("for months", func(t *testing.T) { // a history has an end, and the server's would be that of the run
		w := settledWorld()
		w.reads = []canonical.OrderStatus{canonical.OrderBooking, canonical.OrderBooking}
		env := environment(t, w)
		env.SetContinueAsNewSuggested(true)
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: lateID})
		env.ExecuteWorkflow(workflows.LateReject, lateInput())
		var more *workflow.ContinueAsNewError
		require.ErrorAs(t, env.GetWorkflowError(), &more)
		require.Equal(t, "LateReject", more.WorkflowType.Name)
		require.Equal(t, 1, w.count("ReadOrder"))
		require.Zero(t, w.count("HoldSalesOrder"))
	})
	t.Run("nothing is left", func(t *testing.T) {
		w := settledWorld()
		w.reads = []canonical.OrderStatus{canonical.OrderBooking, canonical.OrderCompensated}
		w.pay.Refunded = w.pay.Captured
		outcome, started := reject(t, environment(t, w), lateInput())
		require.Equal(t, "Nothing to propose: the order is compensated, nothing of it is left to refund", outcome)
		require.Empty(t, started)
		require.Zero(t, w.count("HoldSalesOrder"))
		require.Zero(t, w.count("ParkStep"))
	})
	t.Run("refunded while people thought", func(t *testing.T) {
		w := settledWorld()
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { w.pay.Refunded = w.pay.Captured }, time.Minute)
		w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveCompensate})
		outcome, started := reject(t, env, lateInput())
		require.Equal(t, "Nothing is left to refund", outcome)
		require.Empty(t, started)
	})
}

func TestRefundAfterALateRejectCreditsWhatWasInvoicedMeanwhile(t *testing.T) {
	w := settledWorld()
	w.invoice, w.left = "", true
	env := environment(t, w)
	env.RegisterDelayedCallback(func() { w.invoice = "200069" }, time.Hour)
	w.later(env, 2*time.Hour, workflows.Resolution{Kind: workflows.ResolveCompensate})
	reject(t, env, lateInput())
	require.True(t, w.memos["late-reject"].Equal(amount("48.19")), "the invoice stands without its money")
	require.Equal(t, "015562", w.order, "an invoiced order is credited, not cancelled")
}

func TestLateRejectMarksTheCustomer(t *testing.T) {
	tests := map[string]struct {
		change func(w *world)
		marked int
		note   string
	}{
		"done":                     {func(*world) {}, 1, "marked"},
		"nothing is left":          {func(w *world) { w.pay.Refunded = w.pay.Captured }, 1, "marked"},
		"refused until a deadline": {func(w *world) { w.fail["MarkCustomer"] = []error{permanent(fault.Credentials)} }, 0, "unmarked"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			test.change(w)
			env := environment(t, w)
			env.RegisterDelayedCallback(func() {
				for _, id := range w.open("late-reject") {
					update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveSkip, Actor: "olga"})
				}
			}, 24*time.Hour)
			in := lateInput()
			in.Mark = true
			reject(t, env, in)
			require.Len(t, w.marked, test.marked)
			require.Contains(t, w.noted(), test.note)
			require.Empty(t, w.parked)
			if test.marked > 0 {
				require.Equal(t, activities.MarkCustomerInput{OrderID: "WEB-10001", PaymentID: "auth-1", Notes: "stolen card", Actor: "anna", Attempt: 1}, w.marked[0])
			}
		})
	}
}

func TestProposalDoesNotWaitForTheMarking(t *testing.T) {
	w := settledWorld()
	w.fail["MarkCustomer"] = []error{permanent(fault.Credentials)}
	env := environment(t, w)
	proposed := 0
	env.RegisterDelayedCallback(func() { proposed = len(w.open("late-reject")) }, time.Minute)
	env.RegisterDelayedCallback(func() {
		for _, id := range w.open("late-reject") {
			update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveSkip, Actor: "olga"})
		}
	}, 24*time.Hour)
	in := lateInput()
	in.Mark = true
	reject(t, env, in)
	require.Equal(t, 1, proposed, "people were told of a proposal that nobody could answer")
}

// lateSteps are the activities of LateReject that may need a person.
func lateSteps() []string { return []string{"ReadOrder", "HoldSalesOrder", "MarkCustomer", "TakeRest"} }

// TestCancelOfALateRejectAtEachStep: the reject came, whoever cancels the run; a person still decides.
func TestCancelOfALateRejectAtEachStep(t *testing.T) {
	for _, step := range lateSteps() {
		t.Run(step, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			w.fail[step] = []error{passing()}
			w.before[step] = func() { env.CancelWorkflow(); w.forget(step) }
			given := w.later(env, 24*time.Hour, workflows.Resolution{Kind: workflows.ResolveCompensate})
			in := lateInput()
			in.Mark = true
			outcome, started := reject(t, env, in)
			given.requireAccepted(t)
			require.Equal(t, "Refund late-reject started by olga", outcome)
			require.Contains(t, started, "refund/WEB-10001/late-reject")
			require.True(t, w.net().IsZero())
		})
	}
}

func TestTimeOutOfALateRejectAtEachStep(t *testing.T) {
	for _, step := range append([]string{"release"}, lateSteps()...) {
		for when, failure := range map[string]error{"never arrived": timedOut(), "done": lost(timedOut())} {
			answer, activity := workflows.ResolveCompensate, step
			if step == "release" {
				answer, activity = workflows.ResolveSkip, "HoldSalesOrder"
			}
			t.Run(step+"/"+when, func(t *testing.T) {
				w := settledWorld()
				env := environment(t, w)
				if step == "release" {
					env.RegisterDelayedCallback(func() { w.fail[activity] = []error{failure} }, time.Hour)
				} else {
					w.fail[activity] = []error{failure}
				}
				for i := range 3 { // first what timed out, then the proposal
					env.RegisterDelayedCallback(func() {
						for _, id := range w.open() {
							kind := workflows.ResolveRetry
							if w.parked[id].Step == "late-reject" {
								kind = answer
							}
							update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: kind, Actor: "olga"})
						}
					}, time.Duration(i+1)*2*time.Hour)
				}
				in := lateInput()
				in.Mark = true
				reject(t, env, in)
				require.Empty(t, w.parked)
				require.Equal(t, answer == workflows.ResolveCompensate, w.net().IsZero())
				require.Equal(t, answer == workflows.ResolveCompensate, w.onHold)
				require.Contains(t, w.noted(), "marked")
			})
		}
	}
}
