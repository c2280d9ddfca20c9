package wiring

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
	"github.com/tenderline/tenderline/mappings"
	"github.com/tenderline/tenderline/worker"
)

// Workers are the workers of the roles that the settings name.
func (a *App) Workers(ctx context.Context) (*worker.Workers, error) {
	connection, err := a.Temporal(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.Ready(ctx); err != nil {
		return nil, err
	}
	w := a.Config.Worker
	settings := worker.Config{
		Client: connection.Client, StopTimeout: w.StopTimeout, Logger: a.Log,
		MaxConcurrentActivities: w.MaxConcurrentActivities, MaxConcurrentWorkflows: w.MaxConcurrentWorkflows,
		GatewayPerSecond: a.Config.Cybersource.Outbound.ActivitiesPerSecond,
	}
	for _, role := range w.Roles {
		settings.Roles = append(settings.Roles, worker.Role(role))
	}
	parts := map[string]func(context.Context, *worker.Config) error{
		config.RoleWorkflows: a.workflowParts, config.RoleCybersource: a.gatewayParts, config.RoleErp: a.erpParts,
	}
	for _, role := range w.Roles {
		build, known := parts[role]
		if !known {
			return nil, fmt.Errorf("TENDERLINE_WORKER_ROLES: role %q is unknown", role)
		}
		if err := build(ctx, &settings); err != nil {
			return nil, fmt.Errorf("role %s: %w", role, err)
		}
	}
	return worker.New(settings)
}

// workflowParts are what workflows, own-database steps and callbacks need.
func (a *App) workflowParts(ctx context.Context, settings *worker.Config) error {
	store, err := a.Store(ctx)
	if err != nil {
		return err
	}
	set, err := a.Mappings()
	if err != nil {
		return err
	}
	settings.Orders = &activities.Orders{Mappings: set, Journal: store, Clock: time.Now}
	settings.Ledger = &activities.Ledger{Journal: store}
	settings.Changes = &activities.Changes{Journal: store, Clock: time.Now}
	settings.Settlements = a.settlements(settings.Settlements, store, set)
	settings.Callbacks = &activities.Callbacks{Client: a.shopClient(), Shop: a.shop, Journal: store, Clock: time.Now}
	return nil
}

// gatewayParts are what steps at Cybersource need.
func (a *App) gatewayParts(ctx context.Context, settings *worker.Config) error {
	if err := a.Config.Check(config.UseJournal, config.UseGateway); err != nil {
		return err
	}
	store, err := a.Store(ctx)
	if err != nil {
		return err
	}
	gateway, err := a.Gateway()
	if err != nil {
		return err
	}
	set, err := a.Mappings()
	if err != nil {
		return err
	}
	settings.Settlements = a.settlements(settings.Settlements, store, set)
	settings.Settlements.Reports = a.reports(gateway)
	g := a.Config.Cybersource
	settings.Payments = &activities.Payments{
		Gateway: gateway, Journal: store, Deployment: a.Config.Deployment, Merchant: g.MerchantID, GuardVerified: g.Guard == config.GuardVerified,
		Timing: activities.GatewayTiming{Settle: g.SettleWait, Budget: g.ResolveBudget, Lag: g.IndexLag}, Clock: time.Now,
	}
	return nil
}

// settlements are the steps of settlement days, made once for both roles that have some of them. Only the gateway's role reads reports.
func (a *App) settlements(made *activities.Settlements, store *journal.Store, set *mappings.Set) *activities.Settlements {
	if made != nil {
		return made
	}
	s := a.Config.Settlement
	return &activities.Settlements{
		Journal: store, Mappings: set, Wanted: wantedReports(s.Reports), Query: s.Query, Suffix: s.Suffix, Dir: s.Dir, Window: s.Window, Clock: time.Now,
		Rates: func() (settlement.RateSource, error) { return exchangeRates(s) }, Merchants: reportedMerchants(a.Config),
	}
}

// reportedMerchants are those whose rows are taken: the reports of an organization show all of its merchants, each of which settles its own.
func reportedMerchants(c config.Config) []string {
	if c.Settlement.Organization == "" {
		return nil
	}
	return []string{c.Cybersource.MerchantID, c.Settlement.Organization}
}

// exchangeRates are the fixed rates of the settings, or those of the file as it is now.
func exchangeRates(s config.Settlement) (settlement.RateSource, error) {
	if s.RatesFile == "" {
		return settlement.FixedRates(s.Rates), nil
	}
	file, err := os.Open(s.RatesFile)
	if err != nil {
		return nil, fmt.Errorf("TENDERLINE_SETTLEMENT_RATES_FILE: %w", err)
	}
	defer func() { _ = file.Close() }()
	return settlement.ReadRates(file)
}

// reports are the way to the gateway's reports: streams, past the transport of payments.
func (a *App) reports(gateway *cybersource.Client) *cybersource.Reports {
	return cybersource.NewReports(gateway, cybersource.ReportSettings{
		OrganizationID: a.Config.Settlement.Organization, NotReadyPause: a.Config.Settlement.ReportPause, Logger: a.Log, Observe: a.Metrics.Call,
	})
}

func wantedReports(settings config.Reports) []activities.WantedReport {
	wanted := make([]activities.WantedReport, 0, len(settings))
	for _, r := range settings {
		wanted = append(wanted, activities.WantedReport{
			Name: r.Name, Kind: report.Kind(r.Kind), Format: report.Format(r.Format), Needed: r.Needed, Signed: r.Signed,
		})
	}
	return wanted
}

// erpParts are what steps at the ERPs that this process serves need: no central database where the ERP operations have a journal of their own.
func (a *App) erpParts(ctx context.Context, settings *worker.Config) error {
	if err := a.Config.Check(config.UseErp); err != nil {
		return err
	}
	operations, err := a.ErpOperations(ctx)
	if err != nil {
		return err
	}
	set, err := a.Mappings()
	if err != nil {
		return err
	}
	for _, name := range a.Config.ServedERPs() {
		port, err := a.Erp(name)
		if err != nil {
			return err
		}
		if err := a.checkSite(ctx, name, port); err != nil {
			return err
		}
		own, _ := a.Config.ERPSettings(name)
		settings.Erps = append(settings.Erps, worker.Erp{
			Booking: &activities.Booking{
				Name: name, Port: port, Operations: operations, Mappings: set, Settle: a.Config.Cybersource.SettleWait, Clock: time.Now,
				Watched: own.Changes.StockCodes, Warehouse: own.Changes.Warehouse,
			},
			PerSecond: own.Outbound.ActivitiesPerSecond,
		})
	}
	return nil
}

// shop is where a channel's callbacks go.
func (a *App) shop(name string) (activities.Shop, error) {
	channel, known := a.Config.Channel(name)
	if !known {
		return activities.Shop{}, errors.New("the channel is not configured any more")
	}
	return activities.Shop{URL: channel.CallbackURL, Secret: channel.CallbackSecret.Reveal()}, nil
}

// shopClient is the way to the shops. It follows no redirect, which could lead a signed message elsewhere, and reaches no private
// address unless that is allowed.
func (a *App) shopClient() *http.Client {
	base := outboundBase(a.Config.Callback.Private)
	way := func() http.RoundTripper {
		return a.transport("shop", config.Outbound{}, a.Config.Callback.Timeout, base)
	}
	return &http.Client{
		Transport:     &byHost{way: way, ways: map[string]http.RoundTripper{}},
		Timeout:       a.Config.Callback.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// byHost gives each host a way of its own: one that is down must not open the breaker of another. Their number is that of the hosts in the settings.
type byHost struct {
	way func() http.RoundTripper

	mutex sync.Mutex
	ways  map[string]http.RoundTripper
}

func (b *byHost) RoundTrip(request *http.Request) (*http.Response, error) {
	return b.of(request.URL.Host).RoundTrip(request)
}

func (b *byHost) of(host string) http.RoundTripper {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	way, known := b.ways[host]
	if !known {
		way = b.way()
		b.ways[host] = way
	}
	return way
}

// Serves tells whether this process carries a role.
func (a *App) Serves(role string) bool { return slices.Contains(a.Config.Worker.Roles, role) }
