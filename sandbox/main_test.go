package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output is a writer that can be read while it is written to.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func noEnv(string) string { return "" }

func TestRunServesAllAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var printed output
	dir := t.TempDir()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-cybersource-addr", "127.0.0.1:0", "-syspro-addr", "127.0.0.1:0", "-shop-addr", "127.0.0.1:0", "-sagepro-addr", "127.0.0.1:0", "-state-dir", dir}, noEnv, &printed, io.Discard)
	}()
	require.Eventually(t, func() bool { return strings.Contains(printed.String(), "State ") }, time.Minute, time.Millisecond)

	client := &http.Client{Timeout: time.Minute}
	get := func(url string) string {
		response, err := client.Get(url)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", url, body)
		return string(body)
	}
	addresses := map[string]string{}
	for line := range strings.SplitSeq(printed.String(), "\n") {
		if name, rest, ok := strings.Cut(line, "http://"); ok {
			addresses[strings.TrimSpace(name)] = "http://" + strings.SplitN(rest, "/", 2)[0]
		}
	}
	require.Contains(t, get(addresses["Cybersource"]+"/_sandbox/ledger"), `"transactions"`)
	require.Contains(t, get(addresses["SYSPRO"]+"/APIServices/HealthService/Ping"), "Success")
	require.Contains(t, get(addresses["Shop"]+"/_sandbox/ledger"), `"callbacks"`)
	require.Contains(t, get(addresses["Sage Pro"]+"/_sandbox/ledger"), `"salesOrders"`)
	require.Contains(t, get(addresses["Sage Pro"]+"/_sandbox/drift"), `"differences":[]`)
	require.FileExists(t, filepath.Join(dir, "sagepro.db"))
	page := get(addresses["Side by side"] + "/")
	require.Contains(t, page, "Shop | gateway | ERP")
	require.NotContains(t, page, `role="alert"`, "the page reads all ledgers")

	stop()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the sandboxes did not stop")
	}
}

func TestRunNamesABusyPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	err = run(t.Context(), []string{"-cybersource-addr", "127.0.0.1:0", "-syspro-addr", "127.0.0.1:0", "-shop-addr", "127.0.0.1:0", "-sagepro-addr", busy.Addr().String()}, noEnv, io.Discard, io.Discard)
	require.ErrorContains(t, err, busy.Addr().String())
}

func TestSettings(t *testing.T) {
	env := func(name string) string {
		if name == "SANDBOX_SHOP_ADDR" {
			return "127.0.0.1:7777"
		}
		return ""
	}
	s, err := parse([]string{"-api-key", "k"}, env, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9101 127.0.0.1:7777 k", s.gatewayAddr+" "+s.shopAddr+" "+s.apiKey)
	_, err = parse([]string{"stray"}, noEnv, io.Discard)
	require.ErrorContains(t, err, "stray")
	_, err = parse([]string{"-nonsense"}, noEnv, io.Discard)
	require.Error(t, err)
}

func TestURLOfAnyAddress(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	require.True(t, strings.HasPrefix(url(l), "http://127.0.0.1:"))
}

func TestWebhookSettings(t *testing.T) {
	hook, err := new(settings).webhook()
	require.NoError(t, err)
	require.Nil(t, hook)
	hook, err = (&settings{webhookURL: "http://127.0.0.1:8080/webhooks/cybersource", webhookKey: "k1:c2VjcmV0"}).webhook()
	require.NoError(t, err)
	require.Equal(t, "k1", hook.KeyID)
	require.Equal(t, "c2VjcmV0", hook.Key)
	for _, key := range []string{"", "k1", ":c2VjcmV0", "k1:"} {
		_, err = (&settings{webhookURL: "http://127.0.0.1:8080/", webhookKey: key}).webhook()
		require.ErrorContains(t, err, "webhook-key")
	}
}

// TestADatabaseThatNobodyKeepsIsRemoved: without a state directory the file of Sage Pro goes with the program.
func TestADatabaseThatNobodyKeepsIsRemoved(t *testing.T) {
	s := &settings{sageproDialect: "sqlite"}
	forget, err := s.placeSagepro()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.sageproDSN, nil, 0o600))
	require.NoError(t, forget())
	require.NoFileExists(t, s.sageproDSN)

	mine := &settings{sageproDialect: "postgres", sageproDSN: "postgres://user:s3cret@host/pro01"}
	forget, err = mine.placeSagepro()
	require.NoError(t, err)
	require.NoError(t, forget())
	require.Equal(t, "postgres://user:s3cret@host/pro01", mine.sageproDSN)
	var printed strings.Builder
	mine.print(&printed, addresses{})
	require.NotContains(t, printed.String(), "s3cret")
}
