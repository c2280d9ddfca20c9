package outbound

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/tenderline/tenderline/internal/fault"
)

// Guard stands before every call to one system, whatever the call travels by: circuit breaker, client-side rate limit, and the record of
// each call in metrics, logs and the caller's Recorder. Transport is a Guard around HTTP; an adapter that speaks to a database has one of its
// own. It is safe for concurrent use.
type Guard struct {
	config   Config
	breaker  *gobreaker.CircuitBreaker[struct{}]
	limiter  *rate.Limiter
	openedAt atomic.Int64 // Unix nanoseconds; of the breaker's own clock, which is the wall clock
}

// NewGuard builds a Guard from System, Limit, Burst, MaxWait, Breaker, Logger, Observe and Clock of a configuration; the rest is of HTTP.
func NewGuard(config Config) *Guard {
	config = config.withDefaults()
	g := &Guard{config: config}
	if config.Limit > 0 {
		g.limiter = rate.NewLimiter(config.Limit, config.Burst)
	}
	g.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:     config.System,
		Interval: config.Breaker.Window,
		Timeout:  config.Breaker.OpenFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.Requests >= config.Breaker.MinRequests &&
				float64(counts.TotalFailures) >= config.Breaker.FailureRatio*float64(counts.Requests)
		},
		OnStateChange: g.stateChanged,
		IsExcluded:    saysNothingOfTheSystem,
		IsSuccessful:  answered,
	})
	return g
}

// Do lets a call through, once, or refuses it with a *fault.Fault of kind RateLimit that tells when to come again; then nothing was sent. The
// caller names the call's Method and Route, send adds what the answer told (Status, CorrelationID), and Do the rest. send's error is
// returned as it is. Faults of the kinds Connection and UnknownOutcome, and errors that are no faults, speak against the system; a fault of
// another kind is an answer.
func (g *Guard) Do(ctx context.Context, call Call, send func(*Call) error) error {
	call.At = g.config.Clock()
	call.System = g.config.System
	call.OperationKey = operationOf(ctx)
	_, err := g.breaker.Execute(func() (struct{}, error) {
		if err := g.wait(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, send(&call)
	})
	switch {
	case errors.Is(err, errServerError):
		err = nil // an answer, though one that the breaker has counted
	case errors.Is(err, gobreaker.ErrOpenState):
		err = g.refusal(CodeBreakerOpen, "the system fails too often, calls pause", g.untilProbe())
	case errors.Is(err, gobreaker.ErrTooManyRequests):
		err = g.refusal(CodeBreakerOpen, "the system is being probed after failures", halfOpenPause)
	}
	g.observe(ctx, call, err)
	return err
}

// wait takes a place under the client-side limit, or refuses when the queue is longer than the patience of config or caller.
func (g *Guard) wait(ctx context.Context) error {
	if g.limiter == nil {
		return nil
	}
	place := g.limiter.Reserve()
	delay := place.Delay()
	deadline, bounded := ctx.Deadline()
	if delay > g.config.MaxWait || bounded && delay > time.Until(deadline) {
		place.Cancel()
		return g.refusal(CodeClientLimit, "too many calls wait for the client-side rate limit", delay)
	}
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		place.Cancel()
		return g.refusal(CodeClientLimit, "the caller gave up waiting for the client-side rate limit", delay)
	}
}

func (g *Guard) refusal(code, message string, retryAfter time.Duration) *fault.Fault {
	return &fault.Fault{Kind: fault.RateLimit, System: g.config.System, Code: code, Message: message, RetryAfter: retryAfter}
}

func (g *Guard) stateChanged(_ string, from, to gobreaker.State) {
	if to == gobreaker.StateOpen {
		g.openedAt.Store(time.Now().UnixNano())
	}
	g.config.Logger.Warn("circuit breaker", "system", g.config.System, "from", from.String(), "to", to.String())
}

// untilProbe is the rest of the breaker's pause, never less than a moment, so that callers don't spin at its end.
func (g *Guard) untilProbe() time.Duration {
	rest := g.config.Breaker.OpenFor - time.Since(time.Unix(0, g.openedAt.Load()))
	return max(rest, 100*time.Millisecond)
}

// saysNothingOfTheSystem excludes from the breaker's count what ended before the system could fail.
func saysNothingOfTheSystem(err error) bool {
	f := fault.As(err)
	return f != nil && (f.Code == CodeClientLimit || errors.Is(f.Err, context.Canceled))
}

// answered tells whether the system did its part, be it to refuse.
func answered(err error) bool {
	f := fault.As(err)
	return err == nil || f != nil && f.Kind != fault.Connection && f.Kind != fault.UnknownOutcome
}

func (g *Guard) observe(ctx context.Context, call Call, err error) {
	call.Duration = g.config.Clock().Sub(call.At)
	call.Error = errorName(call.Status, err)
	if recorder := recorderOf(ctx); recorder != nil {
		recorder.add(call)
	}
	g.config.Observe(call)
	level := slog.LevelInfo
	if call.Error != "" || call.Status >= http.StatusBadRequest {
		level = slog.LevelWarn
	}
	g.config.Logger.LogAttrs(ctx, level, "outside call",
		slog.String("system", call.System), slog.String("method", call.Method), slog.String("route", call.Route),
		slog.Int("status", call.Status), slog.Duration("duration", call.Duration),
		slog.String("correlation_id", call.CorrelationID), slog.String("operation", call.OperationKey),
		slog.String("error", call.Error))
}

func errorName(status int, err error) string {
	f := fault.As(err)
	switch {
	case f != nil && f.Code != "":
		return string(f.Kind) + "/" + f.Code
	case f != nil:
		return string(f.Kind)
	case err != nil:
		return string(fault.UnknownOutcome)
	case status >= http.StatusInternalServerError:
		return codeServerError
	default:
		return ""
	}
}
