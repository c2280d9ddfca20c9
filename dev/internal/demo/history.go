package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/tenderline/tenderline/dev/internal/temporaldev"
)

// history reads what Temporal keeps, as it keeps it: this client has no codec.
type history struct {
	client client.Client
}

func openHistory(ctx context.Context, address string) (*history, error) {
	c, err := client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: temporaldev.DefaultNamespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to temporal: %w", err)
	}
	return &history{client: c}, nil
}

func (h *history) close() { h.client.Close() }

// Started tells whether a workflow was ever started.
func (h *history) Started(ctx context.Context, workflowID string) (bool, error) {
	_, err := h.client.DescribeWorkflowExecution(ctx, workflowID, "")
	if missing := (*serviceerror.NotFound)(nil); errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}

// Signal sends a signal as the UI's button does: its body in plain JSON.
func (h *history) Signal(ctx context.Context, workflowID, name string, body any) error {
	if err := h.client.SignalWorkflow(ctx, workflowID, "", name, body); err != nil {
		return fmt.Errorf("signal %s: %w", workflowID, err)
	}
	return nil
}

// Wait waits until a workflow has ended.
func (h *history) Wait(ctx context.Context, workflowID string) error {
	if err := h.client.GetWorkflow(ctx, workflowID, "").Get(ctx, nil); err != nil {
		return fmt.Errorf("wait for %s: %w", workflowID, err)
	}
	return nil
}

// input is the first payload of a workflow's history: its input.
func (h *history) input(ctx context.Context, workflowID string) (*commonpb.Payload, error) {
	events := h.client.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return nil, fmt.Errorf("workflow %s has no history", workflowID)
	}
	first, err := events.Next()
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", workflowID, err)
	}
	payloads := first.GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	if len(payloads) == 0 {
		return nil, fmt.Errorf("workflow %s was started without input", workflowID)
	}
	return payloads[0], nil
}
