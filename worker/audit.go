package worker

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// auditor keeps, for each activity, the outside calls it made: one write an activity, and none where it made no call.
type auditor struct {
	interceptor.WorkerInterceptorBase
	operations *journal.Operations
	log        *slog.Logger
}

// InterceptActivity puts the auditor around every activity.
func (a *auditor) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &auditedActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, auditor: a}
}

type auditedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	auditor *auditor
}

// ExecuteActivity runs the activity and writes down its calls, also those of a failed one.
func (a *auditedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	ctx, recorder := outbound.WithRecorder(ctx)
	result, err := a.Next.ExecuteActivity(ctx, in)
	a.auditor.keep(ctx, recorder.Calls())
	return result, err
}

// keep writes calls even where the activity's own time is up. A failed write is logged: the operation's own record says what was sent.
func (a *auditor) keep(ctx context.Context, calls []outbound.Call) {
	if len(calls) == 0 {
		return
	}
	orderID := orderOf(activity.GetInfo(ctx).WorkflowExecution.ID)
	rows := make([]journal.Call, 0, len(calls))
	for _, call := range calls {
		rows = append(rows, journal.Call{
			At: call.At, System: call.System, Method: call.Method, Route: call.Route, Status: call.Status, Duration: call.Duration,
			CorrelationID: call.CorrelationID, OperationKey: call.OperationKey, OrderID: orderID, Error: call.Error,
		})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.operations.RecordCalls(ctx, rows); err != nil {
		a.log.ErrorContext(ctx, "outside calls not audited", "order", orderID, "calls", len(rows), "error", err)
	}
}

// orderOf reads the order from a workflow's ID: <process>/<orderId>[/...].
func orderOf(workflowID string) string {
	_, rest, _ := strings.Cut(workflowID, "/")
	order, _, _ := strings.Cut(rest, "/")
	return order
}
