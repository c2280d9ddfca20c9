package workflows

import (
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
)

// CallbackTask starts Callback.
type CallbackTask struct {
	Message activities.CallbackInput `json:"message"`
	Policy  Policy                   `json:"policy"`
}

var callbackWork *activities.Callbacks

// Callback delivers one signed message to the shop, for days if it must; what can't be delivered then waits for a person. The shop
// may get a message twice (the same ID), never none.
func Callback(ctx workflow.Context, task CallbackTask) error {
	d, err := ownDesk(ctx, task.Message.OrderID)
	if err != nil {
		return err
	}
	err = d.try(ctx, step{name: "callback", actions: []ResolutionKind{ResolveRetry, ResolveSkip}}, func(ctx workflow.Context, _ int) error {
		return do(delivery(ctx, task.Policy, "Deliver "+task.Message.Event), callbackWork.DeliverCallback, task.Message)
	})
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// startCallback tells the shop, by a workflow of its own that outlives its parent. An earlier run may have told the same; the shop dedupes
// by ID, and so does Temporal.
func startCallback(ctx workflow.Context, logger log.Logger, policy Policy, message activities.CallbackInput) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        message.ID,
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     "Tell the shop: " + message.Event,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchOrderID.ValueSet(message.OrderID), SearchNeedsAttention.ValueSet(false)),
	})
	child := workflow.ExecuteChildWorkflow(ctx, Callback, CallbackTask{Message: message, Policy: policy})
	if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		logger.Error("callback not started", "event", message.Event, "error", err)
	}
}
