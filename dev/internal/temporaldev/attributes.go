package temporaldev

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
)

// namespaces lists what to register, each once, the default first.
func namespaces(cfg Config) []string {
	all := []string{DefaultNamespace}
	for _, name := range cfg.Namespaces {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// awaitNamespace polls until a call that needs the namespace (not its mere description) is served.
func awaitNamespace(ctx context.Context, service workflowservice.WorkflowServiceClient, namespace string) error {
	for {
		_, err := service.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: namespace, PageSize: 1,
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for temporal namespace %s: %w (last answer: %w)", namespace, ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ensureSearchAttributes adds what the namespace lacks. A new file has them all from the start; this is for files that
// were made before an attribute was added to the program.
func ensureSearchAttributes(ctx context.Context, c client.Client, namespace string, want map[string]enums.IndexedValueType) error {
	if len(want) == 0 {
		return nil
	}
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return fmt.Errorf("list search attributes of namespace %s: %w", namespace, err)
	}
	missing, err := missingAttributes(have.GetCustomAttributes(), want)
	if err != nil {
		return fmt.Errorf("search attributes of namespace %s: %w", namespace, err)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes to namespace %s: %w", namespace, err)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if err := awaitAttribute(ctx, c.WorkflowService(), namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// missingAttributes is want without have. The server itself takes a name that exists under another type for done.
func missingAttributes(have, want map[string]enums.IndexedValueType) (map[string]enums.IndexedValueType, error) {
	missing := map[string]enums.IndexedValueType{}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		registered, ok := have[name]
		switch {
		case !ok:
			missing[name] = want[name]
		case registered != want[name]:
			wrong = append(wrong, fmt.Sprintf("%s is registered as %s, not %s", name, registered, want[name]))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return missing, nil
}

// awaitAttribute polls until visibility queries know the name: the services see it with the next refresh of their cache.
func awaitAttribute(ctx context.Context, service workflowservice.WorkflowServiceClient, namespace, name string) error {
	for {
		_, err := service.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: namespace, Query: name + " IS NULL",
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for search attribute %s: %w (last answer: %w)", name, ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
