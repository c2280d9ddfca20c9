package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

// Traces makes spans of requests and of what Temporal runs for them, in one trace from the shop's request to the last activity.
type Traces struct {
	provider   *sdktrace.TracerProvider
	propagator propagation.TextMapPropagator
}

// TraceOptions say where spans go.
type TraceOptions struct {
	Service  string                // name of the process: "tenderline-worker"
	Endpoint string                // OTLP/HTTP collector; empty: spans only give log lines their ids
	Ratio    float64               // share of traces that is kept
	Exporter sdktrace.SpanExporter // instead of Endpoint
}

// NewTraces makes the tracer; it sends nothing yet. Shutdown sends what is left.
func NewTraces(options TraceOptions) (*Traces, error) {
	settings := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(options.Ratio))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", options.Service))),
	}
	exporter := options.Exporter
	if exporter == nil && options.Endpoint != "" {
		var err error
		if exporter, err = newCollector(options.Endpoint); err != nil {
			return nil, fmt.Errorf("set up traces: %w", err)
		}
	}
	if exporter != nil {
		settings = append(settings, sdktrace.WithBatcher(exporter))
	}
	return &Traces{
		provider:   sdktrace.NewTracerProvider(settings...),
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}, nil
}

// Tracer gives a tracer for a part of the program.
func (t *Traces) Tracer(name string) trace.Tracer { return t.provider.Tracer(name) }

// Propagator reads and writes the W3C headers of requests.
func (t *Traces) Propagator() propagation.TextMapPropagator { return t.propagator }

// Interceptor makes spans of workflows, activities, signals and updates; it serves clients and, through them, workers.
func (t *Traces) Interceptor() (interceptor.Interceptor, error) {
	made, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.Tracer("temporal"), TextMapPropagator: t.propagator,
	})
	if err != nil {
		return nil, fmt.Errorf("set up tracing of temporal: %w", err)
	}
	return made, nil
}

// Shutdown sends what is left and stops.
func (t *Traces) Shutdown(ctx context.Context) error { return t.provider.Shutdown(ctx) }
