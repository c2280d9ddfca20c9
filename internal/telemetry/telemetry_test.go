package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
	"github.com/tenderline/tenderline/internal/telemetry"
)

func scrape(t *testing.T, m *telemetry.Metrics) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Code, recorder.Body.String()
}

func TestMetricsOfTheSDKMayHaveDifferentTags(t *testing.T) {
	m := telemetry.NewMetrics()
	root := m.Temporal().WithTags(map[string]string{"namespace": "default"})
	root.Counter("temporal_request").Inc(2)
	root.WithTags(map[string]string{"task-queue": "erp-syspro"}).Counter("temporal_request").Inc(1)
	root.Gauge("temporal_worker_task_slots_used").Update(3)
	root.Timer("temporal_request_latency").Record(30 * time.Millisecond)
	status, text := scrape(t, m)
	require.Equal(t, http.StatusOK, status, text)
	require.Contains(t, text, `temporal_request{namespace="default"} 2`)
	require.Contains(t, text, `temporal_request{namespace="default",task_queue="erp-syspro"} 1`)
	require.Contains(t, text, `temporal_worker_task_slots_used{namespace="default"} 3`)
	require.Contains(t, text, `temporal_request_latency_seconds_bucket{namespace="default",le="0.05"} 1`)
}

func TestMetricsOfTheProcess(t *testing.T) {
	m := telemetry.NewMetrics()
	m.Request("POST", "/v1/orders", 202, 20*time.Millisecond)
	m.Webhook("cybersource", "accepted")
	m.Alert("operator", "slack:ops", "sent")
	m.Call(outbound.Call{System: "cybersource", Method: "POST", Route: "/pts/v2/payments", Status: 201, Duration: time.Second})
	var failure error
	require.NoError(t, m.Journal(func(context.Context) (journal.Stats, error) {
		return journal.Stats{
			Orders: map[canonical.OrderStatus]int64{canonical.OrderBooking: 4}, Unstarted: 1,
			OldestOperation: map[string]time.Duration{"cybersource": 90 * time.Second},
		}, failure
	}))
	_, text := scrape(t, m)
	for _, line := range []string{
		`tenderline_http_request_duration_seconds_count{method="POST",route="/v1/orders",status="202"} 1`,
		`tenderline_webhooks_total{result="accepted",source="cybersource"} 1`,
		`tenderline_alerts_total{audience="operator",result="sent",route="slack:ops"} 1`,
		`tenderline_outside_call_duration_seconds_count{error="",method="POST",route="/pts/v2/payments",status="201",system="cybersource"} 1`,
		`tenderline_orders{status="booking"} 4`,
		`tenderline_orders_unstarted 1`,
		`tenderline_operation_oldest_seconds{system="cybersource"} 90`,
		`go_goroutines`,
	} {
		require.Contains(t, text, line)
	}
	failure = errors.New("database away")
	status, _ := scrape(t, m)
	require.Equal(t, http.StatusInternalServerError, status, "a scrape without the journal's figures is noticed")
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info", "json")
	require.NoError(t, err)
	log.Debug("hidden")
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Service: "test", Ratio: 1})
	require.NoError(t, err)
	ctx, span := traces.Tracer("test").Start(t.Context(), "request")
	log.With("order", "A").WithGroup("g").InfoContext(ctx, "shown", "k", 1)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "shown", line["msg"])
	require.Contains(t, out.String(), span.SpanContext().TraceID().String())

	_, err = telemetry.NewLogger(&out, "loud", "json")
	require.ErrorContains(t, err, "debug, info, warn or error")
	_, err = telemetry.NewLogger(&out, "info", "xml")
	require.ErrorContains(t, err, "json or text")
}

func TestTracesReachTheCollector(t *testing.T) {
	got := make(chan []byte, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/v1/traces" && r.Header.Get("Content-Type") == "application/json" {
			got <- body
		}
	}))
	defer collector.Close()
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Service: "tenderline-test", Endpoint: collector.URL, Ratio: 1})
	require.NoError(t, err)
	made, err := traces.Interceptor()
	require.NoError(t, err)
	require.NotNil(t, made)
	ctx, parent := traces.Tracer("http").Start(t.Context(), "POST /v1/orders")
	_, child := traces.Tracer("temporal").Start(ctx, "StartWorkflow")
	child.SetAttributes(attribute.String("temporalWorkflowID", "order/A"), attribute.Int("n", 3), attribute.Bool("b", true), attribute.Float64("f", 1.5), attribute.StringSlice("l", []string{"x"}))
	child.End()
	parent.End()
	require.NoError(t, traces.Shutdown(t.Context()))

	var sent struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []json.RawMessage }
			ScopeSpans []struct {
				Scope struct{ Name string }
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name, StartTimeUnixNano string
					Attributes                                             []json.RawMessage
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(<-got, &sent))
	require.Len(t, sent.ResourceSpans, 1)
	require.JSONEq(t, `{"key":"service.name","value":{"stringValue":"tenderline-test"}}`, string(sent.ResourceSpans[0].Resource.Attributes[0]))
	scopes := sent.ResourceSpans[0].ScopeSpans
	require.Len(t, scopes, 2)
	inner, outer := scopes[0].Spans[0], scopes[1].Spans[0]
	require.Equal(t, "temporal", scopes[0].Scope.Name)
	require.Equal(t, outer.SpanID, inner.ParentSpanID)
	require.Equal(t, outer.TraceID, inner.TraceID)
	require.Empty(t, outer.ParentSpanID)
	require.Len(t, inner.TraceID, 32)
	require.Len(t, inner.Attributes, 5)
	require.JSONEq(t, `{"key":"n","value":{"intValue":"3"}}`, string(inner.Attributes[1]))

	_, err = telemetry.NewTraces(telemetry.TraceOptions{Endpoint: "collector:4318"})
	require.Error(t, err)
}
