package workflows

import (
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
	err = d.try(ctx, step{name: "callback", actions: []ResolutionKind{ResolveRetry, ResolveCompensate}}, func(ctx workflow.Context, _ int) error {
		return do(delivery(ctx, task.Policy, "Deliver "+task.Message.Event), callbackWork.DeliverCallback, task.Message)
	})
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}
