package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// NotSetUpError tells what a server lacks.
type NotSetUpError struct {
	Namespace string
	Missing   []string // search attributes
}

// Error names the command that mends it.
func (e *NotSetUpError) Error() string {
	return fmt.Sprintf("temporal namespace %s lacks the search attributes %s; run `tenderline setup`",
		e.Namespace, strings.Join(e.Missing, ", "))
}

// CheckSearchAttributes refuses a namespace that lacks some of the search attributes: *NotSetUpError. Workers and the API ask before
// they start, since a run that uses an unknown attribute would hang.
func CheckSearchAttributes(ctx context.Context, c client.Client, namespace string, want []temporal.SearchAttributeKey) error {
	missing, err := MissingSearchAttributes(ctx, c, namespace, want)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &NotSetUpError{Namespace: namespace, Missing: missing}
	}
	return nil
}

// MissingSearchAttributes names those that a namespace lacks, sorted. One that exists with another type is an error: it can't be mended
// without losing what is there.
func MissingSearchAttributes(ctx context.Context, c client.Client, namespace string, want []temporal.SearchAttributeKey) ([]string, error) {
	missing, err := missingAttributes(ctx, c, namespace, want)
	return slices.Sorted(maps.Keys(missing)), err
}

// EnsureSearchAttributes adds what a namespace lacks, waits until the server knows it, and names what it added.
func EnsureSearchAttributes(ctx context.Context, c client.Client, namespace string, want []temporal.SearchAttributeKey) ([]string, error) {
	missing, err := missingAttributes(ctx, c, namespace, want)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if err != nil {
		return nil, fmt.Errorf("add search attributes to namespace %s: %w", namespace, err)
	}
	names := slices.Sorted(maps.Keys(missing))
	for _, name := range names {
		if err := awaitAttribute(ctx, c, namespace, name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func missingAttributes(ctx context.Context, c client.Client, namespace string, want []temporal.SearchAttributeKey) (map[string]enums.IndexedValueType, error) {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes of namespace %s: %w", namespace, err)
	}
	missing := map[string]enums.IndexedValueType{}
	var wrong []string
	for _, key := range want {
		registered, found := have.GetCustomAttributes()[key.GetName()]
		switch {
		case !found:
			missing[key.GetName()] = key.GetValueType()
		case registered != key.GetValueType():
			wrong = append(wrong, fmt.Sprintf("%s is registered as %s, not %s", key.GetName(), registered, key.GetValueType()))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("search attributes of namespace %s: %s", namespace, strings.Join(wrong, "; "))
	}
	return missing, nil
}

// attributePoll is the pause between two questions whether the server knows an attribute.
const attributePoll = 100 * time.Millisecond

// awaitAttribute waits until queries know the name: the server's services see it with the next refresh of their cache.
func awaitAttribute(ctx context.Context, c client.Client, namespace, name string) error {
	for {
		_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: name + " IS NULL",
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for search attribute %s: %w (last answer: %w)", name, ctx.Err(), err)
		case <-time.After(attributePoll):
		}
	}
}
