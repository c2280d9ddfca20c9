package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

const reviewID = "fraud-review/WEB-10001"

// decide sends an update to the running review.
func decide(env *testsuite.TestWorkflowEnvironment, d workflows.Decision) *answer {
	a := &answer{}
	err := env.UpdateWorkflowByID(reviewID, workflows.UpdateDecide, string(d.Decision)+d.Actor, &testsuite.TestUpdateCallback{
		OnAccept:   func() {},
		OnReject:   func(err error) { a.err, a.done = err, true },
		OnComplete: func(_ any, err error) { a.err, a.done = err, true },
	}, d)
	if err != nil {
		a.err, a.done = err, true
	}
	return a
}

func heldWorld() *world {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.Held}
	return w
}

func TestReviewAccepted(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		require.True(t, w.onHold, "the sales order waits on hold")
		decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"})
	}, time.Hour)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.Equal(t, canonical.PaymentCaptured, view.PaymentStatus)
	require.Equal(t, []string{"order.held", "order.confirmed"}, w.events())
	require.False(t, w.onHold, "released")
	require.Less(t, w.position("DecideCase"), w.position("CapturePayment"))
}

// position is where an activity was called last.
func (w *world) position(name string) int {
	at := -1
	for i, call := range w.calls {
		if call == name {
			at = i
		}
	}
	return at
}

func TestReviewRejected(t *testing.T) {
	ways := map[string]func(env *testsuite.TestWorkflowEnvironment, w *world){
		"update": func(env *testsuite.TestWorkflowEnvironment, _ *world) {
			decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna", Comment: "stolen"})
		},
		"signal of the Temporal UI": func(env *testsuite.TestWorkflowEnvironment, _ *world) {
			_ = env.SignalWorkflowByID(reviewID, workflows.SignalFraudDecision, map[string]string{"decision": "reject"})
		},
		"gateway": func(env *testsuite.TestWorkflowEnvironment, w *world) {
			w.verdict = &activities.CaseDecision{Decision: canonical.FraudReject}
			_ = env.SignalWorkflowByID(reviewID, workflows.SignalGatewayDecision, workflows.GatewayDecision{EventID: "e1", Decision: canonical.FraudReject})
		},
		"deadline": func(*testsuite.TestWorkflowEnvironment, *world) {},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			env := environment(t, w)
			env.RegisterDelayedCallback(func() { way(env, w) }, time.Hour)
			view := play(t, env, input())
			require.Equal(t, canonical.OrderRejected, view.Status)
			require.Equal(t, []string{"order.held", "order.rejected"}, w.events())
			require.Less(t, w.position("DecideCase"), w.position("ReverseAuthorization"))
			require.Equal(t, "cancelled", w.order)
			w.requireNothingLeft(t)
		})
	}
}

func TestReviewDeadlineMayAccept(t *testing.T) {
	w := heldWorld()
	in := input()
	in.Policy.ReviewDefault = canonical.FraudAccept
	require.Equal(t, canonical.OrderConfirmed, play(t, environment(t, w), in).Status)
}

func TestUntrustedSignalsMayBeForbidden(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		_ = env.SignalWorkflowByID(reviewID, workflows.SignalFraudDecision, map[string]string{"decision": "accept"})
	}, time.Hour)
	in := input()
	in.Policy.UntrustedSignal = false
	require.Equal(t, canonical.OrderRejected, play(t, env, in).Status, "the deadline decides")
}

func TestDecisionsTwiceAndLateAreAnswered(t *testing.T) {
	w := heldWorld()
	w.fail["DecideCase"] = []error{passing()} // the review is still open when the late ones arrive
	env := environment(t, w)
	var first, second, wrong *answer
	env.RegisterDelayedCallback(func() {
		wrong = decide(env, workflows.Decision{Decision: "maybe", Actor: "anna"})
		first = decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"})
	}, time.Hour)
	env.RegisterDelayedCallback(func() {
		second = decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "otto"})
		_ = env.SignalWorkflowByID(reviewID, workflows.SignalFraudDecision, map[string]string{"decision": "reject"})
	}, time.Hour+500*time.Millisecond)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	first.requireAccepted(t)
	second.requireAccepted(t)
	wrong.requireRefused(t, workflows.RefusedInvalid)
	require.Equal(t, 2, w.count("DecideCase"))
}

func TestUnprovenGatewayDecisionDoesNotCount(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		_ = env.SignalWorkflowByID(reviewID, workflows.SignalGatewayDecision, workflows.GatewayDecision{EventID: "forged", Decision: canonical.FraudAccept})
	}, time.Hour)
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna"}) }, 2*time.Hour)
	require.Equal(t, canonical.OrderRejected, play(t, env, input()).Status)
	require.Zero(t, w.count("ParkStep"))
	require.Equal(t, 2, w.count("DecideCase"))
}

func TestWhatAReviewerDidIsAdopted(t *testing.T) {
	t.Run("captured", func(t *testing.T) {
		w := heldWorld()
		w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept, Captured: true}
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
		view := play(t, env, input())
		require.Equal(t, canonical.OrderConfirmed, view.Status)
		require.Zero(t, w.count("CapturePayment"))
		require.Equal(t, "reviewer-capture", view.Receipt)
	})
	t.Run("reversed, against our accept", func(t *testing.T) {
		w := heldWorld()
		w.verdict = &activities.CaseDecision{Decision: canonical.FraudReject, Reversed: true}
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
		require.Equal(t, canonical.OrderRejected, play(t, env, input()).Status)
		w.requireNothingLeft(t)
	})
}

func TestHeldBeforeAuthorizationIsAuthorizedAfterTheAccept(t *testing.T) {
	w := newWorld()
	w.auth = []activities.AuthorizationResult{activities.HeldUnauthorized, activities.Authorized}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Minute)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderConfirmed, view.Status)
	require.True(t, w.auths[1].SkipReview)
	require.Equal(t, 2, w.auths[1].Attempt)
}

func TestCancelDuringReview(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.RegisterDelayedCallback(func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"}) }, time.Hour)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderCancelled, view.Status)
	require.Less(t, w.position("DecideCase"), w.position("ReverseAuthorization"), "the case is decided before the hold is touched")
	w.requireNothingLeft(t)
}

func TestReviewEndedFromOutsideIsBegunAnew(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.OnWorkflow(workflows.FraudReview, mock.Anything, mock.Anything).
		Return(workflows.ReviewResult{}, errors.New("terminated")).Once()
	env.OnWorkflow(workflows.FraudReview, mock.Anything, mock.Anything).
		Return(func(_ workflow.Context, in workflows.ReviewInput) (workflows.ReviewResult, error) {
			w.pay.Status = canonical.PaymentAuthorized
			in.Payment.Status = canonical.PaymentAuthorized
			return workflows.ReviewResult{Decision: canonical.FraudAccept, Payment: in.Payment}, nil
		})
	w.resolve(env, time.Minute, workflows.ResolveRetry)
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	require.Equal(t, 1, w.count("ParkStep"))
}

func TestCaseActionThatFailsParks(t *testing.T) {
	w := heldWorld()
	w.fail["DecideCase"] = []error{permanent(fault.Credentials)}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
	view := play(t, env, input())
	require.Equal(t, canonical.OrderConfirmed, view.Status, "the deadline of the parked step tries again")
	require.Equal(t, 1, w.count("ParkStep"))
}

func TestErpDownDuringReview(t *testing.T) {
	for decision, want := range map[canonical.FraudDecision]canonical.OrderStatus{
		canonical.FraudAccept: canonical.OrderConfirmed, canonical.FraudReject: canonical.OrderRejected,
	} {
		t.Run(string(decision), func(t *testing.T) {
			w := heldWorld()
			for range 15 {
				w.fail["CreateSalesOrder"] = append(w.fail["CreateSalesOrder"], passing())
			}
			env := environment(t, w)
			env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: decision, Actor: "anna"}) }, time.Minute)
			require.Equal(t, want, play(t, env, input()).Status)
			if decision == canonical.FraudReject {
				w.requireNothingLeft(t)
			}
		})
	}
}

func TestCallbackIsTriedForDaysThenWaits(t *testing.T) {
	w := newWorld()
	for range 200 {
		w.fail["DeliverCallback"] = append(w.fail["DeliverCallback"], passing())
	}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		require.Len(t, w.parked, 1)
		w.fail["DeliverCallback"] = nil
		for id := range w.parked {
			update(env, workflows.UpdateResolve, workflows.Resolution{ID: id, Kind: workflows.ResolveRetry, Actor: "olga"})
		}
	}, 80*time.Hour)
	env.ExecuteWorkflow(workflows.Callback, workflows.CallbackTask{Message: activities.CallbackInput{OrderID: "WEB-10001", Event: "order.confirmed"}, Policy: input().Policy})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, w.told, 1)
}
