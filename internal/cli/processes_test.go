package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/sandbox/cybersource"
	"github.com/tenderline/tenderline/sandbox/syspro"
)

// Credentials of the sandboxes, which must not show anywhere.
const (
	gatewaySecret = "dGVuZGVybGluZS10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcw=="
	erpSecret     = "erp-client-secret-of-the-test"
)

// site is an installation: settings of every process, its database not yet made.
type site struct {
	env      map[string]string
	temporal *temporal
	gateway  *cybersource.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	gateway, err := cybersource.New(cybersource.Config{MerchantID: "test_merchant", KeyID: "test-key", SharedSecret: gatewaySecret})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, gateway.Close()) })
	gatewayServer := httptest.NewServer(gateway.Handler())
	t.Cleanup(gatewayServer.Close)
	facade, err := syspro.New(syspro.Config{ClientID: "test-client", ClientSecret: erpSecret, CompanyID: "A"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, facade.Close()) })
	facadeServer := httptest.NewServer(facade.Handler())
	t.Cleanup(facadeServer.Close)
	server := newTemporal(t)
	return &site{temporal: server, gateway: gateway, env: map[string]string{
		"TENDERLINE_DATABASE_DSN":              "sqlite:" + filepath.Join(t.TempDir(), "journal.db"),
		"TENDERLINE_ENCRYPTION_KEYS":           testKeys,
		"TENDERLINE_CYBERSOURCE_BASE_URL":      gatewayServer.URL,
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID":   "test_merchant",
		"TENDERLINE_CYBERSOURCE_KEY_ID":        "test-key",
		"TENDERLINE_CYBERSOURCE_SHARED_SECRET": gatewaySecret,
		"TENDERLINE_SYSPRO_BASE_URL":           facadeServer.URL,
		"TENDERLINE_SYSPRO_CLIENT_ID":          "test-client",
		"TENDERLINE_SYSPRO_CLIENT_SECRET":      erpSecret,
		"TENDERLINE_SYSPRO_COMPANY":            "A",
		"TENDERLINE_API_KEYS":                  "otto|operator||" + config.HashKey(operatorKey),
		"TENDERLINE_HTTP_ADDRESS":              "127.0.0.1:0",
		"TENDERLINE_METRICS_ADDRESS":           "127.0.0.1:0",
		"TENDERLINE_WORKER_STOP_TIMEOUT":       "1s",
		"TEMPORAL_ADDRESS":                     server.address,
	}}
}

// with is the environment with some variables changed.
func (s *site) with(pairs ...string) map[string]string {
	env := map[string]string{}
	for name, value := range s.env {
		env[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

func TestSetupPreparesEverythingAndMayBeRepeated(t *testing.T) {
	s := newSite(t)
	got := execute(t, s.env, "", "setup")
	require.Equal(t, ran{code: ExitOK, stdout: `PART               RESULT  DETAIL
central journal    ok      tables are up to date
search attributes  ok      namespace default got Erp, ErpOrderNumber, FraudDecision, NeedsAttention, OrderId, OrderStatus, PaymentStatus, SettlementDate
schedules          ok      settlement/test_merchant created, daily at 06:00 UTC; erp-changes/syspro created, every 1m
`}, got)

	got = execute(t, s.env, "", "setup", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.JSONEq(t, `[
		{"part":"central journal","result":"ok","detail":"tables are up to date"},
		{"part":"search attributes","result":"ok","detail":"namespace default had them all"},
		{"part":"schedules","result":"ok","detail":"settlement/test_merchant unchanged, daily at 06:00 UTC; erp-changes/syspro unchanged, every 1m"}]`, got.stdout)

	s.temporal.schedules["erp-changes/syspro"].GetState().Paused = true
	got = execute(t, s.with("TENDERLINE_SETTLEMENT_AT", "07:00", "TENDERLINE_SYSPRO_CHANGES_INTERVAL", "30s"), "", "setup")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "settlement/test_merchant updated, daily at 07:00 UTC; erp-changes/syspro updated, every 30s, paused")
	require.True(t, s.temporal.schedules["erp-changes/syspro"].GetState().GetPaused(), "what people paused stays paused")
	got = execute(t, s.with("TENDERLINE_SETTLEMENT_AT", "off", "TENDERLINE_SYSPRO_CHANGES_INTERVAL", "30s"), "", "setup")
	require.Contains(t, got.stdout, "erp-changes/syspro unchanged, every 30s, paused; settlement/test_merchant deleted")
}

func TestSetupBesideAnErpLeavesTheCentralJournalAlone(t *testing.T) {
	s := newSite(t)
	env := s.with("TENDERLINE_WORKER_ROLES", "erp", "TENDERLINE_DATABASE_DSN", "postgres://nobody@127.0.0.1:1/none",
		"TENDERLINE_DATABASE_ERP_DSN", "sqlite:"+filepath.Join(t.TempDir(), "erp.db"))
	got := execute(t, env, "", "setup")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "erp journal")
	require.NotContains(t, got.stdout, "central journal")
	require.NotContains(t, got.stdout, "schedules", "a host beside one ERP does not know them all")
	require.Empty(t, s.temporal.schedules)
}

func TestSetupDoesWhatItCan(t *testing.T) {
	s := newSite(t)
	got := execute(t, s.with("TEMPORAL_ADDRESS", "127.0.0.1:1"), "", "setup", "--timeout", "1m")
	require.Equal(t, ExitFailure, got.code)
	require.Regexp(t, `(?m)^central journal\s+ok`, got.stdout)
	require.Regexp(t, `(?m)^search attributes\s+failed`, got.stdout)
	require.Contains(t, got.stderr, "search attributes: connect to temporal at 127.0.0.1:1")
}

func TestProcessesRefuseToStart(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*testing.T, *site) map[string]string
		says    []string
	}{
		"without settings": {
			func(*testing.T, *site) map[string]string { return nil },
			[]string{"TENDERLINE_ENCRYPTION_KEYS is required", "tenderline setup"},
		},
		"with wrong settings": {
			func(_ *testing.T, s *site) map[string]string { return s.with("TENDERLINE_LOG_LEVEL", "loud") },
			[]string{"TENDERLINE_LOG_LEVEL must be"},
		},
		"without tables": {
			func(_ *testing.T, s *site) map[string]string { s.temporal.setUp(); return s.env },
			[]string{"journal is not set up", "tenderline setup"},
		},
		"without search attributes": {
			func(t *testing.T, s *site) map[string]string {
				t.Helper()
				require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
				delete(s.temporal.attributes, "OrderId")
				return s.env
			},
			[]string{"lacks the search attributes OrderId", "tenderline setup"},
		},
	} {
		for _, process := range []string{"worker", "webhook"} {
			t.Run(process+" "+name, func(t *testing.T) {
				s := newSite(t)
				got := execute(t, tc.prepare(t, s), "", process)
				require.Equal(t, ExitFailure, got.code, got.stderr)
				for _, text := range tc.says {
					require.Contains(t, got.stderr, text)
				}
			})
		}
	}
}

// start runs a process until the test stops it, and gives the address that its log tells under a name.
func start(t *testing.T, env map[string]string, process, message, field string) (address string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, Program{Args: []string{process}, Env: list(env), Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: writer})
		_ = writer.Close()
	}()
	found := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			var line map[string]any
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				t.Log(lines.Text())
				continue
			}
			if line["msg"] == message {
				found <- line[field].(string)
			}
		}
	}()
	stop = func() int {
		cancel()
		code := <-ended
		<-drained
		return code
	}
	t.Cleanup(cancel)
	select {
	case address = <-found:
	case code := <-ended:
		t.Fatalf("%s ended with %d", process, code)
	case <-time.After(time.Minute):
		t.Fatal(process + " does not start")
	}
	return address, stop
}

func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestAWorkerRunsTellsItsHealthAndStops(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	address, stop := start(t, s.env, "worker", "worker starts", "monitoring")

	code, body := get(t, address, "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"status":"ok"}`, body)
	code, body = get(t, address, "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"status":"ready","checks":{"journal":"ok","temporal":"ok"}}`, body)
	code, body = get(t, address, "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "# TYPE")

	s.temporal.mutex.Lock()
	delete(s.temporal.attributes, "OrderId")
	s.temporal.mutex.Unlock()
	code, body = get(t, address, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"status":"not ready","checks":{"journal":"ok","temporal":"failed"}}`, body)

	require.Equal(t, ExitOK, stop(), "a signal is the ordinary end")
}

func TestTheAPIRunsAndStops(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	address, stop := start(t, s.env, "webhook", "api listens", "address")

	code, body := get(t, address, "/readyz")
	require.Equal(t, http.StatusOK, code, body)
	got := execute(t, map[string]string{variableAPI: "http://" + address, variableAPIKey: operatorKey}, "", "order", "list")
	require.Equal(t, ran{code: ExitOK, stdout: "ORDER  STATUS  PAYMENT  TOTAL  ERP ORDER  ATTENTION  RECEIVED  CHANNEL\n"}, got)
	require.Equal(t, ExitOK, stop())
}

func TestABusyMonitoringPortIsNamed(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	busy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(busy.Close)
	got := execute(t, s.with("TENDERLINE_METRICS_ADDRESS", busy.Listener.Addr().String()), "", "worker")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, got.stderr, "TENDERLINE_METRICS_ADDRESS: listen tcp")
}
