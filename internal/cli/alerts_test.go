package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/journal"
)

// webhookOf is a Slack-compatible webhook that answers with a status and hands on what it was sent.
func webhookOf(t *testing.T, status int) (address string, posts <-chan string) {
	t.Helper()
	received := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/services/s3cretPath", received
}

func TestATestMessageGoesToEveryRoute(t *testing.T) {
	good, posts := webhookOf(t, http.StatusOK)
	bad, _ := webhookOf(t, http.StatusGone)
	env := map[string]string{
		"TENDERLINE_ALERTS_SLACK_URLS": "ops=" + good + ",gone=" + bad, "TENDERLINE_ALERTS_OPERATOR": "slack:gone,slack:ops", "TENDERLINE_ALERTS_IT": "slack:ops",
		"TENDERLINE_ALERTS_BASE_URL": "https://t.example/console", "TENDERLINE_DEPLOYMENT": "acme",
	}
	got := execute(t, env, "", "alerts", "test", "--audience", "it")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Equal(t, "AUDIENCE  ROUTE      RESULT  DETAIL\nit        slack:ops  ok\n", got.stdout)
	post := <-posts
	require.Contains(t, post, "Test message of Tenderline for it")
	require.Contains(t, post, "deployment acme")
	require.Contains(t, post, "https://t.example/console")

	got = execute(t, env, "", "alerts", "test", "--audience", "operator")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, got.stdout, "slack:gone  failed  slack: credentials: the webhook answered 410")
	require.Contains(t, got.stdout, "slack:ops   ok")
	require.Contains(t, got.stderr, "1 of 2 routes failed")
	require.NotContains(t, got.stdout+got.stderr, "s3cretPath")

	got = execute(t, env, "", "alerts", "test", "--audience", "finance", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.JSONEq(t, `[{"audience":"finance","route":"log","result":"ok","detail":"written to the process's log"}]`, got.stdout)
	require.Contains(t, got.stderr, `"audience":"finance","kind":"test"`)

	require.Equal(t, ExitUsage, execute(t, env, "", "alerts", "test").code)
	require.Equal(t, ExitUsage, execute(t, env, "", "alerts", "test", "--audience", "customer").code)
	env["TENDERLINE_ALERTS_OPERATOR"] = "slack:nobody"
	require.Equal(t, ExitFailure, execute(t, env, "", "alerts", "test", "--audience", "operator").code)
}

func TestCheckTellsTheRoutesAndSendsNothing(t *testing.T) {
	address, posts := webhookOf(t, http.StatusOK)
	env := map[string]string{
		"TENDERLINE_ALERTS_SLACK_URLS": "ops=" + address, "TENDERLINE_ALERTS_OPERATOR": "slack:ops,mailto:otto@private.example,mailto:ann@private.example",
		"TENDERLINE_MAIL_HOST": "127.0.0.1", "TENDERLINE_MAIL_PORT": "1", "TENDERLINE_MAIL_FROM": "orders@acme.example", "TENDERLINE_MAIL_TIMEOUT": "1s",
	}
	found, got := findings(t, env, "--only", "alerts")
	require.Equal(t, "slack:ops, mail-1, mail-2", found["alerts: routes to operator"].Detail)
	require.Equal(t, "log", found["alerts: routes to analyst"].Detail)
	require.Equal(t, resultOK, found["alerts: mail templates"].Result)
	require.Equal(t, resultFailed, found["alerts: mail server: connect, sign in"].Result)
	require.NotContains(t, got.stdout+got.stderr, "private")
	require.NotContains(t, got.stdout+got.stderr, "s3cretPath")
	require.Empty(t, posts)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "order.delayed.txt"), []byte("{{define \"subject\"}}s{{end}}\n{{.Reason}}"), 0o600))
	found, _ = findings(t, map[string]string{"TENDERLINE_MAIL_TEMPLATES_DIR": dir}, "--only", "alerts")
	require.Contains(t, found["alerts: mail templates"].Detail, "order.delayed.txt:2:2")
}

func TestAWorkerSendsWhatWaits(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	address, posts := webhookOf(t, http.StatusOK)
	env := s.with("TENDERLINE_ALERTS_SLACK_URLS", "ops="+address, "TENDERLINE_ALERTS_OPERATOR", "slack:ops", "TENDERLINE_ALERTS_INTERVAL", "10ms",
		"TENDERLINE_WORKER_ROLES", "workflows")
	store, err := journal.Open(t.Context(), env["TENDERLINE_DATABASE_DSN"], journal.Options{Keyring: testRing(t)})
	require.NoError(t, err)
	require.NoError(t, store.AddNotices(t.Context(), journal.Notice{
		ID: "n", Audience: journal.AudienceOperator, Kind: "step.parked", OrderID: "WEB-1", Subject: "Order WEB-1 waits", Link: "/v1/attention/1",
	}))
	require.NoError(t, store.Close())
	monitoring, stop := start(t, env, "worker", "worker starts", "monitoring")
	require.Contains(t, <-posts, "Order WEB-1 waits")
	require.Eventually(t, func() bool {
		_, body := get(t, monitoring, "/metrics")
		return strings.Contains(body, `tenderline_alerts_total{audience="operator",result="sent",route="slack:ops"} 1`)
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, ExitOK, stop())
}

func TestAWorkerWithABadTemplateDoesNotStart(t *testing.T) {
	s := newSite(t)
	require.Equal(t, ExitOK, execute(t, s.env, "", "setup").code)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "order.rejected.html"), []byte("<p>\n{{.Card}}"), 0o600))
	got := execute(t, s.with("TENDERLINE_MAIL_TEMPLATES_DIR", dir), "", "worker")
	require.Equal(t, ExitFailure, got.code)
	require.Contains(t, got.stderr, "TENDERLINE_MAIL_TEMPLATES_DIR")
	require.Contains(t, got.stderr, "order.rejected.html:2:2")
}
