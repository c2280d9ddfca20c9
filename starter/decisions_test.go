package starter_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// TestADecisionThatIsRepeatedAfterItsReviewHasGoneIsTheOneThatHolds: whoever got no answer asks once more, by when the run may be gone with its updates.
// Their own decision is no late one.
func TestADecisionThatIsRepeatedAfterItsReviewHasGoneIsTheOneThatHolds(t *testing.T) {
	for name, test := range map[string]struct {
		decision workflows.Decision
		run      bool // the run is still kept
		late     bool
	}{
		"the same person, the run is gone":  {workflows.Decision{Decision: canonical.FraudAccept, Actor: "ann"}, false, false},
		"the same person, the run is kept":  {workflows.Decision{Decision: canonical.FraudAccept, Actor: "ann"}, true, false},
		"somebody else who says the same":   {workflows.Decision{Decision: canonical.FraudAccept, Actor: "bea"}, false, true},
		"the same person says the opposite": {workflows.Decision{Decision: canonical.FraudReject, Actor: "ann"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.accepted(t, canonical.OrderConfirmed)
			if test.run {
				w.engine.results["fraud-review/A"] = workflows.ReviewResult{Decision: canonical.FraudAccept, Actor: "ann"}
			}
			w.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) { return nil, serviceerror.NewNotFound("completed") }
			test.decision.Source = workflows.SourceAPI
			verdict, err := w.Decide(t.Context(), "A", test.decision)
			require.NoError(t, err)
			require.Equal(t, starter.Verdict{
				DecisionAnswer: workflows.DecisionAnswer{Decision: canonical.FraudAccept, Actor: "ann", Late: test.late},
				LateReject:     test.decision.Decision == canonical.FraudReject,
			}, verdict)
		})
	}
}
