// Package stack runs everything in one process: Temporal with its UI, the sandboxes, workers and API, on loopback, with state in a
// folder. It is what `make run`, the samples, the end-to-end tests and the benchmarks stand on.
package stack

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/temporaldev"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/cli/wiring"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/workflows"

	gatewaysandbox "github.com/tenderline/tenderline/sandbox/cybersource"
	"github.com/tenderline/tenderline/sandbox/overview"
	"github.com/tenderline/tenderline/sandbox/sagepro"
	"github.com/tenderline/tenderline/sandbox/shop"
	erpsandbox "github.com/tenderline/tenderline/sandbox/syspro"
)

// Ports are where the parts listen.
type Ports struct {
	Temporal, UI, API, Metrics, Gateway, ERP, Shop, Sagepro int
}

// DefaultPorts are the fixed ones, moved by an offset.
func DefaultPorts(offset int) Ports {
	return Ports{
		Temporal: 7233 + offset, UI: 8233 + offset, API: 8080 + offset, Metrics: 9090 + offset,
		Gateway: 9101 + offset, ERP: 9102 + offset, Shop: 9103 + offset, Sagepro: 9104 + offset,
	}
}

// ERPs are those that run, each with its sandbox.
func (p Ports) ERPs() []world.ERP {
	return []world.ERP{world.Syspro(p.url(p.ERP)), world.Sagepro(p.url(p.Sagepro))}
}

// FreePorts are ports that nobody listens on, for tests.
func FreePorts() (Ports, error) {
	free, err := ports.Free("127.0.0.1", 8)
	if err != nil {
		return Ports{}, err
	}
	return Ports{
		Temporal: free[0], UI: free[1], API: free[2], Metrics: free[3], Gateway: free[4], ERP: free[5], Shop: free[6], Sagepro: free[7],
	}, nil
}

// Options of a stack.
type Options struct {
	Dir       string // keeps all state; empty: in memory, except the journal and Sage Pro's database, which are then in TempDir
	TempDir   string // for what must be a file although Dir is empty
	Ports     Ports
	NoUI      bool
	NoWorkers bool              // tests run workers as processes of their own
	Env       map[string]string // settings over the embedded ones
	Logger    *slog.Logger
	Gateway   func(*gatewaysandbox.Config) // changes the gateway sandbox, for tests
}

// Stack is everything, running.
type Stack struct {
	options  Options
	Settings config.Config
	Env      map[string]string // the settings, as a worker process of its own needs them
	App      *wiring.App
	Temporal *temporaldev.Server
	Gateway  *gatewaysandbox.Server
	ERP      *erpsandbox.Server
	Sagepro  *sagepro.Server

	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan error
	closers []func()
}

// The fixed keys of the embedded run. They open nothing but this machine's loopback.
const (
	KeyShop     = "dev-shop"
	KeyAnalyst  = "dev-analyst"
	KeyOperator = "dev-operator"
	KeyFinance  = "dev-finance"

	// ErpKeyID names the key by which changes are signed that the ERP's side pushes; PushKey is that key.
	ErpKeyID = "erp-1"

	// Merchant is the gateway account.
	Merchant = "tenderline_sandbox"

	gatewayKeyID = "08c94330-f618-42a3-b09d-e1e43be5efda"
	webhookKeyID = "0b4f7a55-0000-4000-8000-00000000aa01"
	erpClient    = "tenderline"
)

func secret(purpose string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "embedded %-23.23s", purpose))
}

// PushKey is the key, base64, of changes that the ERP's side pushes.
func PushKey() string { return secret("pushed changes") }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (p Ports) url(port int) string { return "http://" + loopback(port) }

// APIURL is where the API answers.
func (s *Stack) APIURL() string { return s.options.Ports.url(s.options.Ports.API) }

// GatewayURL is where the gateway's sandbox answers.
func (s *Stack) GatewayURL() string { return s.options.Ports.url(s.options.Ports.Gateway) }

// ShopURL is where the shop's sandbox answers, and the page that shows the three side by side.
func (s *Stack) ShopURL() string { return s.options.Ports.url(s.options.Ports.Shop) }

// clientTimeout is longer than the API works at a request, so that its callers hear that it gives one up.
const clientTimeout = 40 * time.Second

// World is the stack as it looks from outside, seen from the ERP of channels that name none.
func (s *Stack) World() *world.World {
	w := &world.World{
		API: s.APIURL(), Gateway: s.GatewayURL(), Shop: s.ShopURL(), ERPs: s.options.Ports.ERPs(), Client: &http.Client{Timeout: clientTimeout},
	}
	for _, erp := range w.ERPs {
		if erp.Name == s.Settings.ERP {
			w.ERP = erp
		}
	}
	return w
}

// env are the embedded settings: sandboxes as the world outside, waits shortened so that a person sees what happens. Time-outs are not: on a slow machine
// a slow answer must not count as lost.
func (o Options) env() map[string]string {
	values := map[string]string{
		"TENDERLINE_DEPLOYMENT":                       "embedded",
		"TENDERLINE_DATABASE_DSN":                     "sqlite:" + filepath.Join(o.dataDir(), "journal.db"),
		"TENDERLINE_ENCRYPTION_KEYS":                  "embedded:" + secret("encryption"),
		"TENDERLINE_HTTP_ADDRESS":                     loopback(o.Ports.API),
		"TENDERLINE_METRICS_ADDRESS":                  loopback(o.Ports.Metrics),
		"TENDERLINE_CODEC_ORIGINS":                    "http://127.0.0.1:" + strconv.Itoa(o.Ports.UI) + ",http://localhost:" + strconv.Itoa(o.Ports.UI),
		"TENDERLINE_CODEC_OPEN":                       "true",
		"TENDERLINE_API_KEYS":                         embeddedKeys(),
		"TENDERLINE_CYBERSOURCE_BASE_URL":             o.Ports.url(o.Ports.Gateway),
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID":          Merchant,
		"TENDERLINE_CYBERSOURCE_KEY_ID":               gatewayKeyID,
		"TENDERLINE_CYBERSOURCE_SHARED_SECRET":        secret("gateway"),
		"TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD": "verified",
		"TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS":         webhookKeyID + ":" + secret("webhook"),
		"TENDERLINE_CYBERSOURCE_TIMEOUT":              "15s",
		"TENDERLINE_CYBERSOURCE_SETTLE_WAIT":          "4s",
		"TENDERLINE_CYBERSOURCE_INDEX_LAG":            "1s",
		"TENDERLINE_CYBERSOURCE_RESOLVE_BUDGET":       "24s",
		"TENDERLINE_CYBERSOURCE_RATE":                 "0",
		"TENDERLINE_CYBERSOURCE_BREAKER_OPEN_FOR":     "2s",
		"TENDERLINE_SYSPRO_BASE_URL":                  o.Ports.url(o.Ports.ERP),
		"TENDERLINE_SYSPRO_CLIENT_ID":                 erpClient,
		"TENDERLINE_SYSPRO_CLIENT_SECRET":             secret("erp"),
		"TENDERLINE_SYSPRO_COMPANY":                   "A",
		"TENDERLINE_SYSPRO_TIMEOUT":                   "15s",
		"TENDERLINE_SYSPRO_RATE":                      "0",
		"TENDERLINE_SYSPRO_BREAKER_OPEN_FOR":          "2s",
		"TENDERLINE_SAGEPRO_DIALECT":                  "sqlite",
		"TENDERLINE_SAGEPRO_DSN":                      o.sageproFile(),
		"TENDERLINE_SAGEPRO_LOCATION":                 "N",
		"TENDERLINE_SAGEPRO_TIMEOUT":                  "15s",
		"TENDERLINE_SAGEPRO_BUSY_PAUSE":               "1s",
		"TENDERLINE_SAGEPRO_RATE":                     "0",
		"TENDERLINE_SAGEPRO_BREAKER_OPEN_FOR":         "2s",
		"TENDERLINE_SAGEPRO_CHANGES_INTERVAL":         "3s",
		"TENDERLINE_SAGEPRO_CHANGES_WEBHOOK_KEYS":     ErpKeyID + ":" + secret("pushed changes"),
		"TENDERLINE_CALLBACK_URL":                     o.Ports.url(o.Ports.Shop) + "/callbacks",
		"TENDERLINE_CALLBACK_SECRET":                  "whsec_" + secret("callback"),
		"TENDERLINE_CALLBACK_ALLOW_PRIVATE":           "true",
		"TENDERLINE_POLICY_UNTRUSTED_SIGNAL":          "true",
		"TENDERLINE_POLICY_PAYMENT_WAIT":              "5m",
		"TENDERLINE_POLICY_STEP_TIMEOUT":              "20s",
		"TENDERLINE_POLICY_GATEWAY_PATIENCE":          "2m",
		"TENDERLINE_SYSPRO_CHANGES_INTERVAL":          "3s",
		"TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS":      ErpKeyID + ":" + secret("pushed changes"),
		"TENDERLINE_SETTLEMENT_REPORT_PAUSE":          "1s",
		"TENDERLINE_SETTLEMENT_PATIENCE":              "5m",
		"TENDERLINE_SETTLEMENT_STEP_TIMEOUT":          "30s",
		"TENDERLINE_ALERTS_INTERVAL":                  "1s",
		"TENDERLINE_SWEEP_INTERVAL":                   "1s",
		"TENDERLINE_SWEEP_INBOX_TRIES":                "4", // a quarter of a minute
		"TENDERLINE_CALLBACK_TIMEOUT":                 "15s",
		"TENDERLINE_HTTP_RATE":                        "0",
		"TENDERLINE_LOG_FORMAT":                       "text",
	}
	for name, value := range o.Env {
		values[name] = value
	}
	return values
}

// sageproFile is the database of Sage Pro: a file in any case, which its people and Tenderline both open.
func (o Options) sageproFile() string { return filepath.Join(o.dataDir(), "sagepro.db") }

func (o Options) dataDir() string {
	if o.Dir != "" {
		return o.Dir
	}
	return o.TempDir
}

func embeddedKeys() string {
	text := ""
	for _, key := range []struct{ value, roles string }{
		{KeyShop, "shop"}, {KeyAnalyst, "analyst"}, {KeyOperator, "operator+analyst"}, {KeyFinance, "finance"},
	} {
		if text != "" {
			text += ","
		}
		text += key.value + "|" + key.roles + "|*|" + config.HashKey(key.value)
	}
	return text
}

// Start starts everything and returns once it takes orders.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if err := options.checkPorts(); err != nil {
		return nil, err
	}
	s := &Stack{options: options, Env: options.env(), failed: make(chan error, 8)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.Settings, err = config.Load(config.Map(s.Env)); err != nil {
		return nil, err
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	// Temporal first: it locks the folder, so that a second stack on the same state touches nothing of it.
	if err := s.startTemporal(ctx); err != nil {
		return nil, err
	}
	if err := s.startSandboxes(ctx); err != nil {
		return nil, err
	}
	if err := s.startTenderline(ctx); err != nil {
		return nil, err
	}
	return s, s.awaitReady(ctx)
}

// checkPorts names every busy port at once.
func (o Options) checkPorts() error {
	p := o.Ports
	wanted := []int{p.Temporal, p.API, p.Metrics, p.Gateway, p.ERP, p.Shop, p.Sagepro}
	if !o.NoUI {
		wanted = append(wanted, p.UI)
	}
	addresses := make([]string, 0, len(wanted))
	for _, port := range wanted {
		addresses = append(addresses, loopback(port))
	}
	return ports.CheckAll(addresses...)
}

// startSandboxes starts the world outside.
func (s *Stack) startSandboxes(ctx context.Context) error {
	o := s.options
	gatewayConfig := gatewaysandbox.Config{
		MerchantID: Merchant, KeyID: gatewayKeyID, SharedSecret: secret("gateway"), StateDir: o.Dir, SearchLag: 500 * time.Millisecond,
		DetailsLag: 500 * time.Millisecond, AllowHTTPWebhooks: true, RetryUnit: time.Second, Logger: o.Logger,
		MultiCapture: true, // orders captured per shipment need an account that allows it
		Webhook:      &gatewaysandbox.PresetWebhook{URL: o.Ports.url(o.Ports.API) + "/webhooks/cybersource", KeyID: webhookKeyID, Key: secret("webhook")},
	}
	if o.Gateway != nil {
		o.Gateway(&gatewayConfig)
	}
	var err error
	if s.Gateway, err = gatewaysandbox.New(gatewayConfig); err != nil {
		return fmt.Errorf("gateway sandbox: %w", err)
	}
	s.closing(func() { _ = s.Gateway.Close() })
	s.ERP, err = erpsandbox.New(erpsandbox.Config{StateDir: o.Dir, ClientID: erpClient, ClientSecret: secret("erp"), CompanyID: "A", Logger: o.Logger})
	if err != nil {
		return fmt.Errorf("sandbox of SYSPRO: %w", err)
	}
	s.closing(func() { _ = s.ERP.Close() })
	s.Sagepro, err = sagepro.New(ctx, sagepro.Config{Dialect: "sqlite", DSN: o.sageproFile(), Logger: o.Logger})
	if err != nil {
		return fmt.Errorf("sandbox of Sage Pro: %w", err)
	}
	s.closing(func() { _ = s.Sagepro.Close() })
	shopServer, err := shop.New(shop.Config{StateDir: o.Dir, Secret: "whsec_" + secret("callback"), Logger: o.Logger, Page: s.overview()})
	if err != nil {
		return fmt.Errorf("shop sandbox: %w", err)
	}
	s.closing(func() { _ = shopServer.Close() })
	return errors.Join(
		s.serve(ctx, o.Ports.Gateway, s.Gateway.Handler()),
		s.serve(ctx, o.Ports.ERP, s.ERP.Handler()),
		s.serve(ctx, o.Ports.Shop, shopServer.Handler()),
		s.serve(ctx, o.Ports.Sagepro, s.Sagepro.Handler()),
	)
}

// overview is the page that shows all of them side by side.
func (s *Stack) overview() http.Handler {
	sandboxes := overview.Sandboxes{Gateway: s.GatewayURL(), Shop: s.ShopURL()}
	for _, erp := range s.options.Ports.ERPs() {
		sandboxes.ERPs = append(sandboxes.ERPs, overview.ERP{Name: erp.Title, URL: erp.URL})
	}
	return overview.Handler(sandboxes, &http.Client{Timeout: 5 * time.Second})
}

// serve answers on a loopback port until the stack stops.
func (s *Stack) serve(ctx context.Context, port int, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug)}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("serve port %d: %w", port, err))
		}
	}()
	s.closing(func() { _ = server.Close() })
	return nil
}

// startTemporal starts the server with its UI, which shows payloads through our codec.
func (s *Stack) startTemporal(ctx context.Context) error {
	o := s.options
	attributes := map[string]enums.IndexedValueType{}
	for _, key := range workflows.SearchAttributes() {
		attributes[key.GetName()] = key.GetValueType()
	}
	settings := temporaldev.Config{
		FrontendAddr: loopback(o.Ports.Temporal), CodecEndpoint: o.Ports.url(o.Ports.API) + "/codec", SearchAttributes: attributes,
	}
	if o.Dir != "" {
		settings.Dir = filepath.Join(o.Dir, "temporal")
	}
	if !o.NoUI {
		settings.UIAddr = loopback(o.Ports.UI)
	}
	var err error
	if s.Temporal, err = temporaldev.Start(ctx, settings); err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	s.closing(s.Temporal.Stop)
	return nil
}

// startTenderline starts workers and API as the binary would, on the embedded settings.
func (s *Stack) startTenderline(ctx context.Context) error {
	s.App = wiring.New(s.Settings, s.options.Logger).Migrating()
	s.App.OpenSagepro = func(string, string) (*sql.DB, error) { return sql.OpenDB(s.Sagepro.Connector()), nil } // whose connections can be broken
	s.App.Engine = engine.Options{Address: s.Temporal.Addr(), Namespace: temporaldev.DefaultNamespace}
	s.closing(func() { _ = s.App.Close() })
	api, err := s.App.API(ctx)
	if err != nil {
		return err
	}
	s.run(ctx, "api", api.Run)
	s.run(ctx, "sweeper", func(ctx context.Context) error {
		api.RunSweeper(ctx, s.Settings.Sweep.Interval)
		return nil
	})
	if _, err := s.App.ReconcileSchedules(ctx); err != nil {
		return fmt.Errorf("schedules: %w", err)
	}
	if s.options.NoWorkers {
		return nil
	}
	workers, err := s.App.Workers(ctx)
	if err != nil {
		return err
	}
	s.run(ctx, "workers", workers.Run)
	alerts, err := s.App.Alerts(ctx)
	if err != nil {
		return err
	}
	s.run(ctx, "alerts", func(ctx context.Context) error { return alerts.Run(ctx, s.Settings.Alerts.Interval) })
	return nil
}

// run keeps a part running until the stack stops.
func (s *Stack) run(ctx context.Context, name string, part func(context.Context) error) {
	s.running.Add(1)
	stopped := make(chan struct{})
	partCtx, stop := context.WithCancel(ctx)
	go func() {
		defer s.running.Done()
		defer close(stopped)
		if err := part(partCtx); err != nil && partCtx.Err() == nil {
			s.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	s.closing(func() { stop(); <-stopped })
}

func (s *Stack) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed gives the failure of a part that ended by itself.
func (s *Stack) Failed() <-chan error { return s.failed }

func (s *Stack) closing(end func()) { s.closers = append(s.closers, end) }

// startPatience is how long the parts may take until they take orders; slow machines take most of a minute.
const startPatience = 3 * time.Minute

// awaitReady waits until /readyz says that the stack takes orders.
func (s *Stack) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ready(ctx, s.APIURL()+"/readyz") {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the API did not become ready within " + startPatience.String())
		case err := <-s.failed:
			return err
		case <-ticker.C:
		}
	}
}

func ready(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// Stop ends everything, last started first.
func (s *Stack) Stop() error {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
	if s.cancel != nil {
		s.cancel()
	}
	s.running.Wait()
	return nil
}
