package temporaldev

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/dev/internal/ports"
)

const (
	testQueue  = "greetings"
	workflowID = "greeting/WEB-1" // with a slash, as the product's IDs have
)

var (
	orderID    = temporal.NewSearchAttributeKeyKeyword("OrderId")
	attention  = temporal.NewSearchAttributeKeyBool("NeedsAttention")
	settlement = temporal.NewSearchAttributeKeyTime("SettlementDate")
)

func testAttributes() map[string]enums.IndexedValueType {
	return map[string]enums.IndexedValueType{
		"OrderId":        enums.INDEXED_VALUE_TYPE_KEYWORD,
		"NeedsAttention": enums.INDEXED_VALUE_TYPE_BOOL,
		"SettlementDate": enums.INDEXED_VALUE_TYPE_DATETIME,
	}
}

// greet runs a local activity, then waits for an update to give the name.
func greet(ctx workflow.Context) (string, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 5 * time.Second})
	var greeting, name string
	if err := workflow.ExecuteLocalActivity(ctx, greetingWord).Get(ctx, &greeting); err != nil {
		return "", err
	}
	err := workflow.SetUpdateHandler(ctx, "name", func(ctx workflow.Context, given string) (string, error) {
		name = given
		return greeting + " " + given, workflow.UpsertTypedSearchAttributes(ctx, attention.ValueSet(true))
	})
	if err != nil {
		return "", err
	}
	err = workflow.Await(ctx, func() bool { return name != "" && workflow.AllHandlersFinished(ctx) })
	return greeting + " " + name, err
}

func greetingWord(context.Context) (string, error) { return "hello", nil }

func TestServerInMemoryRunsWorkflows(t *testing.T) {
	s := start(t, Config{SearchAttributes: testAttributes(), Namespaces: []string{"second"}})
	require.Empty(t, s.UIURL())
	require.Empty(t, s.WorkflowURL("default", "x", ""))

	for _, namespace := range []string{DefaultNamespace, "second"} {
		t.Run(namespace, func(t *testing.T) { runGreeting(t, dial(t, s, namespace)) })
	}
}

func TestServersInOneProcessAreSeparate(t *testing.T) {
	one, two := start(t, Config{}), start(t, Config{})
	require.NotEqual(t, one.Addr(), two.Addr())

	_, err := dial(t, one, DefaultNamespace).ExecuteWorkflow(t.Context(),
		client.StartWorkflowOptions{ID: workflowID, TaskQueue: testQueue}, greet)
	require.NoError(t, err)

	_, err = dial(t, two, DefaultNamespace).DescribeWorkflowExecution(t.Context(), workflowID, "")
	require.ErrorContains(t, err, "not found")
}

func TestRestartOnTheSameFileKeepsHistory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not there yet", "100% odd?name#1")
	first := start(t, Config{Dir: dir, SearchAttributes: testAttributes()})
	runGreeting(t, dial(t, first, DefaultNamespace))
	first.Stop()

	// A copy, because the server's database driver keeps a file's connection for as long as the process lives: what the
	// copy has was in the files, not only in the process.
	elsewhere := t.TempDir()
	require.NoError(t, os.CopyFS(elsewhere, os.DirFS(dir)))
	for name, again := range map[string]string{"same directory": dir, "copied directory": elsewhere} {
		t.Run(name, func(t *testing.T) {
			second := start(t, Config{Dir: again, SearchAttributes: testAttributes()})
			c := dial(t, second, DefaultNamespace)

			var result string
			require.NoError(t, c.GetWorkflow(t.Context(), workflowID, "").Get(t.Context(), &result))
			require.Equal(t, "hello Ada", result)
			requireFound(t, c, "OrderId = 'WEB-1' AND NeedsAttention = true")
		})
	}
}

func TestSearchAttributesAddedLaterAreRegistered(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{Dir: dir, SearchAttributes: testAttributes()}).Stop()

	more := testAttributes()
	more["Stage"] = enums.INDEXED_VALUE_TYPE_KEYWORD
	second := start(t, Config{Dir: dir, SearchAttributes: more})
	_, err := dial(t, second, DefaultNamespace).CountWorkflow(t.Context(), // understood at once
		&workflowservice.CountWorkflowExecutionsRequest{Query: "Stage = 'booking' AND OrderId = 'WEB-1'"})
	require.NoError(t, err)
	second.Stop()

	more["OrderId"] = enums.INDEXED_VALUE_TYPE_INT
	_, err = Start(t.Context(), Config{Dir: dir, SearchAttributes: more})
	require.ErrorContains(t, err, "OrderId is registered as Keyword, not Int")

	start(t, Config{Dir: dir, SearchAttributes: testAttributes()}) // the failed start left nothing locked
}

func TestMoreSearchAttributesThanColumns(t *testing.T) {
	_, err := Start(t.Context(), Config{SearchAttributes: map[string]enums.IndexedValueType{
		"A": enums.INDEXED_VALUE_TYPE_BOOL, "B": enums.INDEXED_VALUE_TYPE_BOOL,
		"C": enums.INDEXED_VALUE_TYPE_BOOL, "D": enums.INDEXED_VALUE_TYPE_BOOL,
	}})
	require.ErrorContains(t, err, "more than 3 search attributes of type Bool")
}

func TestBusyPortIsNamed(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = busy.Close() })
	addr := busy.Addr().String()

	for name, cfg := range map[string]Config{"temporal: ": {FrontendAddr: addr}, "temporal UI: ": {UIAddr: addr}} {
		_, err := Start(t.Context(), cfg)
		var busyErr *ports.BusyError
		require.ErrorAs(t, err, &busyErr, name)
		require.ErrorContains(t, err, name+"port "+addr+" is in use")
	}
}

func TestOnlyLoopbackAddresses(t *testing.T) {
	for _, cfg := range []Config{
		{FrontendAddr: "0.0.0.0:0"}, {FrontendAddr: ":7233"}, {FrontendAddr: "example.com:7233"}, {UIAddr: "192.168.1.1:8233"},
	} {
		_, err := Start(t.Context(), cfg)
		require.ErrorIs(t, err, errNotLoopback)
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"} {
		_, err := Start(t.Context(), Config{FrontendAddr: addr})
		require.Error(t, err, addr)
	}
	local, err := loopback("localhost:7233")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7233", local.String())
}

func TestDirectoryIsForOneServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Dir: dir})

	_, err := Start(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, errLocked)
	require.ErrorContains(t, err, dir)

	first.Stop()
	first.Stop() // a second one does nothing
	start(t, Config{Dir: dir})
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "temporal.db"), []byte("this is a text, not a database, of some length"), 0o600))
	_, err := Start(t.Context(), Config{Dir: dir})
	require.ErrorContains(t, err, filepath.Join(dir, "temporal.db"))
}

func TestUIServesPagesAPIAndCodecSetting(t *testing.T) {
	const codec = "http://127.0.0.1:8080/codec"
	s := start(t, Config{UIAddr: "127.0.0.1:0", CodecEndpoint: codec, SearchAttributes: testAttributes()})
	runGreeting(t, dial(t, s, DefaultNamespace))

	var settings struct {
		DefaultNamespace string
		Codec            struct {
			Endpoint        string
			PassAccessToken bool
		}
	}
	require.NoError(t, json.Unmarshal(get(t, s.UIURL()+"/api/v1/settings"), &settings))
	require.Equal(t, DefaultNamespace, settings.DefaultNamespace)
	require.Equal(t, codec, settings.Codec.Endpoint)
	require.False(t, settings.Codec.PassAccessToken)

	require.Equal(t, s.UIURL()+"/namespaces/default/workflows/greeting%2FWEB-1", s.WorkflowURL("default", workflowID, ""))
	require.Equal(t, s.UIURL()+"/namespaces/default/workflows/greeting%2FWEB-1/r-1/history", s.WorkflowURL("default", workflowID, "r-1"))
	require.Contains(t, string(get(t, s.WorkflowURL("default", workflowID, ""))), "<html")

	var page struct {
		Executions []struct {
			Execution struct{ WorkflowID string }
		}
	}
	require.NoError(t, json.Unmarshal(get(t, s.UIURL()+"/api/v1/namespaces/default/workflows?query=OrderId%3D%27WEB-1%27"), &page))
	require.Len(t, page.Executions, 1)
	require.Equal(t, workflowID, page.Executions[0].Execution.WorkflowID)
	require.Contains(t, string(get(t, s.UIURL()+"/api/v1/namespaces/default/workflows/greeting%2FWEB-1")), `"greet"`)

	s.Stop()
	require.NoError(t, ports.CheckAll(s.Addr(), s.uiAddr))
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err := Start(ctx, Config{Dir: dir})
	require.ErrorIs(t, err, context.Canceled)
	start(t, Config{Dir: dir})
}

func TestLoggerTakesWarningsOnly(t *testing.T) {
	var text bytes.Buffer
	logger := newServerLogger(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	logger.Info("chatter")
	logger.Warn("warning")
	logger.With().Error("error")
	logger.Fatal("fatal")
	require.Panics(t, func() { logger.Panic("panic") })
	logger.quieten()
	logger.With().Error("late")

	require.NotContains(t, text.String(), "chatter")
	require.NotContains(t, text.String(), "late")
	for _, want := range []string{"level=WARN msg=warning", "level=ERROR msg=error", "msg=fatal", "msg=panic"} {
		require.Contains(t, text.String(), want)
	}
}

func TestQuietLogGoesToTheDirectory(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{Dir: dir}).Stop()
	text, err := os.ReadFile(filepath.Join(dir, "temporal.log"))
	require.NoError(t, err)
	require.Empty(t, string(text), "a start and a stop in order are no news")
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	began := time.Now()
	s, err := Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(s.Stop)
	return s
}

func dial(t *testing.T, s *Server, namespace string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: s.Addr(), Namespace: namespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// runGreeting runs one workflow to its end and finds it by its search attributes.
func runGreeting(t *testing.T, c client.Client) {
	t.Helper()
	w := worker.New(c, testQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(greet, workflow.RegisterOptions{Name: "greet"})
	require.NoError(t, w.Start())
	defer w.Stop()

	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: workflowID, TaskQueue: testQueue, EnableEagerStart: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			orderID.ValueSet("WEB-1"), settlement.ValueSet(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC))),
	}, greet)
	require.NoError(t, err)

	update, err := c.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: "name", Args: []any{"Ada"}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	var answer, result string
	require.NoError(t, update.Get(t.Context(), &answer))
	require.Equal(t, "hello Ada", answer)
	require.NoError(t, run.Get(t.Context(), &result))
	require.Equal(t, "hello Ada", result)

	requireFound(t, c,
		"OrderId = 'WEB-1' AND NeedsAttention = true AND ExecutionStatus = 'Completed'",
		// A range: SQLite compares times as text, and what it stores has milliseconds that the query's literal has not.
		"SettlementDate >= '2026-11-20T00:00:00Z' AND SettlementDate < '2026-11-21T00:00:00Z'")
}

// requireFound waits until each query finds exactly the one workflow: visibility follows the workflow with a delay.
func requireFound(t *testing.T, c client.Client, queries ...string) {
	t.Helper()
	for _, query := range queries {
		require.EventuallyWithT(t, func(collect *assert.CollectT) {
			count, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
			require.NoError(collect, err)
			require.EqualValues(collect, 1, count.GetCount(), query)
		}, time.Minute, 20*time.Millisecond)
	}
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	return body
}
