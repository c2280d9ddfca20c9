package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenderline/tenderline/internal/canonical"
)

// entry is what the access log says of a request beside what echo knows. Handlers fill it in.
type entry struct {
	caller string // name of the API key
	order  string // of an order that exists
	err    error
}

const entryKey = "tenderline.entry"

func entryOf(c echo.Context) *entry {
	if e, ok := c.Get(entryKey).(*entry); ok {
		return e
	}
	return &entry{}
}

// observe gives each request an id, a span, a line in the access log and its place in the metrics. Neither path nor query is
// logged, only the route: people paste anything into an address.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.clock()
		e := &entry{}
		c.Set(entryKey, e)
		id := requestID(c.Request().Header.Get(echo.HeaderXRequestID))
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		ctx, span := s.startSpan(c.Request())
		c.SetRequest(c.Request().WithContext(ctx))

		if err := next(c); err != nil {
			c.Error(err)
		}
		status, route, took := c.Response().Status, s.routeOf(c), s.clock().Sub(start)
		endSpan(span, c.Request().Method, route, status)
		s.deps.Metrics.Request(method(c.Request().Method), route, status, took)
		s.log.LogAttrs(ctx, levelOf(status), "request",
			slog.String("request_id", id), slog.String("method", method(c.Request().Method)), slog.String("route", route),
			slog.Int("status", status), slog.Int64("bytes", c.Response().Size), slog.Duration("took", took),
			slog.String("remote", c.RealIP()), slog.String("caller", e.caller), slog.String("order", e.order), causeOf(e.err, status))
		return nil
	}
}

// routeOf is the pattern of the request's route. Where none fits, echo gives the path itself, which nobody may log.
func (s *Server) routeOf(c echo.Context) string {
	if s.patterns[c.Path()] {
		return c.Path()
	}
	return "none"
}

// method keeps made-up methods out of the metrics.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	default:
		return "other"
	}
}

func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// causeOf logs what was wrong on our side; a refusal tells the caller itself.
func causeOf(err error, status int) slog.Attr {
	if err == nil || status < http.StatusInternalServerError {
		return slog.Attr{}
	}
	return slog.String("error", err.Error())
}

var requestIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID takes the caller's id where it is harmless, else makes one.
func requestID(given string) string {
	if requestIDShape.MatchString(given) {
		if cards, _ := canonical.FindCardNumbers([]byte(strconv.Quote(given))); len(cards) == 0 {
			return given
		}
	}
	return rand.Text()
}

func (s *Server) startSpan(r *http.Request) (context.Context, trace.Span) {
	if s.tracer == nil {
		return r.Context(), nil
	}
	ctx := s.deps.Traces.Propagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	return s.tracer.Start(ctx, method(r.Method), trace.WithSpanKind(trace.SpanKindServer))
}

func endSpan(span trace.Span, method, route string, status int) {
	if span == nil {
		return
	}
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// recoverPanic turns a panic into a failure of one request.
func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
					panic(cause)
				}
				s.log.ErrorContext(c.Request().Context(), "handler panicked", "route", s.routeOf(c), "stack", string(debug.Stack()))
				err = fmt.Errorf("panic of type %T", cause) // its text may quote the request
			}
		}()
		return next(c)
	}
}

// secure says to browsers that there is nothing here to show, frame or keep.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderXFrameOptions, "DENY")
		header.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")
		header.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// bound gives a request its time and its largest body.
func (s *Server) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.deps.HTTP.Timeout)
		defer cancel()
		r := c.Request().WithContext(ctx)
		r.Body = http.MaxBytesReader(c.Response(), r.Body, s.deps.HTTP.BodyLimit)
		c.SetRequest(r)
		return next(c)
	}
}

// addressOf finds the caller's address: of the connection, or of X-Forwarded-For where a trusted proxy wrote it.
func addressOf(trusted []string) (echo.IPExtractor, error) {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect(), nil
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, text := range trusted {
		_, ipRange, err := net.ParseCIDR(text)
		if err != nil {
			return nil, errors.New("make api: a trusted proxy is no address range")
		}
		options = append(options, echo.TrustIPRange(ipRange))
	}
	return echo.ExtractIPFromXFFHeader(options...), nil
}

// seconds rounds a pause up, to at least one.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }
