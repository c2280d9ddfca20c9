package wiring

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

func TestWhatIsMadeLastIsClosedFirst(t *testing.T) {
	app := New(config.Config{}, slog.New(slog.DiscardHandler))
	var closed []string
	app.closing(func() error { closed = append(closed, "journal"); return errors.New("journal stuck") })
	app.closing(func() error { closed = append(closed, "temporal"); return nil })
	require.ErrorContains(t, app.Close(), "journal stuck")
	require.Equal(t, []string{"temporal", "journal"}, closed)
	require.NoError(t, app.Close(), "a second close has nothing to do")
	require.Len(t, closed, 2)
}

func TestCallbacksReachPublicAddressesOnly(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(inner.Close)
	for private, allowed := range map[bool]bool{true: true, false: false} {
		client := &http.Client{Transport: outboundBase(private)}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, inner.URL, http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if !allowed {
			require.ErrorContains(t, err, "is not public; TENDERLINE_CALLBACK_ALLOW_PRIVATE allows it")
			continue
		}
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	for address, public := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "10.1.2.3:443": false, "192.168.0.1:80": false, "172.16.0.1:80": false,
		"169.254.169.254:80": false, "127.0.0.1:80": false, "[::1]:80": false, "[fd00::1]:80": false, "[::ffff:10.0.0.1]:80": false,
		"0.0.0.0:80": false, "[fe80::1]:80": false, "224.0.0.1:80": false, "localhost:80": false,
		"100.64.0.1:443": false, "[64:ff9b::a00:1]:443": false, "[2002:a00:1::]:443": false,
	} {
		require.Equal(t, public, publicOnly("tcp", address, nil) == nil, address)
	}
}

// TestEveryKnownERPHasAnAdapterAndMappings: what config knows must be there to work with.
func TestEveryKnownERPHasAnAdapterAndMappings(t *testing.T) {
	app := New(config.Config{}, slog.New(slog.DiscardHandler))
	set, err := app.Mappings()
	require.NoError(t, err)
	adapters := app.adapters()
	require.Equal(t, config.KnownERPs(), slices.Sorted(maps.Keys(adapters)))
	for name, adapter := range adapters {
		require.NotNil(t, adapter, name)
		for _, document := range []string{"customer", "sales_order", "invoice", "receipt", "deposit", "credit_memo"} {
			require.Contains(t, set.Names(), name+"/"+document)
		}
	}
	_, err = app.Erp("sap")
	require.EqualError(t, err, `ERP "sap" is unknown`)
}

// TestEachErpHasItsOwnBreakerAndLimit: what one ERP does to its breaker, or to its limit, is nothing to another.
func TestEachErpHasItsOwnBreakerAndLimit(t *testing.T) {
	facade := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(facade.Close)
	for name, test := range map[string]struct {
		settings map[string]string
		code     string // of the second call to Sage Pro
	}{
		"breaker": {map[string]string{"TENDERLINE_SAGEPRO_BREAKER_MIN_REQUESTS": "1"}, outbound.CodeBreakerOpen},
		"limit":   {map[string]string{"TENDERLINE_SAGEPRO_RATE": "0.001", "TENDERLINE_SAGEPRO_BURST": "1"}, outbound.CodeClientLimit},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{
				"TENDERLINE_CHANNELS": `{"web-us":{"erp":"sagepro"},"*":{}}`, "TENDERLINE_SYSPRO_BASE_URL": facade.URL, "TENDERLINE_SYSPRO_API_KEY": "k",
				"TENDERLINE_SYSPRO_COMPANY": "A", "TENDERLINE_SAGEPRO_DIALECT": "postgres",
				"TENDERLINE_SAGEPRO_DSN": "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=1",
			}
			maps.Copy(env, test.settings)
			settings, err := config.Load(config.Map(env))
			require.NoError(t, err)
			app := New(settings, slog.New(slog.DiscardHandler))
			t.Cleanup(func() { require.NoError(t, app.Close()) })
			call := func(name string) *fault.Fault {
				port, err := app.Erp(name)
				require.NoError(t, err)
				f := fault.As(port.Check(t.Context()))
				require.NotNil(t, f)
				return f
			}
			require.Equal(t, fault.Connection, call("sagepro").Kind)
			second := call("sagepro")
			require.Equal(t, []any{fault.RateLimit, test.code}, []any{second.Kind, second.Code})
			for range 3 {
				require.Equal(t, fault.Credentials, call("syspro").Kind, "the other ERP is asked, and answers")
			}
		})
	}
}
