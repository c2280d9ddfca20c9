package wiring

import (
	"context"

	"github.com/tenderline/tenderline/webhook"
)

// Check is a part of a process that may stop answering.
type Check = webhook.Check

// Checks are those of the parts that were made: journals and Temporal. Systems outside are none, since work for them can wait.
func (a *App) Checks() []Check {
	var checks []Check
	if a.store != nil {
		checks = append(checks, Check{Name: "journal", Do: a.store.Check})
	}
	if a.operations != nil && (a.store == nil || a.operations != a.store.Operations()) {
		checks = append(checks, Check{Name: "erp-journal", Do: a.operations.Check})
	}
	if a.connection != nil {
		checks = append(checks, Check{Name: "temporal", Do: func(ctx context.Context) error { return a.Ready(ctx) }})
	}
	return checks
}
