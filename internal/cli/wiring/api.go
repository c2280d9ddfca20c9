package wiring

import (
	"context"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/webhook"
)

// API is the HTTP API with its sweeper.
func (a *App) API(ctx context.Context) (*webhook.Server, error) {
	if err := a.Config.Check(config.UseJournal, config.UseAPI); err != nil {
		return nil, err
	}
	door, err := a.Starter(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.Ready(ctx); err != nil {
		return nil, err
	}
	deps, err := webhook.Configured(a.Config)
	if err != nil {
		return nil, err
	}
	deps.Starter, deps.Store, deps.Codec = door, a.store, engine.Codec(a.ring)
	deps.Checks = []webhook.Check{{Name: "journal", Do: a.store.Check}, {Name: "temporal", Do: a.Ready}}
	deps.Metrics, deps.Traces, deps.Logger = a.Metrics, a.traces, a.Log
	return webhook.New(deps)
}
