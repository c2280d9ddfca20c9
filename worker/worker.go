// Package worker registers workflows and activities with Temporal and runs them, by role: one process may carry all of them, or one
// role each, scaled on its own. An ERP's role needs a way to Temporal and to its ERP alone.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Role is a part of the work that a process carries.
type Role string

// The roles.
const (
	RoleWorkflows   Role = "workflows"   // workflows, own-database steps, callbacks
	RoleCybersource Role = "cybersource" // steps at the gateway
	RoleErp         Role = "erp"         // steps at the ERPs that this process has settings for
)

// Config says what a process runs. Parts that a role needs must be there; the others stay nil.
type Config struct {
	Client client.Client
	Roles  []Role

	Orders      *activities.Orders
	Ledger      *activities.Ledger
	Callbacks   *activities.Callbacks
	Changes     *activities.Changes
	Settlements *activities.Settlements // of both roles: its reports come from the gateway, its records go to the central database
	Payments    *activities.Payments
	Erps        []Erp

	GatewayPerSecond float64 // steps at the gateway per second over all workers; 0: no limit
	StopTimeout      time.Duration
	Logger           *slog.Logger

	MaxConcurrentActivities int // per task queue; 0: the SDK's default
	MaxConcurrentWorkflows  int
}

// Erp is one ERP that a process works at: the queue erp-<name> is its own, so that an outage or a limit of one holds up no other.
type Erp struct {
	Booking   *activities.Booking
	PerSecond float64 // steps at this ERP per second over all workers; 0: no limit
}

// Workers are the running workers of one process.
type Workers struct {
	stopTimeout time.Duration
	workers     []worker.Worker
	fatal       chan error
}

// New builds the workers of the roles; it starts nothing.
func New(config Config) (*Workers, error) {
	w := &Workers{stopTimeout: config.StopTimeout, fatal: make(chan error, 1)}
	if w.stopTimeout == 0 {
		w.stopTimeout = time.Minute
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	var problems []error
	for _, role := range config.Roles {
		problems = append(problems, w.add(config, role))
	}
	if len(w.workers) == 0 {
		problems = append(problems, errors.New("no role is set: workflows, cybersource or erp"))
	}
	return w, errors.Join(problems...)
}

func (w *Workers) add(config Config, role Role) error {
	switch role {
	case RoleWorkflows:
		return w.addWorkflows(config)
	case RoleCybersource:
		return w.addGateway(config)
	case RoleErp:
		return w.addErps(config)
	default:
		return fmt.Errorf("role %q is unknown: workflows, cybersource or erp", role)
	}
}

func (w *Workers) addWorkflows(config Config) error {
	if config.Orders == nil || config.Ledger == nil || config.Callbacks == nil || config.Changes == nil || config.Settlements == nil {
		return errors.New("role workflows needs the central database and the shops' settings")
	}
	queue := w.queue(config, workflows.TaskQueue, worker.Options{}, config.Ledger.Journal.Operations())
	Register(queue)
	queue.RegisterActivity(config.Orders)
	queue.RegisterActivity(config.Ledger)
	queue.RegisterActivity(config.Callbacks)
	queue.RegisterActivity(config.Changes)
	queue.RegisterActivity(config.Settlements)
	return nil
}

// Register registers every workflow under the name of its function. Replay tests use it too.
func Register(registry worker.WorkflowRegistry) {
	for _, process := range []any{
		workflows.OrderToCash, workflows.FraudReview, workflows.LateReject, workflows.Refund, workflows.Callback,
		workflows.SettlementTick, workflows.DailySettlement, workflows.ShowPaid,
		workflows.ErpChanges, workflows.CreditMemo, workflows.Shipment, workflows.Chargeback,
	} {
		registry.RegisterWorkflowWithOptions(process, workflow.RegisterOptions{})
	}
}

func (w *Workers) addGateway(config Config) error {
	if config.Payments == nil || config.Settlements == nil {
		return errors.New("role cybersource needs the gateway's settings and the central database")
	}
	options := worker.Options{DisableWorkflowWorker: true, TaskQueueActivitiesPerSecond: config.GatewayPerSecond}
	queue := w.queue(config, workflows.TaskQueueCybersource, options, config.Payments.Journal.Operations())
	queue.RegisterActivity(config.Payments)
	queue.RegisterActivity(config.Settlements)
	return nil
}

func (w *Workers) addErps(config Config) error {
	if len(config.Erps) == 0 {
		return errors.New("role erp needs the settings of at least one ERP")
	}
	for _, erp := range config.Erps {
		options := worker.Options{DisableWorkflowWorker: true, TaskQueueActivitiesPerSecond: erp.PerSecond}
		w.queue(config, workflows.TaskQueueErp(erp.Booking.Name), options, erp.Booking.Operations).RegisterActivity(erp.Booking)
	}
	return nil
}

// queue adds a worker of one task queue, whose outside calls are audited in the operations journal that belongs to it.
func (w *Workers) queue(config Config, name string, options worker.Options, audit *journal.Operations) worker.Worker {
	options.WorkerStopTimeout = w.stopTimeout
	options.MaxConcurrentActivityExecutionSize = config.MaxConcurrentActivities
	options.MaxConcurrentLocalActivityExecutionSize = config.MaxConcurrentActivities
	options.MaxConcurrentWorkflowTaskExecutionSize = config.MaxConcurrentWorkflows
	// Runs that begin are polled for beside those that go on: two pollers, the SDK's default, leave new ones waiting while others have much to do.
	options.WorkflowTaskPollerBehavior = worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	options.ActivityTaskPollerBehavior = worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	options.Interceptors = []interceptor.WorkerInterceptor{&auditor{operations: audit, log: config.Logger}}
	options.OnFatalError = func(err error) {
		select {
		case w.fatal <- fmt.Errorf("worker of queue %q: %w", name, err):
		default:
		}
	}
	added := worker.New(config.Client, name, options)
	w.workers = append(w.workers, added)
	return added
}

// Run starts the workers and runs them until the context ends or one of them fails for good. It returns once running steps have ended or
// the stop time-out is over.
func (w *Workers) Run(ctx context.Context) error {
	for i, started := range w.workers {
		if err := started.Start(); err != nil {
			w.stop(i)
			return fmt.Errorf("start worker: %w", err)
		}
	}
	defer w.stop(len(w.workers))
	select {
	case <-ctx.Done():
		return nil
	case err := <-w.fatal:
		return err
	}
}

// stop stops the first n workers side by side: each may take the stop time-out.
func (w *Workers) stop(n int) {
	done := make(chan struct{})
	for _, running := range w.workers[:n] {
		go func() {
			running.Stop()
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
}
