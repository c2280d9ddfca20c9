package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/cli/wiring"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/workflows"
)

// setupStep is a line of what setup did.
type setupStep struct {
	Part   string   `json:"part"`
	Result string   `json:"result"` // "ok" or "failed"
	Detail string   `json:"detail"`
	SQL    []string `json:"sql,omitempty"` // what somebody with the right to it runs instead
}

func (p *Program) setupCommand() *cobra.Command {
	var out output
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Prepare database and Temporal: tables, search attributes, schedules",
		Long: `Brings the journals' tables up to date, registers the search attributes with Temporal, and reconciles the schedules.
It is safe to repeat; run it once per release, before workers and API start.

Where an ERP is a database, the tables that Tenderline keeps beside the ERP's own are made there, if the login may; else the statements are
printed for whoever may. That needs the settings of the ERP, and TENDERLINE_WORKER_ROLES with erp.

Where TENDERLINE_WORKER_ROLES is erp alone and TENDERLINE_DATABASE_ERP_DSN names a journal of its own, only that journal is
prepared: a worker beside an ERP has no way to the central database.`,
		Example: `  tenderline setup
  tenderline setup -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := out.check(); err != nil {
				return err
			}
			settings, err := p.settings()
			if err == nil {
				err = settings.Check(config.UseJournal)
			}
			if err != nil {
				return err
			}
			app := p.quietApp(settings).Migrating()
			defer func() { err = errors.Join(err, app.Close()) }()
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			steps, failed := setUp(ctx, app)
			err = out.write(cmd.OutOrStdout(), steps, func(t *table) {
				t.row("PART", "RESULT", "DETAIL")
				for _, s := range steps {
					t.row(s.Part, s.Result, s.Detail)
				}
				for _, s := range steps {
					t.statements(s)
				}
			})
			return errors.Join(failed, err)
		},
	}
	out.flag(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 6*time.Minute, "for all of it, waiting for others who migrate included")
	return cmd
}

// setUp does every part, also when one before has failed.
func setUp(ctx context.Context, app *wiring.App) ([]setupStep, error) {
	parts := []struct {
		name string
		do   func(context.Context, *wiring.App) (string, error)
		skip bool
	}{
		{"central journal", migrateCentral, !servesCentral(app.Config)},
		{"erp journal", migrateErp, app.Config.Database.Erp() == app.Config.Database.DSN},
		{"search attributes", registerAttributes, false},
		{"schedules", reconcileSchedules, !servesCentral(app.Config)}, // a host beside an ERP does not know them all
	}
	var steps []setupStep
	var failed []error
	done := func(step setupStep, err error) {
		if err != nil {
			step.Result, step.Detail = resultFailed, "see the error"
			failed = append(failed, fmt.Errorf("%s: %w", step.Part, err))
		}
		steps = append(steps, step)
	}
	for _, part := range parts {
		if !part.skip {
			detail, err := part.do(ctx, app)
			done(setupStep{Part: part.name, Result: resultOK, Detail: detail}, err)
		}
	}
	for _, name := range erpsToPrepare(app) {
		kept, statements, err := app.MakeSideTables(ctx, name)
		if !kept && err == nil {
			continue
		}
		done(setupStep{Part: "erp " + name, Result: resultOK, Detail: "tables beside the ERP's own are there", SQL: statements}, err)
	}
	return steps, errors.Join(failed...)
}

// erpsToPrepare are the ERPs that this host works at and has the settings of.
func erpsToPrepare(app *wiring.App) []string {
	if !slices.Contains(app.Config.Worker.Roles, config.RoleErp) {
		return nil
	}
	return slices.DeleteFunc(app.Config.ServedERPs(), func(name string) bool {
		return app.Config.CheckERPs(name) != nil
	})
}

// statements prints what somebody else has to run.
func (t *table) statements(step setupStep) {
	if len(step.SQL) == 0 {
		return
	}
	t.section("For whoever may make tables at " + step.Part + ":")
	for _, statement := range step.SQL {
		t.row(statement + ";")
	}
}

// servesCentral tells whether this host has to do with the central journal: all but a worker of role erp with a journal of its own.
func servesCentral(settings config.Config) bool {
	roles := settings.Worker.Roles
	return len(roles) != 1 || roles[0] != config.RoleErp || settings.Database.Erp() == settings.Database.DSN
}

func migrateCentral(ctx context.Context, app *wiring.App) (string, error) {
	_, err := app.Store(ctx)
	return "tables are up to date", err
}

func migrateErp(ctx context.Context, app *wiring.App) (string, error) {
	_, err := app.ErpOperations(ctx)
	return "tables are up to date", err
}

func registerAttributes(ctx context.Context, app *wiring.App) (string, error) {
	connection, err := app.Temporal(ctx)
	if err != nil {
		return "", err
	}
	added, err := engine.EnsureSearchAttributes(ctx, connection, connection.Namespace, workflows.SearchAttributes())
	if err != nil {
		return "", err
	}
	if len(added) == 0 {
		return "namespace " + connection.Namespace + " had them all", nil
	}
	return "namespace " + connection.Namespace + " got " + strings.Join(added, ", "), nil
}

// reconcileSchedules brings Temporal's schedules in line with the settings.
func reconcileSchedules(ctx context.Context, app *wiring.App) (string, error) {
	changes, err := app.ReconcileSchedules(ctx)
	if len(changes) == 0 {
		return "none: the settings ask for none", err
	}
	lines := make([]string, 0, len(changes))
	for _, change := range changes {
		line := change.ID + " " + string(change.Result)
		if change.When != "" {
			line += ", " + change.When
		}
		if change.Paused {
			line += ", paused"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; "), err
}
