// Command sandbox runs the stand-ins for the world outside: the Cybersource gateway, the SYSPRO facade, the database of
// Sage Pro with its people, and the shop, with one page that shows them side by side. It is for development and tests.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tenderline/tenderline/sandbox/cybersource"
	"github.com/tenderline/tenderline/sandbox/overview"
	"github.com/tenderline/tenderline/sandbox/sagepro"
	"github.com/tenderline/tenderline/sandbox/shop"
	"github.com/tenderline/tenderline/sandbox/syspro"
)

const shutdownTimeout = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

// settings are flags; each has an environment variable that gives its default.
type settings struct {
	gatewayAddr, erpAddr, shopAddr, sageproAddr string
	stateDir                                    string
	merchantID, keyID, keySecret                string
	clientID, clientSecret, apiKey              string
	sageproDialect, sageproDSN, sageproCompany  string
	shopSecret                                  string
	webhookURL, webhookKey                      string
}

// Credentials of the sandboxes. They open nothing but a stand-in; every one can be set.
const (
	sandboxMerchant = "tenderline_sandbox"
	sandboxKeyID    = "08c94330-f618-42a3-b09d-e1e43be5efda"
	sandboxClientID = "cyb-engine"
)

func sandboxSecret(purpose string) string {
	return base64.StdEncoding.EncodeToString([]byte("tenderline sandbox " + purpose + " secret 01"))
}

func parse(args []string, env func(string) string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	for _, f := range []struct {
		to                           *string
		name, variable, value, usage string
	}{
		{&s.gatewayAddr, "cybersource-addr", "SANDBOX_CYBERSOURCE_ADDR", "127.0.0.1:9101", "listen address of the gateway"},
		{&s.erpAddr, "syspro-addr", "SANDBOX_SYSPRO_ADDR", "127.0.0.1:9102", "listen address of the ERP facade"},
		{&s.shopAddr, "shop-addr", "SANDBOX_SHOP_ADDR", "127.0.0.1:9103", "listen address of the shop and the page"},
		{&s.sageproAddr, "sagepro-addr", "SANDBOX_SAGEPRO_ADDR", "127.0.0.1:9104", "listen address of the people at Sage Pro"},
		{&s.stateDir, "state-dir", "SANDBOX_STATE_DIR", "", "directory that keeps the ledgers; empty keeps them until it ends"},
		{&s.merchantID, "merchant-id", "SANDBOX_MERCHANT_ID", sandboxMerchant, "merchant at the gateway"},
		{&s.keyID, "key-id", "SANDBOX_KEY_ID", sandboxKeyID, "the merchant's shared-secret key ID"},
		{&s.keySecret, "key-secret", "SANDBOX_KEY_SECRET", sandboxSecret("gateway"), "the merchant's shared secret, base64"},
		{&s.clientID, "client-id", "SANDBOX_CLIENT_ID", sandboxClientID, "client of the ERP facade"},
		{&s.clientSecret, "client-secret", "SANDBOX_CLIENT_SECRET", "sandbox-client-secret", "the client's secret"},
		{&s.apiKey, "api-key", "SANDBOX_API_KEY", "sandbox-api-key", "API key of the ERP facade"},
		{&s.sageproDialect, "sagepro-dialect", "SANDBOX_SAGEPRO_DIALECT", "sqlite", "database of Sage Pro: sqlite or postgres"},
		{&s.sageproDSN, "sagepro-dsn", "SANDBOX_SAGEPRO_DSN", "", "where that database is; empty: the SQLite file sagepro.db in the state directory"},
		{&s.sageproCompany, "sagepro-company", "SANDBOX_SAGEPRO_COMPANY", "01", "company of Sage Pro"},
		{&s.webhookURL, "webhook-url", "SANDBOX_WEBHOOK_URL", "", "address that hears of fraud decisions; empty: nobody, unless a subscription is made"},
		{&s.webhookKey, "webhook-key", "SANDBOX_WEBHOOK_KEY", "", "keyId:base64 that signs what goes to the webhook address"},
		{&s.shopSecret, "shop-secret", "SANDBOX_SHOP_SECRET", "whsec_" + sandboxSecret("shop"), "signing secret of callbacks, whsec_..."},
	} {
		value := f.value
		if set := env(f.variable); set != "" {
			value = set
		}
		flags.StringVar(f.to, f.name, value, f.usage+" ($"+f.variable+")")
	}
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, nil
}

// webhook is the subscription that exists from the start, nil where none is set.
func (s *settings) webhook() (*cybersource.PresetWebhook, error) {
	if s.webhookURL == "" {
		return nil, nil
	}
	id, key, found := strings.Cut(s.webhookKey, ":")
	if !found || id == "" || key == "" {
		return nil, errors.New("webhook-key must be keyId:base64 where webhook-url is set")
	}
	return &cybersource.PresetWebhook{URL: s.webhookURL, KeyID: id, Key: key}, nil
}

func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) error {
	s, err := parse(args, env, stderr)
	if err != nil {
		return err
	}
	hook, err := s.webhook()
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	listeners, err := listen(ctx, s.gatewayAddr, s.erpAddr, s.shopAddr, s.sageproAddr)
	if err != nil {
		return err
	}
	at := addresses{gateway: url(listeners[0]), syspro: url(listeners[1]), shop: url(listeners[2]), sagepro: url(listeners[3])}
	handlers, end, err := s.start(ctx, at, hook, logger)
	if err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return errors.Join(err, end())
	}
	s.print(stdout, at)
	return errors.Join(serve(ctx, listeners, handlers), end())
}

// addresses are the roots of the sandboxes.
type addresses struct{ gateway, syspro, shop, sagepro string }

// start makes the sandboxes, and gives their handlers in the order of the listeners. end closes those that were made.
func (s *settings) start(ctx context.Context, at addresses, hook *cybersource.PresetWebhook, logger *slog.Logger) (_ []http.Handler, end func() error, err error) {
	var closers []func() error
	end = func() error {
		var problems []error
		for i := len(closers) - 1; i >= 0; i-- {
			problems = append(problems, closers[i]())
		}
		return errors.Join(problems...)
	}
	gateway, err := cybersource.New(cybersource.Config{
		MerchantID: s.merchantID, KeyID: s.keyID, SharedSecret: s.keySecret, StateDir: s.stateDir, Logger: logger, AllowHTTPWebhooks: true,
		Webhook: hook,
	})
	if err != nil {
		return nil, end, fmt.Errorf("start gateway: %w", err)
	}
	closers = append(closers, gateway.Close)
	facade, err := syspro.New(syspro.Config{
		ClientID: s.clientID, ClientSecret: s.clientSecret, APIKeys: []string{s.apiKey}, StateDir: s.stateDir, Logger: logger,
	})
	if err != nil {
		return nil, end, fmt.Errorf("start SYSPRO: %w", err)
	}
	closers = append(closers, facade.Close)
	forget, err := s.placeSagepro()
	if err != nil {
		return nil, end, fmt.Errorf("start Sage Pro: %w", err)
	}
	closers = append(closers, forget)
	tables, err := sagepro.New(ctx, sagepro.Config{Dialect: s.sageproDialect, DSN: s.sageproDSN, Company: s.sageproCompany, Logger: logger})
	if err != nil {
		return nil, end, fmt.Errorf("start Sage Pro: %w", err)
	}
	closers = append(closers, tables.Close)
	page := overview.Handler(overview.Sandboxes{
		Gateway: at.gateway, Shop: at.shop, ERPs: []overview.ERP{{Name: "SYSPRO", URL: at.syspro}, {Name: "Sage Pro", URL: at.sagepro}},
	}, nil)
	store, err := shop.New(shop.Config{Secret: s.shopSecret, StateDir: s.stateDir, Logger: logger, Page: page})
	if err != nil {
		return nil, end, fmt.Errorf("start shop: %w", err)
	}
	closers = append(closers, store.Close)
	return []http.Handler{gateway.Handler(), facade.Handler(), store.Handler(), tables.Handler()}, end, nil
}

// placeSagepro settles where the database of Sage Pro is, and gives what removes it where nobody wants it kept: it is a file in any case, since
// other processes open it.
func (s *settings) placeSagepro() (forget func() error, err error) {
	forget = func() error { return nil }
	if s.sageproDSN != "" || s.sageproDialect != "sqlite" {
		return forget, nil
	}
	dir := s.stateDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "sandbox-sagepro-"); err != nil {
			return forget, err
		}
		forget = func() error { return os.RemoveAll(dir) } //nolint:gosec // the directory was made just now
	} else if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // who runs the sandbox says where its state is
		return forget, err
	}
	s.sageproDSN = filepath.Join(dir, "sagepro.db")
	return forget, nil
}

func listen(ctx context.Context, addresses ...string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// url is where this machine reaches a listener, also one on all addresses.
func url(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "http://" + l.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// serve runs the servers until the context ends or one of them fails, then lets open requests finish.
func serve(ctx context.Context, listeners []net.Listener, handlers []http.Handler) error {
	failed := make(chan error, len(listeners))
	servers := make([]*http.Server, 0, len(listeners))
	for i, l := range listeners {
		server := &http.Server{
			Handler: handlers[i], ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
			IdleTimeout: 2 * time.Minute, // no write time-out: the delay fault holds answers for as long as it is told
		}
		servers = append(servers, server)
		go func() { failed <- server.Serve(l) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, server := range servers {
		if shutdown := server.Shutdown(stop); shutdown != nil {
			_ = server.Close() // whoever still waits waits for a fault
		}
	}
	return err
}

func (s *settings) print(w io.Writer, at addresses) {
	state := s.stateDir
	if state == "" {
		state = "until it ends"
	}
	database := s.sageproDSN
	if s.sageproDialect != "sqlite" {
		database = "PostgreSQL" // its address may hold a password
	}
	fmt.Fprint(w, strings.TrimLeft(fmt.Sprintf(`
Cybersource  %s
  merchant   %s
  key ID     %s
  secret     %s
SYSPRO       %s/APIServices
  client     %s
  secret     %s
  API key    %s
  company    A
Sage Pro     %s/_sandbox
  database   %s
  company    %s
Shop         %s/callbacks
  secret     %s
Side by side %s/
State        %s
`, at.gateway, s.merchantID, s.keyID, s.keySecret, at.syspro, s.clientID, s.clientSecret, s.apiKey, at.sagepro, database, s.sageproCompany,
		at.shop, s.shopSecret, at.shop, state), "\n"))
}
