// Command sandbox runs the stand-ins for the world outside: the Cybersource gateway, the SYSPRO facade and the shop,
// with one page that shows them side by side. It is for development and tests.
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
	"strings"
	"syscall"
	"time"

	"github.com/tenderline/tenderline/sandbox/cybersource"
	"github.com/tenderline/tenderline/sandbox/overview"
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
	gatewayAddr, erpAddr, shopAddr string
	stateDir                       string
	merchantID, keyID, keySecret   string
	clientID, clientSecret, apiKey string
	shopSecret                     string
	webhookURL, webhookKey         string
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
		{&s.stateDir, "state-dir", "SANDBOX_STATE_DIR", "", "directory that keeps the ledgers; empty keeps them in memory"},
		{&s.merchantID, "merchant-id", "SANDBOX_MERCHANT_ID", sandboxMerchant, "merchant at the gateway"},
		{&s.keyID, "key-id", "SANDBOX_KEY_ID", sandboxKeyID, "the merchant's shared-secret key ID"},
		{&s.keySecret, "key-secret", "SANDBOX_KEY_SECRET", sandboxSecret("gateway"), "the merchant's shared secret, base64"},
		{&s.clientID, "client-id", "SANDBOX_CLIENT_ID", sandboxClientID, "client of the ERP facade"},
		{&s.clientSecret, "client-secret", "SANDBOX_CLIENT_SECRET", "sandbox-client-secret", "the client's secret"},
		{&s.apiKey, "api-key", "SANDBOX_API_KEY", "sandbox-api-key", "API key of the ERP facade"},
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
func (s settings) webhook() (*cybersource.PresetWebhook, error) {
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
	listeners, err := listen(ctx, s.gatewayAddr, s.erpAddr, s.shopAddr)
	if err != nil {
		return err
	}
	closeListeners := func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	gatewayURL, erpURL, shopURL := url(listeners[0]), url(listeners[1]), url(listeners[2])

	gateway, err := cybersource.New(cybersource.Config{
		MerchantID: s.merchantID, KeyID: s.keyID, SharedSecret: s.keySecret, StateDir: s.stateDir, Logger: logger, AllowHTTPWebhooks: true,
		Webhook: hook,
	})
	if err != nil {
		closeListeners()
		return fmt.Errorf("start gateway: %w", err)
	}
	erp, err := syspro.New(syspro.Config{
		ClientID: s.clientID, ClientSecret: s.clientSecret, APIKeys: []string{s.apiKey}, StateDir: s.stateDir, Logger: logger,
	})
	if err != nil {
		closeListeners()
		return errors.Join(fmt.Errorf("start ERP: %w", err), gateway.Close())
	}
	store, err := shop.New(shop.Config{
		Secret: s.shopSecret, StateDir: s.stateDir, Logger: logger, Page: overview.Handler(gatewayURL, erpURL, shopURL, nil),
	})
	if err != nil {
		closeListeners()
		return errors.Join(fmt.Errorf("start shop: %w", err), gateway.Close(), erp.Close())
	}
	s.print(stdout, gatewayURL, erpURL, shopURL)
	err = serve(ctx, listeners, []http.Handler{gateway.Handler(), erp.Handler(), store.Handler()})
	return errors.Join(err, gateway.Close(), erp.Close(), store.Close())
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

func (s settings) print(w io.Writer, gatewayURL, erpURL, shopURL string) {
	state := s.stateDir
	if state == "" {
		state = "in memory"
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
Shop         %s/callbacks
  secret     %s
Side by side %s/
State        %s
`, gatewayURL, s.merchantID, s.keyID, s.keySecret, erpURL, s.clientID, s.clientSecret, s.apiKey, shopURL, s.shopSecret, shopURL, state), "\n"))
}
