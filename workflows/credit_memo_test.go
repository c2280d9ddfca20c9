package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
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

// memoInput is a credit memo that somebody made in the ERP for an order of the world.
func memoInput(total string) workflows.CreditMemoInput {
	order := input()
	return workflows.CreditMemoInput{
		Erp: order.Erp, Order: order.Order, SalesOrder: "015562", Invoice: "200069", Policy: order.Policy,
		Memo: activities.MemoChange{
			Number: "C00077", CustomerCode: "WEB", Amount: amount(total), Tax: amount("0.80"), Currency: "USD", Reason: "damaged", RefundStatus: "Pending",
		},
	}
}

func ownMemoInput() workflows.CreditMemoInput {
	in := memoInput("10.00")
	in.Memo.Own, in.Memo.Reference = true, "TL-8F3A"
	return in
}

// credit runs a credit memo to its end, and gives its result and the children that it started.
func credit(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.CreditMemoInput) (outcome string, started []string) {
	t.Helper()
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		started = append(started, info.WorkflowExecution.ID)
	})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.CreditMemoWorkflowID(in.Erp, in.Memo.Number)})
	env.ExecuteWorkflow(workflows.CreditMemo, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&outcome))
	return outcome, started
}

func TestCreditMemoBecomesARefund(t *testing.T) {
	w := settledWorld()
	outcome, started := credit(t, environment(t, w), memoInput("10.00"))
	require.Equal(t, "Refund cm-C00077 completed: refund of 10.00 USD", outcome)
	require.Equal(t, "refund/WEB-10001/cm-C00077", started[0])
	require.True(t, w.pay.Refunded.Equal(amount("10")))
	require.Empty(t, w.memos, "the memo is there already: none is made")
	require.Equal(t, "C00077", w.bookings[0].CreditMemo)
	require.Equal(t, "erp-syspro", w.takes[0].Actor)
	require.Len(t, w.acks, 1)
	ack := w.acks[0]
	require.True(t, ack.Refunded)
	require.Equal(t, []string{"WEB-10001", "C00077", "refund-cm-C00077-1", "10.00 USD", ""},
		[]string{ack.OrderID, ack.Number, ack.TransactionID, ack.Amount.String(), ack.Failure})
	require.Equal(t, []string{"refund.completed"}, w.events())
	require.Less(t, w.position("RefundCapture"), w.position("AcknowledgeMemo"))
}

func TestCreditMemoThatIsRefused(t *testing.T) {
	tests := map[string]struct {
		change  func(w *world)
		outcome string
		failure string
		refunds int
	}{
		"before the refund is taken": {func(w *world) { w.noMemo = "the order is not paid" }, "Refused: the order is not paid", "the order is not paid", 0},
		"by the refund": {func(w *world) { w.reserved = amount("45.00") },
			"Refund cm-C00077 refused: only 3.19 are left to refund", "only 3.19 are left to refund", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			test.change(w)
			outcome, started := credit(t, environment(t, w), memoInput("10.00"))
			require.Equal(t, test.outcome, outcome)
			require.GreaterOrEqual(t, len(started), test.refunds)
			require.Len(t, w.acks, 1)
			require.Equal(t, test.failure, w.acks[0].Failure)
			require.False(t, w.acks[0].Refunded)
			require.True(t, w.pay.Refunded.IsZero())
		})
	}
}

// TestRefundOfACreditMemoIsEndedFromOutside: it may have moved money, so that nobody tells the ERP that it failed without a person's word.
func TestRefundOfACreditMemoIsEndedFromOutside(t *testing.T) {
	tests := map[string]struct {
		answer  workflows.ResolutionKind
		outcome string
	}{
		"begun anew":       {workflows.ResolveRetry, "Refund cm-C00077 completed: refund of 10.00 USD"},
		"a person gave up": {workflows.ResolveCompensate, "Refund cm-C00077 did not end: "},
		"nobody answers":   {"", "Refund cm-C00077 completed: refund of 10.00 USD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			begun := 0
			env.OnWorkflow(workflows.Refund, mock.Anything, mock.Anything).Return(func(_ workflow.Context, in workflows.RefundInput) (workflows.RefundView, error) {
				if begun++; begun == 1 {
					return workflows.RefundView{}, errors.New("terminated")
				}
				w.back[in.RefundID] = in.Breakdown.Total
				return workflows.RefundView{Status: canonical.RefundCompleted, Way: activities.WayRefund, Amount: in.Order.Money(in.Breakdown.Total), TransactionID: "r-1"}, nil
			})
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			outcome, _ := credit(t, env, memoInput("10.00"))
			require.True(t, strings.HasPrefix(outcome, test.outcome), outcome)
			require.Equal(t, []string{"refund-credit-memo", "retry compensate"}, []string{w.parkings[0].Step, strings.Join(w.parkings[0].Actions, " ")})
			require.Len(t, w.acks, 1)
			require.Equal(t, test.answer != workflows.ResolveCompensate, w.acks[0].Refunded)
			require.Empty(t, w.parked)
		})
	}
}

func TestOwnCreditMemoIsAcknowledgedAndNeverRefunded(t *testing.T) {
	known := activities.OwnMemo{Known: true, TransactionID: "refund-R1-1", Amount: canonical.NewMoney(amount("10"), "USD")}
	for name, answers := range map[string][]activities.OwnMemo{
		"known": {known}, "its refund is still on its way": {{}, {}, {}, known}, "for days": append(make([]activities.OwnMemo, 400), known),
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			w.own = answers
			outcome, started := credit(t, environment(t, w), ownMemoInput())
			require.Equal(t, "Our own: acknowledged", outcome)
			require.Empty(t, started)
			require.Equal(t, len(answers), w.count("FindOwnMemo"))
			require.Zero(t, w.count("TakeMemo"))
			require.Equal(t, "refund-R1-1", w.acks[0].TransactionID)
			require.True(t, w.acks[0].Refunded)
			require.True(t, w.pay.Refunded.IsZero())
			require.Empty(t, w.parkings)
		})
	}
}

func TestOwnCreditMemoThatWaitsLongGoesOnAsANewRun(t *testing.T) {
	w := settledWorld()
	w.own = []activities.OwnMemo{{}}
	env := environment(t, w)
	env.SetContinueAsNewSuggested(true)
	in := ownMemoInput()
	env.ExecuteWorkflow(workflows.CreditMemo, in)
	var more *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &more)
	var next workflows.CreditMemoInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(more.Input, &next))
	require.Equal(t, in.Memo.Reference, next.Memo.Reference)
	require.Zero(t, w.count("AcknowledgeMemo"))
}

// memoSteps are the activities of a credit memo, in a memo that comes to them.
func memoSteps() map[string]workflows.CreditMemoInput {
	return map[string]workflows.CreditMemoInput{"TakeMemo": memoInput("10.00"), "FindOwnMemo": ownMemoInput(), "AcknowledgeMemo": memoInput("10.00")}
}

func memoWorld(in workflows.CreditMemoInput) *world {
	w := settledWorld()
	if in.Memo.Own {
		w.own = []activities.OwnMemo{{Known: true, TransactionID: "refund-R1-1", Amount: canonical.NewMoney(amount("10"), "USD")}}
	}
	return w
}

func TestEachStepOfACreditMemoParks(t *testing.T) {
	failures := map[string]error{"refused": permanent(fault.Conflict), "timed out": timedOut(), "done, but nobody answered": lost(timedOut())}
	for step, in := range memoSteps() {
		for name, failure := range failures {
			t.Run(step+"/"+name, func(t *testing.T) {
				w := memoWorld(in)
				w.fail[step] = []error{failure}
				env := environment(t, w)
				w.answers(env, workflows.ResolveRetry)
				credit(t, env, in)
				require.Len(t, w.parkings, 1)
				require.Len(t, w.acks, 1)
				require.True(t, w.acks[0].Refunded)
				require.Empty(t, w.parked)
			})
		}
		t.Run(step+"/an outage heals", func(t *testing.T) {
			w := memoWorld(in)
			w.fail[step] = outage()
			credit(t, environment(t, w), in)
			require.Empty(t, w.parkings)
			require.Len(t, w.acks, 1)
		})
	}
	t.Run("AcknowledgeMemo/left to people", func(t *testing.T) {
		w := settledWorld()
		w.fail["AcknowledgeMemo"] = []error{permanent(fault.Conflict)}
		env := environment(t, w)
		w.answers(env, workflows.ResolveSkip)
		outcome, _ := credit(t, env, memoInput("10.00"))
		require.Equal(t, "Refund cm-C00077 completed: refund of 10.00 USD", outcome)
		require.Empty(t, w.acks)
		require.True(t, w.pay.Refunded.Equal(amount("10")))
	})
}

// TestCancelOfACreditMemoChangesNothing: the ERP is told what became of the money, whatever is cancelled. Who wants to stop the refund cancels that.
func TestCancelOfACreditMemoChangesNothing(t *testing.T) {
	for step, in := range memoSteps() {
		t.Run(step, func(t *testing.T) {
			w := memoWorld(in)
			w.fail[step] = []error{passing()}
			env := environment(t, w)
			w.before[step] = env.CancelWorkflow
			credit(t, env, in)
			require.Len(t, w.acks, 1)
			require.True(t, w.acks[0].Refunded)
		})
	}
}

func TestCreditMemoIsFoundByItsNumber(t *testing.T) {
	w := settledWorld()
	w.fail["TakeMemo"] = []error{permanent(fault.Bug)}
	env := environment(t, w)
	w.later(env, 100*24*time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
	credit(t, env, memoInput("10.00"))
	require.Equal(t, []string{"credit-memo/syspro/C00077", "WEB-10001", "take-credit-memo"},
		[]string{w.parkings[0].WorkflowID, w.parkings[0].OrderID, w.parkings[0].Step})
}
