package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	enumspb "go.temporal.io/api/enums/v1"
)

// noOpQueue is where nothing is done.
const noOpQueue = "bench-no-op"

// step is one activity of a plan.
type step string

const (
	stepActivity step = "activity"
	stepLocal    step = "local activity"
)

// plan is the sequence of an order's activities, read from its history. The child that tells the shop has one activity and comes last.
type plan struct {
	Steps []step
	Child bool
}

// startNoOp runs a worker of its own: the engine and the SDK as they come, without codec, interceptors or limits of ours.
func (b *bench) startNoOp() (stop func(), err error) {
	w := worker.New(b.plain, noOpQueue, worker.Options{
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	w.RegisterWorkflowWithOptions(noOp, workflow.RegisterOptions{Name: "NoOp"})
	w.RegisterWorkflowWithOptions(noOpChild, workflow.RegisterOptions{Name: "NoOpChild"})
	w.RegisterActivity(nothing)
	return w.Stop, w.Start()
}

// nothing is an activity that does nothing.
func nothing(context.Context) error { return nil }

// noOp carries out a plan of nothings.
func noOp(ctx workflow.Context, p plan) error {
	ctx = idle(ctx)
	for _, s := range p.Steps {
		run := workflow.ExecuteActivity
		if s == stepLocal {
			run = workflow.ExecuteLocalActivity
		}
		if err := run(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	if !p.Child {
		return nil
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: childOf(workflow.GetInfo(ctx).WorkflowExecution.ID), ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
	})
	return workflow.ExecuteChildWorkflow(ctx, noOpChild).GetChildWorkflowExecution().Get(ctx, nil)
}

// noOpChild has one activity, as the callback to the shop.
func noOpChild(ctx workflow.Context) error {
	ctx = idle(ctx)
	return workflow.ExecuteActivity(ctx, nothing).Get(ctx, nil)
}

func idle(ctx workflow.Context) workflow.Context {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
}

func childOf(id string) string { return id + "/child" }

// noOps gives the load of workflows that do nothing, by the plan.
func (b *bench) noOps(p plan) func(context.Context, int, int) (load, error) {
	return func(ctx context.Context, count, concurrency int) (load, error) {
		first := b.serial
		b.serial += count
		return repeat(ctx, count, concurrency, func(ctx context.Context, i int) error {
			id := fmt.Sprintf("no-op/%06d", first+i)
			run, err := b.plain.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: noOpQueue}, noOp, p)
			if err != nil {
				return err
			}
			if err := run.Get(ctx, nil); err != nil || !p.Child {
				return err
			}
			return b.plain.GetWorkflow(ctx, childOf(id), "").Get(ctx, nil)
		})
	}
}
