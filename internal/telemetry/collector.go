package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collector sends spans to an OpenTelemetry collector as OTLP/HTTP in JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"):
// ids in hexadecimal, 64-bit numbers as strings, enumerations as numbers.
type collector struct {
	address string
	client  *http.Client
}

const collectorTimeout = 10 * time.Second

func newCollector(endpoint string) (*collector, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the collector's address must start with http:// or https://")
	}
	if !strings.HasSuffix(u.Path, "/v1/traces") {
		u = u.JoinPath("v1", "traces")
	}
	return &collector{address: u.String(), client: &http.Client{Timeout: collectorTimeout}}, nil
}

// ExportSpans sends a batch; the batcher drops what can't be sent, since no order waits for its trace.
func (c *collector) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	body, err := json.Marshal(request(spans))
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	call.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(call)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("send spans: the collector answers %d", answer.StatusCode)
	}
	return nil
}

// Shutdown has nothing to end.
func (c *collector) Shutdown(context.Context) error { return nil }

type otlpRequest struct {
	ResourceSpans []otlpResource `json:"resourceSpans"`
}

type otlpResource struct {
	Resource   otlpAttributes `json:"resource"`
	ScopeSpans []otlpScope    `json:"scopeSpans"`
}

type otlpAttributes struct {
	Attributes []otlpAttribute `json:"attributes,omitempty"`
}

type otlpScope struct {
	Scope struct {
		Name string `json:"name"`
	} `json:"scope"`
	Spans []otlpSpan `json:"spans"`
}

type otlpSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	ParentID   string          `json:"parentSpanId,omitempty"`
	Name       string          `json:"name"`
	Kind       int             `json:"kind"`
	Start      string          `json:"startTimeUnixNano"`
	End        string          `json:"endTimeUnixNano"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
	Links      []otlpLink      `json:"links,omitempty"`
	Status     otlpStatus      `json:"status"`
}

type otlpLink struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

type otlpStatus struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

type otlpAttribute struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// request groups spans by the part of the program that made them; they all are of one process.
func request(spans []sdktrace.ReadOnlySpan) otlpRequest {
	if len(spans) == 0 {
		return otlpRequest{}
	}
	process := otlpResource{Resource: otlpAttributes{attributes(spans[0].Resource().Attributes())}}
	place := map[string]int{}
	for _, span := range spans {
		name := span.InstrumentationScope().Name
		at, found := place[name]
		if !found {
			at = len(process.ScopeSpans)
			place[name] = at
			process.ScopeSpans = append(process.ScopeSpans, otlpScope{})
			process.ScopeSpans[at].Scope.Name = name
		}
		process.ScopeSpans[at].Spans = append(process.ScopeSpans[at].Spans, otlp(span))
	}
	return otlpRequest{ResourceSpans: []otlpResource{process}}
}

// otlp is a span without its events: those quote error messages, which may quote what was sent.
func otlp(span sdktrace.ReadOnlySpan) otlpSpan {
	out := otlpSpan{
		TraceID: span.SpanContext().TraceID().String(), SpanID: span.SpanContext().SpanID().String(),
		Name: span.Name(), Kind: int(span.SpanKind()),
		Start: nanoseconds(span.StartTime()), End: nanoseconds(span.EndTime()),
		Attributes: attributes(span.Attributes()),
	}
	if span.Parent().HasSpanID() {
		out.ParentID = span.Parent().SpanID().String()
	}
	for _, link := range span.Links() {
		out.Links = append(out.Links, otlpLink{link.SpanContext.TraceID().String(), link.SpanContext.SpanID().String()})
	}
	switch span.Status().Code {
	case codes.Ok:
		out.Status.Code = 1
	case codes.Error:
		out.Status.Code = 2
	case codes.Unset:
	}
	return out
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func attributes(list []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, 0, len(list))
	for _, pair := range list {
		value := map[string]any{}
		switch pair.Value.Type() {
		case attribute.BOOL:
			value["boolValue"] = pair.Value.AsBool()
		case attribute.INT64:
			value["intValue"] = strconv.FormatInt(pair.Value.AsInt64(), 10)
		case attribute.FLOAT64:
			value["doubleValue"] = pair.Value.AsFloat64()
		default:
			value["stringValue"] = pair.Value.String()
		}
		out = append(out, otlpAttribute{Key: string(pair.Key), Value: value})
	}
	return out
}
