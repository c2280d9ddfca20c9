package workflows

import (
	"context"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
)

// gateway is the profile of a step at Cybersource: short tries (longer than the client's own deadline, so that the activity, not the
// server, says what became of the call), bounded in total, since the shop and the buyer wait. The activity
// itself asks the gateway what became of a lost answer, by retries with their own delay.
func gateway(ctx workflow.Context, policy Policy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueueCybersource,
		StartToCloseTimeout:    policy.StepTimeout,
		ScheduleToCloseTimeout: policy.GatewayPatience,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
		Summary:                summary,
	})
}

// booking is the profile of a step at an ERP: patient, because an ERP may be down overnight. A step may be several calls.
func booking(ctx workflow.Context, erp string, policy Policy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueueErp(erp),
		StartToCloseTimeout:    2 * policy.StepTimeout,
		ScheduleToCloseTimeout: policy.ErpPatience,
		WaitForCancellation:    true,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
		Summary:                summary,
	})
}

// question is the profile of a question that nothing depends on: it is given up soon, and asked again when it is due again.
func question(ctx workflow.Context, queue string, policy Policy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		StartToCloseTimeout:    policy.StepTimeout,
		ScheduleToCloseTimeout: 2 * policy.StepTimeout,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
		Summary:                summary,
	})
}

// reports is the profile of a settlement day's reports: waited for for hours, then worked on for long, with a heartbeat.
func reports(ctx workflow.Context, policy activities.SettlementPolicy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueueCybersource,
		StartToCloseTimeout:    policy.StepTimeout,
		ScheduleToCloseTimeout: policy.Patience,
		HeartbeatTimeout:       heartbeatOf(policy),
		WaitForCancellation:    true,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 10 * time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Minute},
		Summary:                summary,
	})
}

// Bounds of the heartbeat of a step that takes long.
const (
	longestHeartbeat  = time.Minute
	shortestHeartbeat = 2 * time.Second
)

// heartbeatOf is how long the step of the reports may be silent before its worker counts as lost: a quarter of what a try, or all tries
// together, may take, so that where both are short a lost worker is noticed while there is time for another try.
func heartbeatOf(policy activities.SettlementPolicy) time.Duration {
	heartbeat := longestHeartbeat
	for _, limit := range []time.Duration{policy.StepTimeout, policy.Patience} {
		if limit > 0 { // else there is none
			heartbeat = min(heartbeat, limit/4)
		}
	}
	return max(heartbeat, shortestHeartbeat)
}

// ledger is the profile of work on our own database: a local activity, retried until the database is back. The total limit must be said:
// without one the SDK takes that of a single try.
func ledger(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    10 * time.Second,
		ScheduleToCloseTimeout: 24 * time.Hour,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
		Summary:                summary,
	})
}

// delivery is the profile of a callback to the shop: tried for days, ever more slowly.
func delivery(ctx workflow.Context, policy Policy, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              TaskQueue,
		StartToCloseTimeout:    policy.StepTimeout,
		ScheduleToCloseTimeout: policy.CallbackFor,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Hour},
		Summary:                summary,
	})
}

// run calls an activity by its method value and gives its typed answer.
func run[I, O any](ctx workflow.Context, activity func(context.Context, I) (O, error), in I) (O, error) {
	var out O
	err := workflow.ExecuteActivity(ctx, activity, in).Get(ctx, &out)
	return out, err
}

// do calls an activity that has no answer.
func do[I any](ctx workflow.Context, activity func(context.Context, I) error, in I) error {
	return workflow.ExecuteActivity(ctx, activity, in).Get(ctx, nil)
}

// read calls a local activity by its method value and gives its typed answer.
func read[I, O any](ctx workflow.Context, activity func(context.Context, I) (O, error), in I) (O, error) {
	var out O
	err := workflow.ExecuteLocalActivity(ctx, activity, in).Get(ctx, &out)
	return out, err
}

// note calls a local activity that has no answer.
func note[I any](ctx workflow.Context, activity func(context.Context, I) error, in I) error {
	return workflow.ExecuteLocalActivity(ctx, activity, in).Get(ctx, nil)
}
