package starter_test

import (
	"context"
	"encoding/json"
	"sync"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/workflows"
)

// engine plays Temporal.
type engine struct {
	mutex     sync.Mutex
	running   map[string]bool // or has run
	ended     map[string]bool
	starts    []string
	options   []client.StartWorkflowOptions
	workflows []any // what was started, beside starts
	inputs    []any
	startErr  error
	signal    error
	signals   []workflows.GatewayDecision
	news      []workflows.ChargebackNews
	newsTo    []string        // IDs of the processes that news went to
	gone      map[string]bool // processes that take no signals any more
	asked     chan struct{}   // closed by the first update
	updates   []client.UpdateWorkflowOptions
	onUpdate  func(client.UpdateWorkflowOptions) (any, error)
	results   map[string]any // of ended workflows
}

func (e *engine) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.startErr != nil {
		return nil, e.startErr
	}
	reusable := options.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE && e.ended[options.ID]
	if e.running[options.ID] && !reusable {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("started already", "", "")
	}
	e.running[options.ID] = true
	e.starts = append(e.starts, options.ID)
	e.options = append(e.options, options)
	e.workflows = append(e.workflows, workflow)
	e.inputs = append(e.inputs, args[0])
	return nil, nil
}

// UpdateWorkflow answers as the test says; else never, as a server whose workers are away.
func (e *engine) UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	e.mutex.Lock()
	e.updates = append(e.updates, options)
	answer := e.onUpdate
	e.mutex.Unlock()
	if answer != nil {
		value, err := answer(options)
		return handle{value: value, err: err}, nil
	}
	if e.asked != nil {
		close(e.asked)
	}
	<-ctx.Done()
	return nil, client.NewWorkflowUpdateServiceTimeoutOrCanceledError(ctx.Err())
}

func (e *engine) SignalWorkflow(_ context.Context, id, _, _ string, arg any) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.gone[id] {
		return serviceerror.NewNotFound("completed")
	}
	if e.signal != nil {
		return e.signal
	}
	if news, is := arg.(workflows.ChargebackNews); is {
		e.news, e.newsTo = append(e.news, news), append(e.newsTo, id)
		return nil
	}
	e.signals = append(e.signals, arg.(workflows.GatewayDecision))
	return nil
}

func (e *engine) GetWorkflow(_ context.Context, workflowID, _ string) client.WorkflowRun {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return ended{result: e.results[workflowID]}
}

// order is the input of the order that was started as the n-th.
func (e *engine) order(n int) workflows.OrderInput { return e.inputs[n].(workflows.OrderInput) }

// handle is an update's answer.
type handle struct {
	client.WorkflowUpdateHandle
	value any
	err   error
}

func (h handle) Get(_ context.Context, into any) error {
	if h.err != nil {
		return h.err
	}
	return assign(h.value, into)
}

// ended is a run with its result, or none.
type ended struct {
	client.WorkflowRun
	result any
}

func (r ended) Get(_ context.Context, into any) error {
	if r.result == nil {
		return serviceerror.NewNotFound("no run")
	}
	return assign(r.result, into)
}

func assign(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
