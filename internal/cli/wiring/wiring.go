// Package wiring puts a process together from its settings: clients, journals, workers, API. Each part is made when it is first asked
// for, so that a process needs only the settings of what it uses; Close ends what was made, last first.
package wiring

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/internal/outbound"
	"github.com/tenderline/tenderline/internal/telemetry"
	"github.com/tenderline/tenderline/mappings"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// App is one process under construction. It is not safe for concurrent use while its parts are made.
type App struct {
	Config  config.Config
	Log     *slog.Logger
	Metrics *telemetry.Metrics
	Engine  engine.Options // address and namespace, where they don't come from the SDK's own settings

	// OpenSagepro opens the database of Sage Pro, for programs that have its stand-in in their own process; nil opens what the settings name.
	OpenSagepro func(driver, dsn string) (*sql.DB, error)

	migrate    bool
	ring       *keyring.Ring
	store      *journal.Store
	operations *journal.Operations
	mappings   *mappings.Set
	connection *engine.Connection
	gateway    *cybersource.Client
	erps       map[string]erp.Port
	traces     *telemetry.Traces
	closers    []func() error
}

// New starts an assembly; it makes nothing yet.
func New(settings config.Config, log *slog.Logger) *App {
	return &App{Config: settings, Log: log, Metrics: telemetry.NewMetrics()}
}

// Migrating makes journals that are opened from now on be brought up to date, instead of refused.
func (a *App) Migrating() *App {
	a.migrate = true
	return a
}

// Close ends everything that was made.
func (a *App) Close() error {
	var problems []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		problems = append(problems, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(problems...)
}

func (a *App) closing(end func() error) { a.closers = append(a.closers, end) }

// Keyring is the ring that seals personal data in database and payloads.
func (a *App) Keyring() (*keyring.Ring, error) {
	if a.ring != nil {
		return a.ring, nil
	}
	var err error
	if a.ring, err = keyring.Parse(a.Config.Encryption.Keys.Reveal()); err != nil {
		return nil, fmt.Errorf("TENDERLINE_ENCRYPTION_KEYS: %w", err)
	}
	return a.ring, nil
}

// Store is the central journal.
func (a *App) Store(ctx context.Context) (*journal.Store, error) {
	if a.store != nil {
		return a.store, nil
	}
	options, err := a.journalOptions()
	if err != nil {
		return nil, err
	}
	if a.store, err = journal.Open(ctx, a.Config.Database.DSN.Reveal(), options); err != nil {
		return nil, err
	}
	a.closing(a.store.Close)
	return a.store, a.Metrics.Journal(a.store.Stats)
}

// ErpOperations is the journal of ERP operations: the central one, or its own beside an ERP on premises.
func (a *App) ErpOperations(ctx context.Context) (*journal.Operations, error) {
	if a.operations != nil {
		return a.operations, nil
	}
	if a.Config.Database.Erp() == a.Config.Database.DSN {
		store, err := a.Store(ctx)
		if err != nil {
			return nil, err
		}
		a.operations = store.Operations()
		return a.operations, nil
	}
	options, err := a.journalOptions()
	if err != nil {
		return nil, err
	}
	if a.operations, err = journal.OpenOperations(ctx, a.Config.Database.Erp().Reveal(), options); err != nil {
		return nil, err
	}
	a.closing(a.operations.Close)
	return a.operations, nil
}

func (a *App) journalOptions() (journal.Options, error) {
	ring, err := a.Keyring()
	return journal.Options{Keyring: ring, Logger: a.Log, Migrate: a.migrate, MaxConnections: a.Config.Database.MaxConnections}, err
}

// Mappings are the compiled mappings with the site's overlay.
func (a *App) Mappings() (*mappings.Set, error) {
	if a.mappings != nil {
		return a.mappings, nil
	}
	var err error
	a.mappings, err = mappings.Load(mappings.Options{OverlayDir: a.Config.Mappings.Dir})
	return a.mappings, err
}

// Temporal is the connection to the Temporal service.
func (a *App) Temporal(ctx context.Context) (*engine.Connection, error) {
	if a.connection != nil {
		return a.connection, nil
	}
	ring, err := a.Keyring()
	if err != nil {
		return nil, err
	}
	traces, err := a.Traces()
	if err != nil {
		return nil, err
	}
	tracing, err := traces.Interceptor()
	if err != nil {
		return nil, err
	}
	options := a.Engine
	options.Keyring, options.Logger, options.Metrics = ring, a.Log, a.Metrics.Temporal()
	options.Interceptors = append(options.Interceptors, tracing)
	if a.connection, err = engine.Dial(ctx, options); err != nil {
		return nil, err
	}
	a.closing(func() error { a.connection.Close(); return nil })
	return a.connection, nil
}

// Traces are the process's spans.
func (a *App) Traces() (*telemetry.Traces, error) {
	if a.traces != nil {
		return a.traces, nil
	}
	var err error
	a.traces, err = telemetry.NewTraces(telemetry.TraceOptions{Service: "tenderline", Endpoint: a.Config.Trace.Endpoint, Ratio: a.Config.Trace.Ratio})
	if err != nil {
		return nil, err
	}
	a.closing(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return a.traces.Shutdown(ctx)
	})
	return a.traces, nil
}

// Gateway is the Cybersource client.
func (a *App) Gateway() (*cybersource.Client, error) {
	if a.gateway != nil {
		return a.gateway, nil
	}
	g := a.Config.Cybersource
	settings := cybersource.Config{
		BaseURL: g.BaseURL, MerchantID: g.MerchantID, PortfolioID: g.PortfolioID, Auth: cybersource.Auth(g.Auth), KeyID: g.KeyID,
		SharedSecret: g.SharedSecret.Reveal(), P12Password: g.P12Password.Reveal(), Timeout: g.Timeout, Logger: a.Log,
		Transport: a.transport(cybersource.System, g.Outbound, g.Timeout, nil),
	}
	if g.P12File != "" {
		var err error
		if settings.P12, err = os.ReadFile(g.P12File); err != nil {
			return nil, fmt.Errorf("TENDERLINE_CYBERSOURCE_P12_FILE: %w", err)
		}
	}
	var err error
	a.gateway, err = cybersource.New(settings)
	return a.gateway, err
}

// transport is the way to one system outside.
func (a *App) transport(system string, o config.Outbound, timeout time.Duration, base http.RoundTripper) http.RoundTripper {
	way := a.way(system, o)
	way.Timeout, way.Base = timeout, base
	return outbound.Transport(way)
}

// way is what bounds and records the calls to a system outside, however it is reached.
func (a *App) way(system string, o config.Outbound) outbound.Config {
	return outbound.Config{
		System: system, Limit: rate.Limit(o.Rate), Burst: o.Burst, Logger: a.Log, Observe: a.Metrics.Call,
		Breaker: outbound.Breaker{FailureRatio: o.BreakerRatio, MinRequests: o.BreakerMinRequests, Window: o.BreakerWindow, OpenFor: o.BreakerOpenFor},
	}
}

// Ready refuses to go on with a Temporal server that lacks the search attributes.
func (a *App) Ready(ctx context.Context) error {
	connection, err := a.Temporal(ctx)
	if err != nil {
		return err
	}
	return engine.CheckSearchAttributes(ctx, connection, connection.Namespace, workflows.SearchAttributes())
}

// Starter is the door to Temporal.
func (a *App) Starter(ctx context.Context) (*starter.Starter, error) {
	connection, err := a.Temporal(ctx)
	if err != nil {
		return nil, err
	}
	store, err := a.Store(ctx)
	if err != nil {
		return nil, err
	}
	return starter.New(starter.Options{
		Engine: connection, Store: store, Channels: a.Config, OlderThan: a.Config.Sweep.OlderThan, InboxTries: a.Config.Sweep.InboxTries, Logger: a.Log,
	})
}

// ReconcileSchedules brings Temporal's schedules in line with the settings and tells what it did about each. The search attributes must be
// registered.
func (a *App) ReconcileSchedules(ctx context.Context) ([]starter.ScheduleChange, error) {
	connection, err := a.Temporal(ctx)
	if err != nil {
		return nil, err
	}
	return starter.ReconcileSchedules(ctx, connection.ScheduleClient(), starter.ScheduleSettings{Config: a.Config, Seal: a.ring.PrimaryID()})
}
