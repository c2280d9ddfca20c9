// Package outbound is the way to every system outside: a Guard with circuit breaker, client-side rate limit and a record of each call, and
// around it, for systems behind HTTP, one http.RoundTripper with time-out and bounded answers. It tells a request that never left from one
// whose answer was lost, because the first may be sent again and the second must be asked for.
package outbound

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Config describes the way to one system. Only System is needed; zero values give the defaults named below.
type Config struct {
	System  string        // name in faults, logs and records: "cybersource", "erp-syspro"
	Limit   rate.Limit    // calls per second; 0: no limit
	Burst   int           // calls at once under the limit; default 1
	MaxWait time.Duration // longest wait for the limit before a call is refused; default 2 s
	Breaker Breaker
	Timeout time.Duration // one call, from the first byte sent to the last one read; default 25 s
	MaxBody int64         // bytes of an answer; default 4 MiB

	Base     http.RoundTripper          // default NewBase()
	Logger   *slog.Logger               // default: nothing is logged
	Observe  func(Call)                 // sees every call, for metrics
	Route    func(*http.Request) string // name of a request's route; default: the path with its ids replaced
	Clock    func() time.Time           // default time.Now
	TraceIDs []string                   // answer headers that may hold the other side's id of the call, the first present one counts
}

// Breaker says when a system counts as down. 5xx, broken connections and time-outs are failures; 4xx are answers.
type Breaker struct {
	FailureRatio float64       // share of failures that opens it; default 0.6
	MinRequests  uint32        // calls in the window before the ratio counts; default 10
	Window       time.Duration // over which calls are counted while it is closed; default 30 s
	OpenFor      time.Duration // pause before a probe is let through; default 15 s
}

// The codes of faults made here, where the other side gave none.
const (
	CodeBreakerOpen   = "BREAKER_OPEN"      // the breaker is open: nothing was sent
	CodeClientLimit   = "CLIENT_RATE_LIMIT" // our own limit: nothing was sent
	CodeNotSent       = "NOT_SENT"          // no connection, or it broke before the first byte
	CodeNoAnswer      = "NO_ANSWER"         // sent, then the connection broke
	CodeTimeout       = "TIMEOUT"           // sent, then the time was up
	CodeBrokenAnswer  = "TRUNCATED_ANSWER"  // the answer began and broke off
	CodeAnswerTooLong = "ANSWER_TOO_LONG"   // the answer is beyond MaxBody
	CodeCancelled     = "CANCELLED"         // the caller gave up after the request had left
	codeServerError   = "SERVER_ERROR"      // a 5xx, for the breaker and the record
	halfOpenPause     = time.Second         // pause while another call probes a half-open breaker
	defaultTimeout    = 25 * time.Second    // shorter than an activity's start-to-close time-out
	defaultMaxBody    = int64(4 * 1024 * 1024)
)

// Transport builds the stack. Errors of RoundTrip are *fault.Fault:
//   - RateLimit with RetryAfter: the breaker is open or the limit's queue too long; nothing was sent;
//   - Connection: nothing was sent, or the request only reads;
//   - UnknownOutcome: sent, and no complete answer came.
//
// A complete answer of any status is no error. Its body is read into memory, so that closing it can't fail. A request is
// sent at most once: bodies can't be replayed by net/http, not even under an Idempotency-Key.
func Transport(config Config) http.RoundTripper {
	config = config.withDefaults()
	return &transport{config: config, guard: NewGuard(config)}
}

// Client is an http.Client over the transport that never follows a redirect: the signature covers one host and path, and a
// redirect that net/http follows would send a body twice.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c Config) withDefaults() Config {
	c.Burst = max(c.Burst, 1)
	c.MaxWait = orDefault(c.MaxWait, 2*time.Second)
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.MaxBody = orDefault(c.MaxBody, defaultMaxBody)
	c.Breaker.FailureRatio = orDefault(c.Breaker.FailureRatio, 0.6)
	c.Breaker.MinRequests = orDefault(c.Breaker.MinRequests, 10)
	c.Breaker.Window = orDefault(c.Breaker.Window, 30*time.Second)
	c.Breaker.OpenFor = orDefault(c.Breaker.OpenFor, 15*time.Second)
	if c.Base == nil {
		c.Base = NewBase()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Call) {}
	}
	if c.Route == nil {
		c.Route = func(request *http.Request) string { return RouteOf(request.URL.Path) }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.TraceIDs == nil {
		c.TraceIDs = []string{"v-c-correlation-id", "X-Correlation-Id", "X-Request-Id"}
	}
	return c
}

func orDefault[T int64 | uint32 | float64 | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

type transport struct {
	config Config
	guard  *Guard
}

// errServerError marks a 5xx for the breaker; it never leaves this package.
var errServerError = errors.New("server error")

// RoundTrip sends one request, at most once.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	call := Call{Method: request.Method, Route: t.config.Route(request)}
	var response *http.Response
	taken := false
	err := t.guard.Do(request.Context(), call, func(call *Call) error {
		taken = true
		got, err := t.send(request) //nolint:bodyclose // it is RoundTrip's answer: its caller closes it
		if got != nil {
			call.Status = got.StatusCode
			call.CorrelationID = t.correlation(got.Header)
		}
		response = got
		return err
	})
	if !taken {
		closeBody(request)
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// maxTraceID bounds what an outside header may put into logs and records.
const maxTraceID = 100

func (t *transport) correlation(header http.Header) string {
	for _, name := range t.config.TraceIDs {
		if value := header.Get(name); value != "" {
			return value[:min(len(value), maxTraceID)]
		}
	}
	return ""
}

// identifier fits path segments that name one record: long numbers, hexadecimal keys, UUIDs.
var identifier = regexp.MustCompile(`^(\d{6,}|[0-9A-Fa-f]{16,}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$`)

// RouteOf replaces the ids in a path by {id}: "/pts/v2/payments/{id}/captures". Tokens, which are longer than any name of a
// resource, are replaced too.
func RouteOf(path string) string {
	const longestName = 32
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if len(segment) > longestName || identifier.MatchString(segment) {
			segments[i] = "{id}"
		}
	}
	return strings.Join(segments, "/")
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}
