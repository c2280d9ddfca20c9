package workflows

import "go.temporal.io/sdk/workflow"

// Every change of a released process stands behind one predicate here, named after what the run does since the change; a run that began
// before it keeps its old course, also when it is replayed. What a policy of the run's input switches (a zero value is the old course)
// needs none.

// keepsReview tells that a review writes a record of itself for the people who decide.
func keepsReview(ctx workflow.Context) bool { return since(ctx, "review-record") }

// suggestsFixes tells that a step that parks asks the outside system what may mend it.
func suggestsFixes(ctx workflow.Context) bool { return since(ctx, "suggested-fixes") }

// dropsDeclinedOrders tells that an order that is declined after its review cancels the sales order that was held for it.
func dropsDeclinedOrders(ctx workflow.Context) bool { return since(ctx, "declined-after-review") }

func since(ctx workflow.Context, change string) bool {
	return workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) >= 1
}
