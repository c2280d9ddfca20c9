package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

const (
	firstHolds   = "the first valid decision holds"
	gatewayHolds = "what the gateway has decided, or done with the money, holds"
)

// reviewPolicy is an order whose review reminds, escalates and asks the gateway.
func reviewPolicy() workflows.OrderInput {
	in := input()
	in.Policy.ReviewRemind, in.Policy.ReviewEscalate, in.Policy.ReviewPoll = 4*time.Hour, 24*time.Hour, 5*time.Hour
	return in
}

func webhookSays(env *testsuite.TestWorkflowEnvironment, d canonical.FraudDecision) {
	_ = env.SignalWorkflowByID(reviewID, workflows.SignalGatewayDecision, workflows.GatewayDecision{EventID: "e1", Decision: d})
}

func buttonSays(env *testsuite.TestWorkflowEnvironment, d canonical.FraudDecision) {
	_ = env.SignalWorkflowByID(reviewID, workflows.SignalFraudDecision, map[string]string{"decision": string(d)})
}

// resolveReview answers what the review has parked.
func (w *world) resolveReview(env *testsuite.TestWorkflowEnvironment, kind workflows.ResolutionKind) *answer {
	a := &answer{}
	for _, id := range w.open("case") {
		_ = env.UpdateWorkflowByID(reviewID, workflows.UpdateResolve, id, &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { a.err, a.done = err, true }, OnComplete: func(_ any, err error) { a.err, a.done = err, true },
		}, workflows.Resolution{ID: id, Kind: kind, Actor: "olga"})
	}
	return a
}

func TestReviewIsWrittenDownForThePeopleWhoDecide(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	start := env.Now()
	env.RegisterDelayedCallback(func() {
		decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna", Comment: "called her"})
	}, time.Hour)
	play(t, env, reviewPolicy())
	require.Len(t, w.reviews, 1)
	opened := w.reviews[0]
	require.Equal(t, []string{"WEB-10001", reviewID, "auth-1", "48.19 USD", "reject"},
		[]string{opened.OrderID, opened.WorkflowID, opened.PaymentID, opened.Amount.String(), opened.Default})
	for name, at := range map[string][2]time.Time{
		"reminder": {opened.RemindAt, start.Add(4 * time.Hour)}, "escalation": {opened.EscalateAt, start.Add(24 * time.Hour)},
		"deadline": {opened.Deadline, start.Add(48 * time.Hour)},
	} {
		require.WithinDuration(t, at[1], at[0], time.Minute, name)
	}
	require.Equal(t, []string{"decided"}, w.noted(), "nobody is reminded of what is decided")
	holds := w.notes[0]
	require.Equal(t, []string{"accept", "anna", "api", "called her"}, []string{string(holds.Decision), holds.Actor, holds.Source, holds.Comment})
	require.Equal(t, []string{"accept", "anna", "api"}, []string{string(w.decided[0].Decision), w.decided[0].Actor, w.decided[0].Source})
}

func TestReviewRemindsEscalatesAndEndsInOrder(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	start := env.Now()
	require.Equal(t, canonical.OrderRejected, play(t, env, reviewPolicy()).Status)
	require.Equal(t, []string{"reminded", "escalated", "decided"}, w.noted())
	for i, after := range []time.Duration{4 * time.Hour, 24 * time.Hour, 48 * time.Hour} {
		require.WithinDuration(t, start.Add(after), w.notes[i].At, time.Minute)
	}
	require.Equal(t, "deadline", w.notes[2].Source)
	require.Equal(t, 10, w.count("AskCase"), "every five hours, and once more before the deadline decides")
	require.Equal(t, 1, w.count("DecideCase"))
}

func TestReviewWithoutRemindersAsksAndRemindsNobody(t *testing.T) {
	w := heldWorld()
	play(t, environment(t, w), input())
	require.Equal(t, []string{"decided"}, w.noted())
	require.Zero(t, w.count("AskCase"))

	w = heldWorld()
	in := reviewPolicy()
	in.Policy.ReviewDeadline = 3 * time.Hour // before the first of them
	play(t, environment(t, w), in)
	require.Equal(t, []string{"decided"}, w.noted())
	require.Equal(t, 1, w.count("AskCase"))
}

func TestReviewDecidedAtTheGatewayIsFoundByAsking(t *testing.T) {
	tests := map[string]struct {
		after time.Duration // the reviewer decides in Decision Manager; no webhook comes
		found time.Duration
		down  int
	}{
		"by the schedule":                            {after: 6 * time.Hour, found: 10 * time.Hour},
		"by the schedule, after an outage":           {after: time.Minute, found: 10 * time.Hour, down: 3},
		"before the deadline decides":                {after: 46 * time.Hour, found: 48 * time.Hour},
		"the gateway hiccups, and is asked at once":  {after: time.Minute, found: 5 * time.Hour, down: 2},
		"the gateway is down for one question in it": {after: 6 * time.Hour, found: 10 * time.Hour, down: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			for range test.down {
				w.fail["AskCase"] = append(w.fail["AskCase"], passing())
			}
			env := environment(t, w)
			start := env.Now()
			env.RegisterDelayedCallback(func() { w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept} }, test.after)
			require.Equal(t, canonical.OrderConfirmed, play(t, env, reviewPolicy()).Status)
			last := w.notes[len(w.notes)-1]
			require.Equal(t, activities.ReviewDecided, last.Note)
			require.Equal(t, "cybersource-poll", last.Source)
			require.WithinDuration(t, start.Add(test.found), last.At, 2*time.Minute)
			require.True(t, w.decided[0].Asked)
			require.Empty(t, w.decided[0].EventID)
			require.Zero(t, w.count("ParkStep"))
		})
	}
}

func TestGatewayThatCanNotBeAskedLeavesTheDeadlineToDecide(t *testing.T) {
	w := heldWorld()
	for range 100 {
		w.fail["AskCase"] = append(w.fail["AskCase"], passing())
	}
	require.Equal(t, canonical.OrderRejected, play(t, environment(t, w), reviewPolicy()).Status)
	require.Equal(t, 30, w.count("AskCase"), "three tries of each question")
	require.Zero(t, w.count("ParkStep"))
}

func TestRumourAtTheGatewayDoesNotDecide(t *testing.T) {
	t.Run("a person does", func(t *testing.T) {
		w := heldWorld()
		w.rumour = canonical.FraudAccept // shown in a list, but the case itself is open
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna"}) }, 12*time.Hour)
		require.Equal(t, canonical.OrderRejected, play(t, env, reviewPolicy()).Status)
		require.Equal(t, []string{"reminded", "decided"}, w.noted())
		require.Equal(t, 3, w.count("DecideCase"), "the rumour twice, then the decision")
	})
	t.Run("nor the deadline by it", func(t *testing.T) {
		w := heldWorld()
		w.rumour = canonical.FraudAccept
		require.Equal(t, canonical.OrderRejected, play(t, environment(t, w), reviewPolicy()).Status)
		require.Equal(t, "deadline", w.notes[len(w.notes)-1].Source)
		require.Equal(t, 11, w.count("DecideCase"), "each rumour once, then the deadline's decision")
	})
}

func TestDecisionsWhileTheGatewaysWordIsCheckedAreNotLost(t *testing.T) {
	ways := map[string]struct {
		come   func(env *testsuite.TestWorkflowEnvironment)
		status canonical.OrderStatus
		source string
	}{
		"a person's, opposite": {func(env *testsuite.TestWorkflowEnvironment) {
			decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna"})
		}, canonical.OrderRejected, "api"},
		"the button's, opposite": {func(env *testsuite.TestWorkflowEnvironment) { buttonSays(env, canonical.FraudReject) }, canonical.OrderRejected, "temporal-ui"},
		"the button's, the same": {func(env *testsuite.TestWorkflowEnvironment) { buttonSays(env, canonical.FraudAccept) }, canonical.OrderConfirmed, "temporal-ui"},
		"a cancel wish": {func(env *testsuite.TestWorkflowEnvironment) {
			update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"})
		}, canonical.OrderCancelled, "cancel"},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.fail["DecideCase"] = []error{passing()} // the check takes a second try
			env := environment(t, w)
			start := env.Now()
			env.RegisterDelayedCallback(func() { webhookSays(env, canonical.FraudAccept) }, time.Hour) // nothing of it is true
			env.RegisterDelayedCallback(func() { way.come(env) }, time.Hour+500*time.Millisecond)
			view := play(t, env, input())
			require.Equal(t, way.status, view.Status)
			require.Equal(t, []string{"decided"}, w.noted())
			require.Equal(t, way.source, w.notes[0].Source)
			require.WithinDuration(t, start.Add(time.Hour), w.notes[0].At, time.Minute, "it holds at once")
		})
	}
}

func TestProvenWordOfTheGatewayAnswersWhoWaited(t *testing.T) {
	w := heldWorld()
	w.verdict = &activities.CaseDecision{Decision: canonical.FraudAccept}
	w.fail["DecideCase"] = []error{passing()}
	env := environment(t, w)
	var late *answer
	env.RegisterDelayedCallback(func() { webhookSays(env, canonical.FraudAccept) }, time.Hour)
	env.RegisterDelayedCallback(func() { late = decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna"}) }, time.Hour+500*time.Millisecond)
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	late.requireAccepted(t)
	require.Equal(t, []string{"decided", "opposed: " + firstHolds}, w.noted())
	require.Equal(t, "e1", w.decided[0].EventID)
}

func TestOppositeDecisionsAreKeptWithTheRule(t *testing.T) {
	accept, reject := canonical.FraudAccept, canonical.FraudReject
	tests := map[string]struct {
		gateway *activities.CaseDecision
		first   canonical.FraudDecision
		second  canonical.FraudDecision
		status  canonical.OrderStatus
		noted   []string
	}{
		"twice the same":      {nil, accept, accept, canonical.OrderConfirmed, []string{"decided"}},
		"opposite, first one": {nil, accept, reject, canonical.OrderConfirmed, []string{"decided", "opposed: " + firstHolds}},
		"first one again":     {nil, reject, accept, canonical.OrderRejected, []string{"decided", "opposed: " + firstHolds}},
		"the gateway had decided otherwise": {
			&activities.CaseDecision{Decision: reject}, accept, accept, canonical.OrderRejected, []string{"decided", "opposed: " + gatewayHolds},
		},
		"the gateway holds with the second": {
			&activities.CaseDecision{Decision: reject}, accept, reject, canonical.OrderRejected,
			[]string{"decided", "opposed: " + gatewayHolds, "opposed: " + gatewayHolds},
		},
		"a reviewer has captured, against our reject": {
			&activities.CaseDecision{Decision: accept, Captured: true}, reject, reject, canonical.OrderConfirmed, []string{"decided", "opposed: " + gatewayHolds},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.verdict = test.gateway
			w.fail["DecideCase"] = []error{passing()}
			env := environment(t, w)
			var first, second *answer
			env.RegisterDelayedCallback(func() { first = decide(env, workflows.Decision{Decision: test.first, Actor: "anna"}) }, time.Hour)
			env.RegisterDelayedCallback(func() {
				second = decide(env, workflows.Decision{Decision: test.second, Actor: "otto"})
			}, time.Hour+500*time.Millisecond)
			require.Equal(t, test.status, play(t, env, input()).Status)
			first.requireAccepted(t)
			second.requireAccepted(t)
			require.Equal(t, test.noted, w.noted())
			if test.gateway != nil {
				require.Equal(t, []string{"cybersource", ""}, []string{w.notes[0].Actor, w.notes[0].Comment})
				require.Equal(t, "anna", w.notes[1].Actor)
			}
		})
	}
}

func TestDecisionAfterTheReviewFindsNobody(t *testing.T) {
	w := heldWorld()
	w.fail["CapturePayment"] = []error{permanent(fault.Value)} // the order goes on for a while
	env := environment(t, w)
	var late *answer
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
	env.RegisterDelayedCallback(func() { late = decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "otto"}) }, 2*time.Hour)
	w.later(env, 3*time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
	require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
	require.True(t, late.done)
	require.ErrorContains(t, late.err, "already completed")
	require.Equal(t, []string{"decided"}, w.noted())
}

func TestDecisionWhileTheCaseStepIsParked(t *testing.T) {
	t.Run("after a person's", func(t *testing.T) {
		w := heldWorld()
		w.fail["DecideCase"] = []error{permanent(fault.Credentials)}
		env := environment(t, w)
		var late, resolved *answer
		answeredWhileParked := false
		env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
		env.RegisterDelayedCallback(func() { late = decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "otto"}) }, 2*time.Hour)
		env.RegisterDelayedCallback(func() { answeredWhileParked = late.done; resolved = w.resolveReview(env, workflows.ResolveRetry) }, 3*time.Hour)
		require.Equal(t, canonical.OrderConfirmed, play(t, env, input()).Status)
		resolved.requireAccepted(t)
		late.requireAccepted(t)
		require.True(t, answeredWhileParked, "the one who is late is told at once")
		require.Equal(t, []string{"decided", "opposed: " + firstHolds}, w.noted())
		require.Equal(t, []int{1, 2}, []int{w.decided[0].Attempt, w.decided[1].Attempt})
	})
	t.Run("after the gateway's, which is not proven yet", func(t *testing.T) {
		w := heldWorld()
		w.fail["DecideCase"] = []error{permanent(fault.Credentials)}
		env := environment(t, w)
		var person *answer
		env.RegisterDelayedCallback(func() { webhookSays(env, canonical.FraudAccept) }, time.Hour)
		env.RegisterDelayedCallback(func() { person = decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "otto"}) }, 2*time.Hour)
		env.RegisterDelayedCallback(func() {
			require.False(t, person.done, "what holds is not known yet")
			w.resolveReview(env, workflows.ResolveRetry)
		}, 3*time.Hour)
		require.Equal(t, canonical.OrderRejected, play(t, env, input()).Status, "the webhook was not true")
		person.requireAccepted(t)
		require.Equal(t, []string{"decided"}, w.noted())
		require.Equal(t, "otto", w.notes[0].Actor)
	})
	t.Run("a cancel wish", func(t *testing.T) {
		w := heldWorld()
		w.fail["DecideCase"] = []error{permanent(fault.Credentials)}
		env := environment(t, w)
		env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, time.Hour)
		env.RegisterDelayedCallback(func() { update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop"}) }, 2*time.Hour)
		require.Equal(t, canonical.OrderCancelled, play(t, env, input()).Status, "accepted, and cancelled before the capture")
		require.Equal(t, []string{"decided", "opposed: " + firstHolds}, w.noted())
		require.Zero(t, w.count("CapturePayment"))
		w.requireNothingLeft(t)
	})
}

func TestReviewCancelledIsWrittenDown(t *testing.T) {
	w := heldWorld()
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		update(env, workflows.UpdateCancel, workflows.CancelRequest{Actor: "shop", Reason: "too slow"})
	}, 5*time.Hour+time.Minute)
	require.Equal(t, canonical.OrderCancelled, play(t, env, reviewPolicy()).Status)
	require.Equal(t, []string{"reminded", "decided"}, w.noted())
	require.Equal(t, []string{"cancel", "shop", "order cancelled: too slow"}, []string{w.notes[1].Source, w.notes[1].Actor, w.notes[1].Comment})
	w.requireNothingLeft(t)
}

func TestRecordOfTheReviewIsInNobodysWay(t *testing.T) {
	w := heldWorld()
	w.fail["OpenReview"], w.fail["NoteReview"] = []error{permanent(fault.Bug)}, []error{permanent(fault.Bug), passing(), permanent(fault.Bug)}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, 6*time.Hour)
	require.Equal(t, canonical.OrderConfirmed, play(t, env, reviewPolicy()).Status)
}

func TestRejectMarksTheCustomer(t *testing.T) {
	tests := map[string]struct {
		failures []error
		answer   workflows.ResolutionKind
		attempts []int
		note     string
	}{
		"done":                  {nil, "", []int{1}, "marked"},
		"after an outage":       {[]error{passing(), passing()}, "", []int{1}, "marked"},
		"refused, then retried": {[]error{permanent(fault.Credentials)}, workflows.ResolveRetry, []int{2}, "marked"},
		"refused, then skipped": {[]error{permanent(fault.Credentials)}, workflows.ResolveSkip, nil, "unmarked"},
		"the deadline skips":    {[]error{permanent(fault.Credentials)}, "", nil, "unmarked"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.fail["MarkCustomer"] = test.failures
			env := environment(t, w)
			env.RegisterDelayedCallback(func() {
				decide(env, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna", Comment: "stolen", Mark: true})
			}, time.Hour)
			var given *reply
			if test.answer != "" {
				given = w.later(env, 2*time.Hour, workflows.Resolution{Kind: test.answer})
			}
			require.Equal(t, canonical.OrderRejected, play(t, env, input()).Status)
			if given != nil {
				given.requireAccepted(t)
				require.Equal(t, []string{"retry", "skip"}, w.parkings[0].Actions)
			}
			require.Equal(t, []string{"decided", test.note}, w.noted())
			require.Less(t, w.position("ReverseAuthorization"), w.position("MarkCustomer"), "the order does not wait for it")
			var attempts []int
			for _, marked := range w.marked {
				attempts = append(attempts, marked.Attempt)
				require.Equal(t, []string{"auth-1", "stolen", "anna"}, []string{marked.PaymentID, marked.Notes, marked.Actor})
			}
			require.Equal(t, test.attempts, attempts)
			w.requireNothingLeft(t)
		})
	}
}

func TestNobodyIsMarkedWithoutARejectThatHolds(t *testing.T) {
	for name, d := range map[string]struct {
		gateway  *activities.CaseDecision
		decision workflows.Decision
	}{
		"a reject without it":          {nil, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna"}},
		"an accept":                    {nil, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna", Mark: true}},
		"the gateway holds against it": {&activities.CaseDecision{Decision: canonical.FraudAccept}, workflows.Decision{Decision: canonical.FraudReject, Actor: "anna", Mark: true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.verdict = d.gateway
			env := environment(t, w)
			env.RegisterDelayedCallback(func() { decide(env, d.decision) }, time.Hour)
			play(t, env, input())
			require.Zero(t, w.count("MarkCustomer"))
		})
	}
}

// TestTimeOutOfAReviewAtEachStep: what never comes back keeps nobody from deciding.
func TestTimeOutOfAReviewAtEachStep(t *testing.T) {
	for _, step := range []string{"OpenReview", "NoteReview", "AskCase", "DecideCase"} {
		t.Run(step, func(t *testing.T) {
			w := heldWorld()
			w.fail[step] = []error{timedOut()}
			env := environment(t, w)
			env.RegisterDelayedCallback(func() { decide(env, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"}) }, 12*time.Hour)
			require.Equal(t, canonical.OrderConfirmed, play(t, env, reviewPolicy()).Status)
			require.Equal(t, map[bool]int{true: 1, false: 0}[step == "DecideCase"], w.count("ParkStep"))
		})
	}
}

// TestReviewThatIsCancelledFromOutsideEnds: its order then begins it anew, and nothing was decided in its name.
func TestReviewThatIsCancelledFromOutsideEnds(t *testing.T) {
	for name, prepare := range map[string]func(w *world, env *testsuite.TestWorkflowEnvironment){
		"while it waits": func(*world, *testsuite.TestWorkflowEnvironment) {},
		"while the case step is parked": func(w *world, env *testsuite.TestWorkflowEnvironment) {
			w.fail["DecideCase"] = []error{permanent(fault.Credentials)}
			env.RegisterDelayedCallback(func() {
				update(env, workflows.UpdateDecide, workflows.Decision{Decision: canonical.FraudAccept, Actor: "anna"})
			}, time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld()
			w.pay.AuthorizationID = "auth-1"
			env := environment(t, w)
			prepare(w, env)
			env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Hour)
			env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: reviewID})
			in := reviewPolicy()
			env.ExecuteWorkflow(workflows.FraudReview, workflows.ReviewInput{
				OrderID: "WEB-10001", Payment: canonical.Payment{AuthorizationID: "auth-1"}, Amount: canonical.NewMoney(amount("48.19"), "USD"),
				Deadline: in.Policy.ReviewDeadline, Default: in.Policy.ReviewDefault, Policy: in.Policy,
			})
			require.True(t, env.IsWorkflowCompleted())
			require.ErrorContains(t, env.GetWorkflowError(), "canceled")
			require.Empty(t, w.parked, "nothing is shown as waiting")
			require.Nil(t, w.verdict, "nothing was decided")
		})
	}
}

func TestCallbackThatIsCancelledEnds(t *testing.T) {
	for name, failure := range map[string]error{"while it is tried": passing(), "while it is parked": permanent(fault.Value)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			for range 200 {
				w.fail["DeliverCallback"] = append(w.fail["DeliverCallback"], failure)
			}
			env := environment(t, w)
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
			env.ExecuteWorkflow(workflows.Callback, workflows.CallbackTask{
				Message: activities.CallbackInput{OrderID: "WEB-10001", Event: "order.confirmed"}, Policy: input().Policy,
			})
			require.True(t, env.IsWorkflowCompleted())
			require.ErrorContains(t, env.GetWorkflowError(), "canceled")
			require.Empty(t, w.parked, "nothing is shown as waiting")
		})
	}
}
