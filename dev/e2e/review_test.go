package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// TestReviewDecidedAtTheGateway has a reviewer decide in Decision Manager itself, with and without moving the money there: the webhook
// tells it, and what the reviewer did is adopted, not done again.
func TestReviewDecidedAtTheGateway(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	tests := map[string]struct {
		decision string
		actions  []string
		end      string
		kinds    map[string]int
	}{
		"accepted":              {"ACCEPT", nil, "confirmed", map[string]int{"auth": 1, "capture": 1}},
		"accepted and captured": {"ACCEPT", []string{"CAPTURE"}, "confirmed", map[string]int{"auth": 1, "capture": 1}},
		"rejected":              {"REJECT", nil, "rejected", map[string]int{"auth": 1, "reversal": 1}},
		"rejected and reversed": {"REJECT", []string{"REVERSE"}, "rejected", map[string]int{"auth": 1, "reversal": 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id := r.id()
			r.submit(t, r.order(t, id, buy{scenario: "review"}))
			r.inReview(t, id)
			r.post(t, r.Gateway+"/_sandbox/review", map[string]any{"reference": id, "decision": test.decision, "actionList": test.actions, "comments": "seen"})
			r.ended(t, id, test.end)
			require.Equal(t, test.kinds, r.kinds(t, id))
			r.told(t, id, "order.held", "order."+test.end)
		})
	}
}

// TestReviewerIsFasterThanTheAnswer: the answer to the authorization is lost, and before Tenderline looks it up the case is decided.
func TestReviewerIsFasterThanTheAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	for decision, end := range map[string]string{"ACCEPT": "confirmed", "REJECT": "rejected"} {
		t.Run(decision, func(t *testing.T) {
			id := r.id()
			const lookUps = "* /tss/v2/**" // wait until the case is decided
			require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_after", Times: 1}))
			require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: lookUps, Mode: "delay", DelayMs: world.Slowly}))
			r.submit(t, r.order(t, id, buy{scenario: "review"}))
			require.Eventually(t, func() bool { return r.kinds(t, id)["auth"] == 1 }, patience, 5*time.Millisecond)
			r.post(t, r.Gateway+"/_sandbox/review", map[string]any{"reference": id, "decision": decision})
			require.NoError(t, r.Release(t.Context(), r.Gateway, lookUps))
			r.ended(t, id, end)
			require.Equal(t, 1, r.kinds(t, id)["auth"])
		})
	}
}

// TestReviewDecidedBySignal decides as an engineer does in the Temporal UI: a signal by its name, in plain JSON.
func TestReviewDecidedBySignal(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	ui, err := client.DialContext(t.Context(), client.Options{HostPort: r.stack.Temporal.Addr()}) // no codec: sent in the clear
	require.NoError(t, err)
	t.Cleanup(ui.Close)
	for decision, end := range map[string]string{"accept": "confirmed", "reject": "rejected"} {
		t.Run(decision, func(t *testing.T) {
			id := r.id()
			r.submit(t, r.order(t, id, buy{scenario: "review"}))
			r.inReview(t, id)
			signal := func(body map[string]string) {
				require.NoError(t, ui.SignalWorkflow(t.Context(), workflows.FraudReviewWorkflowID(id), "", "fraud-decision", body))
			}
			signal(map[string]string{"decision": "perhaps"}) // ignored
			signal(map[string]string{"decision": decision, "actor": "somebody else"})
			r.ended(t, id, end)
			view, err := r.Order(t.Context(), id)
			require.NoError(t, err)
			require.Contains(t, timeline(view), "Fraud review: "+decision+" by "+workflows.UnverifiedActor)
		})
	}
}

// timeline is an order's story, a line an event.
func timeline(view world.OrderView) []string {
	var lines []string
	for _, event := range view.Timeline {
		lines = append(lines, event.Summary)
	}
	return lines
}

// TestHeldBeforeTheAuthorization: the bank was never asked; once accepted it is, without another screening, and once only.
func TestHeldBeforeTheAuthorization(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	tests := map[string]struct {
		end   string
		kinds map[string]int
	}{
		"accept": {"confirmed", map[string]int{"auth": 2, "capture": 1}},
		"reject": {"rejected", map[string]int{"auth": 1}},
	}
	for decision, test := range tests {
		t.Run(decision, func(t *testing.T) {
			id := r.id()
			r.submit(t, r.order(t, id, buy{scenario: "review_preauth"}))
			r.inReview(t, id)
			r.decide(t, id, decision)
			r.ended(t, id, test.end)
			require.Equal(t, test.kinds, r.kinds(t, id))
		})
	}
}
