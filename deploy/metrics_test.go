package deploy_test

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
	"github.com/tenderline/tenderline/internal/telemetry"
)

// rule is an alert of rules.yml.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	strictly(t, "prometheus/rules.yml", &file)
	var list []rule
	for _, group := range file.Groups {
		list = append(list, group.Rules...)
	}
	require.NotEmpty(t, list)
	return list
}

// panel is what the tests look at of a panel of the dashboard.
type panel struct {
	ID         int    `json:"id"`
	Title      string `json:"title"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboards/tenderline.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	return dashboard.Panels
}

func TestAlertsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, alert := range alerts(t) {
		require.NotEmpty(t, alert.Alert)
		require.False(t, seen[alert.Alert], "%s is there twice", alert.Alert)
		seen[alert.Alert] = true
		require.NotEmpty(t, alert.Expr, alert.Alert)
		require.Contains(t, []string{"warning", "critical"}, alert.Labels["severity"], alert.Alert)
		require.NotEmpty(t, alert.Annotations["summary"], alert.Alert)
		if alert.For != "" {
			_, err := time.ParseDuration(alert.For)
			require.NoError(t, err, alert.Alert)
		}
	}
}

func TestAlertsAndDashboardUseMetricsThatExist(t *testing.T) {
	exposed := scrape(t)
	expressions := map[string]string{}
	for _, alert := range alerts(t) {
		expressions["alert "+alert.Alert] = alert.Expr
	}
	for _, panel := range panels(t) {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for i, target := range panel.Targets {
			expressions["panel "+panel.Title+" "+strconv.Itoa(i)] = target.Expr
		}
	}
	used := map[string]bool{}
	for place, expression := range expressions {
		require.Equal(t, strings.Count(expression, "("), strings.Count(expression, ")"), place)
		for _, selector := range metricName.FindAllStringSubmatch(expression, -1) {
			labels, found := exposed[selector[1]]
			require.True(t, found, "%s uses %s, which no process exposes", place, selector[1])
			used[selector[1]] = true
			for _, matcher := range matcherName.FindAllStringSubmatch(selector[2], -1) {
				require.Contains(t, labels, matcher[1], "%s: %s has no such label", place, selector[1])
			}
		}
	}
	require.Greater(t, len(used), 12)
}

var (
	metricName  = regexp.MustCompile(`\b((?:tenderline|temporal)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcherName = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	sampleLine  = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? \S+`)
	labelName   = regexp.MustCompile(`([a-z_]+)="`)
)

// scrape gives the names of all samples, with their labels, as Prometheus reads them: it asks for OpenMetrics, whose names may differ
// from those of the text format.
func scrape(t *testing.T) map[string][]string {
	t.Helper()
	m := telemetry.NewMetrics()
	m.Request(http.MethodPost, "/v1/orders", http.StatusAccepted, time.Millisecond)
	m.Call(outbound.Call{System: "cybersource", Method: http.MethodPost, Route: "/pts/v2/payments", Status: http.StatusCreated})
	m.Webhook("cybersource", "accepted")
	m.Alert("operator", "slack:ops", "sent")
	require.NoError(t, m.Journal(func(context.Context) (journal.Stats, error) {
		return journal.Stats{
			Orders: map[canonical.OrderStatus]int64{canonical.OrderConfirmed: 1}, OpenAttention: map[fault.Kind]int64{fault.UnknownOutcome: 1},
			Inbox: map[journal.InboxState]int64{journal.InboxPending: 1}, OpenOperations: map[string]int64{"cybersource": 1}, Unstarted: 1,
		}, nil
	}))
	sdk := m.Temporal().WithTags(map[string]string{
		"namespace": "default", "workflow_type": "OrderToCash", "activity_type": "AuthorizePayment", "task_queue": "tenderline",
		"worker_type": "WorkflowWorker", "failure_reason": "WorkflowError", "operation": "PollWorkflowTaskQueue", "status_code": "UNAVAILABLE",
	})
	for _, name := range sdkMetrics(t) {
		switch {
		case strings.HasSuffix(name, "_latency"):
			sdk.Timer(name).Record(time.Second)
		case strings.HasPrefix(name, "temporal_worker_task_slots_"), name == "temporal_num_pollers", name == "temporal_sticky_cache_size":
			sdk.Gauge(name).Update(1)
		default:
			sdk.Counter(name).Inc(1)
		}
	}
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, request)
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Header().Get("Content-Type"), "openmetrics")

	exposed := map[string][]string{}
	for line := range strings.Lines(answer.Body.String()) {
		if sample := sampleLine.FindStringSubmatch(line); sample != nil {
			for _, label := range labelName.FindAllStringSubmatch(sample[2], -1) {
				exposed[sample[1]] = append(exposed[sample[1]], label[1])
			}
			exposed[sample[1]] = append(exposed[sample[1]], "job", "instance") // of Prometheus itself
		}
	}
	require.NotEmpty(t, exposed)
	return exposed
}

// sdkMetrics reads the names of the metrics from the SDK's source: it keeps them in an internal package.
func sdkMetrics(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "go.temporal.io/sdk/internal/common/metrics").Output()
	require.NoError(t, err)
	path := filepath.Join(strings.TrimSpace(string(out)), "constants.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	texts := map[string]string{}
	for _, declaration := range file.Decls {
		if group, ok := declaration.(*ast.GenDecl); ok && group.Tok == token.CONST {
			for _, spec := range group.Specs {
				if constant, ok := spec.(*ast.ValueSpec); ok && len(constant.Values) == 1 {
					texts[constant.Names[0].Name] = text(t, constant.Values[0], texts)
				}
			}
		}
	}
	var names []string
	for _, name := range texts {
		if strings.HasPrefix(name, "temporal_") && name != "temporal_" && name != "temporal_go" {
			names = append(names, name)
		}
	}
	require.Greater(t, len(names), 30)
	return names
}

// text is the value of a constant: a literal, the name of an earlier constant, or both joined.
func text(t *testing.T, value ast.Expr, known map[string]string) string {
	t.Helper()
	switch v := value.(type) {
	case *ast.BasicLit:
		literal, err := strconv.Unquote(v.Value)
		require.NoError(t, err)
		return literal
	case *ast.Ident:
		return known[v.Name]
	case *ast.BinaryExpr:
		return text(t, v.X, known) + text(t, v.Y, known)
	default:
		t.Fatalf("constant of kind %T", value)
		return ""
	}
}
