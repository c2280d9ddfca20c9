package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// sdkMetrics turns what the Temporal SDK measures into Prometheus metrics. The SDK gives one metric different sets of tags at different
// places, which a vector with fixed labels can't hold: there is one vector for each name and set of labels, and the collector
// describes none of them beforehand, which tells the registry not to compare.
type sdkMetrics struct {
	mutex    sync.RWMutex
	counters map[string]*prometheus.CounterVec
	gauges   map[string]*prometheus.GaugeVec
	timers   map[string]*prometheus.HistogramVec
}

func newSDKMetrics() *sdkMetrics {
	return &sdkMetrics{
		counters: map[string]*prometheus.CounterVec{},
		gauges:   map[string]*prometheus.GaugeVec{},
		timers:   map[string]*prometheus.HistogramVec{},
	}
}

func (m *sdkMetrics) handler() client.MetricsHandler { return sdkHandler{metrics: m} }

// Describe describes nothing: the metrics are unchecked.
func (m *sdkMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect gives all that was measured.
func (m *sdkMetrics) Collect(out chan<- prometheus.Metric) {
	m.mutex.RLock()
	defer m.mutex.RUnlock()
	for _, vector := range m.counters {
		vector.Collect(out)
	}
	for _, vector := range m.gauges {
		vector.Collect(out)
	}
	for _, vector := range m.timers {
		vector.Collect(out)
	}
}

// sdkHandler is the SDK's view: a place with its tags.
type sdkHandler struct {
	metrics *sdkMetrics
	tags    map[string]string
}

// WithTags gives a handler with further tags.
func (h sdkHandler) WithTags(tags map[string]string) client.MetricsHandler {
	joined := make(map[string]string, len(h.tags)+len(tags))
	for name, value := range h.tags {
		joined[name] = value
	}
	for name, value := range tags {
		joined[label(name)] = value
	}
	return sdkHandler{metrics: h.metrics, tags: joined}
}

// Counter gives the counter of a name and the handler's tags.
func (h sdkHandler) Counter(name string) client.MetricsCounter {
	return sdkCounter{find(h, h.metrics.counters, name, func(labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: label(name), Help: sdkHelp}, labels)
	}).With(h.tags)}
}

// Gauge gives the gauge of a name and the handler's tags.
func (h sdkHandler) Gauge(name string) client.MetricsGauge {
	return sdkGauge{find(h, h.metrics.gauges, name, func(labels []string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: label(name), Help: sdkHelp}, labels)
	}).With(h.tags)}
}

// Timer gives the histogram, in seconds, of a name and the handler's tags.
func (h sdkHandler) Timer(name string) client.MetricsTimer {
	return sdkTimer{find(h, h.metrics.timers, name, func(labels []string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: label(name) + "_seconds", Help: sdkHelp, Buckets: sdkBuckets}, labels)
	}).With(h.tags)}
}

const sdkHelp = "Measured by the Temporal SDK."

// sdkBuckets reach from a workflow task to a patient activity, in seconds.
var sdkBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600}

// find gives the vector of a name and the handler's labels, and makes it where there is none.
func find[V any](h sdkHandler, vectors map[string]V, name string, build func(labels []string) V) V {
	labels := slices.Sorted(maps.Keys(h.tags))
	key := name + "\x00" + strings.Join(labels, "\x00")
	h.metrics.mutex.RLock()
	vector, found := vectors[key]
	h.metrics.mutex.RUnlock()
	if found {
		return vector
	}
	h.metrics.mutex.Lock()
	defer h.metrics.mutex.Unlock()
	if vector, found := vectors[key]; found {
		return vector
	}
	vector = build(labels)
	vectors[key] = vector
	return vector
}

// label makes a name that Prometheus takes.
func label(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}

type sdkCounter struct{ prometheus.Counter }

// Inc adds; the SDK never takes away.
func (c sdkCounter) Inc(n int64) { c.Add(float64(max(n, 0))) }

type sdkGauge struct{ prometheus.Gauge }

// Update sets the gauge.
func (g sdkGauge) Update(value float64) { g.Set(value) }

type sdkTimer struct{ prometheus.Observer }

// Record observes a duration.
func (t sdkTimer) Record(took time.Duration) { t.Observe(took.Seconds()) }
