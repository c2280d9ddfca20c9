package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Metrics holds every metric of one process in a registry of its own.
type Metrics struct {
	registry *prometheus.Registry
	temporal *sdkMetrics
	requests *prometheus.HistogramVec
	calls    *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
	alerts   *prometheus.CounterVec
}

// latencyBuckets reach from a local answer to the longest outside call, in seconds.
var latencyBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 40}

// NewMetrics makes the registry, with the metrics of the Go runtime and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		temporal: newSDKMetrics(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenderline_http_request_duration_seconds", Help: "Requests served, by route and answer.", Buckets: latencyBuckets,
		}, []string{"method", "route", "status"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenderline_outside_call_duration_seconds", Help: "Calls to systems outside, by route, answer and class of error.", Buckets: latencyBuckets,
		}, []string{"system", "method", "route", "status", "error"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenderline_webhooks_total", Help: "Webhook deliveries received, by what became of them.",
		}, []string{"source", "result"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenderline_alerts_total", Help: "Alerts to people and mails to customers, by audience, route and what became of them.",
		}, []string{"audience", "route", "result"}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.temporal, m.requests, m.calls, m.webhooks, m.alerts)
	return m
}

// Registry is where further collectors go.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Temporal takes the metrics of the Temporal SDK.
func (m *Metrics) Temporal() client.MetricsHandler { return m.temporal.handler() }

// Request counts a request that was served. route is the pattern, never the path.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Call counts a call to a system outside; it is an observer of internal/outbound.
func (m *Metrics) Call(call outbound.Call) {
	m.calls.WithLabelValues(call.System, call.Method, call.Route, strconv.Itoa(call.Status), call.Error).Observe(call.Duration.Seconds())
}

// Webhook counts a delivery by what became of it: accepted, duplicate, refused.
func (m *Metrics) Webhook(source, result string) { m.webhooks.WithLabelValues(source, result).Inc() }

// Alert counts an alert or a customer's mail: sent or failed (one try) on a route, or given_up (on none).
func (m *Metrics) Alert(audience, route, result string) {
	m.alerts.WithLabelValues(audience, route, result).Inc()
}

// Stats gives the figures of a journal.
type Stats func(ctx context.Context) (journal.Stats, error)

// Journal adds the figures of the central journal; they are read whenever the metrics are.
func (m *Metrics) Journal(stats Stats) error { return m.registry.Register(journalCollector{stats}) }

type journalCollector struct{ stats Stats }

var (
	ordersDesc     = prometheus.NewDesc("tenderline_orders", "Orders by status.", []string{"status"}, nil)
	attentionDesc  = prometheus.NewDesc("tenderline_attention_open", "Parked steps that wait for a person, by class.", []string{"class"}, nil)
	inboxDesc      = prometheus.NewDesc("tenderline_inbox", "Received events by state.", []string{"state"}, nil)
	operationsDesc = prometheus.NewDesc("tenderline_operations_open", "Operations whose outcome is not known, by system.", []string{"system"}, nil)
	oldestDesc     = prometheus.NewDesc("tenderline_operation_oldest_seconds", "Age of the oldest operation whose outcome is not known, by system.", []string{"system"}, nil)
	unstartedDesc  = prometheus.NewDesc("tenderline_orders_unstarted", "Orders whose process was not started yet.", nil, nil)
)

// statsTimeout keeps a slow database from holding the scrape.
const statsTimeout = 5 * time.Second

func (c journalCollector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{ordersDesc, attentionDesc, inboxDesc, operationsDesc, oldestDesc, unstartedDesc} {
		out <- desc
	}
}

func (c journalCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	stats, err := c.stats(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(unstartedDesc, err)
		return
	}
	gauges(out, ordersDesc, stats.Orders)
	gauges(out, attentionDesc, stats.OpenAttention)
	gauges(out, inboxDesc, stats.Inbox)
	gauges(out, operationsDesc, stats.OpenOperations)
	for system, age := range stats.OldestOperation {
		out <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, age.Seconds(), system)
	}
	out <- prometheus.MustNewConstMetric(unstartedDesc, prometheus.GaugeValue, float64(stats.Unstarted))
}

func gauges[K ~string](out chan<- prometheus.Metric, desc *prometheus.Desc, counts map[K]int64) {
	for name, count := range counts {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(count), string(name))
	}
}
