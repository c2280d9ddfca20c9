package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/cli/wiring"
	"github.com/tenderline/tenderline/internal/config"
)

func (p *Program) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run workflows and their steps, by role",
		Long: `Runs the roles of TENDERLINE_WORKER_ROLES: workflows, cybersource, erp. Any number of workers may run at once.

It refuses to start where settings are missing, or where database or Temporal were not prepared by ` + "`tenderline setup`" + `.
/healthz, /readyz and /metrics are served on TENDERLINE_METRICS_ADDRESS. SIGINT and SIGTERM let running steps end first.`,
		Example: `  tenderline worker
  TENDERLINE_WORKER_ROLES=erp tenderline worker      # beside an ERP on premises`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.serve(cmd.Context(), workerUses, runWorker)
		},
	}
}

func (p *Program) webhookCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "webhook",
		Aliases: []string{"api"},
		Short:   "Run the HTTP API, the webhook intake and the sweeper",
		Long: `Serves the API on TENDERLINE_HTTP_ADDRESS and /metrics on TENDERLINE_METRICS_ADDRESS. Any number of them may run at once.

It refuses to start where settings are missing, or where database or Temporal were not prepared by ` + "`tenderline setup`" + `.
SIGINT and SIGTERM let requests under way end first.`,
		Example: `  tenderline webhook
  TENDERLINE_HTTP_ADDRESS=127.0.0.1:8080 tenderline webhook`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.serve(cmd.Context(), func(config.Config) []config.Use { return []config.Use{config.UseJournal, config.UseAPI} }, runWebhook)
		},
	}
}

// serve runs a process until the context ends, once its settings are complete.
func (p *Program) serve(ctx context.Context, uses func(config.Config) []config.Use, run func(context.Context, *wiring.App) error) (err error) {
	settings, err := p.settings()
	if err == nil {
		err = settings.Check(uses(settings)...)
	}
	if err != nil {
		return fmt.Errorf("%w\nsettings are incomplete; `tenderline config` explains each of them, `tenderline setup` prepares the rest", err)
	}
	app, err := p.app(settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	err = run(ctx, app)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a stop while it was starting
	}
	return err
}

// workerUses are the settings that a worker's roles need. All of them need the keys that open payloads.
func workerUses(settings config.Config) []config.Use {
	uses := []config.Use{config.UseJournal}
	for _, role := range settings.Worker.Roles {
		switch role {
		case config.RoleCybersource:
			uses = append(uses, config.UseGateway)
		case config.RoleErp:
			uses = append(uses, config.UseErp)
		}
	}
	return uses
}

func runWorker(ctx context.Context, app *wiring.App) error {
	workers, err := app.Workers(ctx)
	if err != nil {
		return err
	}
	parts := []func(context.Context) error{workers.Run}
	if app.Serves(config.RoleWorkflows) {
		alerts, err := app.Alerts(ctx)
		if err != nil {
			return err
		}
		parts = append(parts, func(ctx context.Context) error { return alerts.Run(ctx, app.Config.Alerts.Interval) })
	}
	health, err := listen(ctx, app.Config.Metrics.Address, app.Checks(), app.Metrics.Handler(), app.Log)
	if err != nil {
		return err
	}
	app.Log.InfoContext(ctx, "worker starts", "roles", app.Config.Worker.Roles, "monitoring", health.address())
	return together(ctx, append(parts, health.run)...)
}

func runWebhook(ctx context.Context, app *wiring.App) error {
	api, err := app.API(ctx)
	if err != nil {
		return err
	}
	return together(ctx, api.Run, func(ctx context.Context) error {
		api.RunSweeper(ctx, app.Config.Sweep.Interval)
		return nil
	})
}

// together runs parts of a process side by side: when one ends, all do.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			defer cancel()
			ended <- part(ctx)
		}()
	}
	var failed []error
	for range parts {
		failed = append(failed, <-ended)
	}
	return errors.Join(failed...)
}
