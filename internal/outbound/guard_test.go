package outbound_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// What is behind a Guard need not be HTTP: it counts faults by their kind, and records each call once.
func TestAGuardCountsWhatSpeaksAgainstTheSystem(t *testing.T) {
	of := func(kind fault.Kind) error { return &fault.Fault{Kind: kind, System: "test", Code: "TOLD"} }
	tests := map[string]struct {
		err   error
		opens bool
	}{
		"done":               {nil, false},
		"refused":            {of(fault.Value), false},
		"locked":             {of(fault.Busy), false},
		"not found":          {of(fault.NotFound), false},
		"not reached":        {of(fault.Connection), true},
		"answer lost":        {of(fault.UnknownOutcome), true},
		"no fault at all":    {errors.New("out of the blue"), true},
		"the caller gave up": {&fault.Fault{Kind: fault.Connection, Err: context.Canceled}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var observed []outbound.Call
			guard := outbound.NewGuard(outbound.Config{System: "test", Breaker: outbound.Breaker{MinRequests: 3, OpenFor: time.Hour},
				Observe: func(call outbound.Call) { observed = append(observed, call) }})
			ctx, recorder := outbound.WithRecorder(outbound.WithOperation(t.Context(), "order/1:book:1"))
			sent := 0
			for range 3 {
				err := guard.Do(ctx, outbound.Call{Method: "WRITE", Route: "Book"}, func(call *outbound.Call) error {
					sent++
					call.CorrelationID = "c-1"
					return test.err
				})
				require.Equal(t, test.err, err, "an error is passed on as it is")
			}
			err := guard.Do(ctx, outbound.Call{Method: "WRITE", Route: "Book"}, func(*outbound.Call) error {
				sent++
				return nil
			})
			require.Equal(t, test.opens, fault.Is(err, fault.RateLimit), "%v", err)
			require.Equal(t, recorder.Calls(), observed)
			require.Len(t, observed, 4)
			require.Equal(t, "test", observed[0].System)
			require.Equal(t, "Book", observed[0].Route)
			require.Equal(t, "c-1", observed[0].CorrelationID)
			require.Equal(t, "order/1:book:1", observed[0].OperationKey)
			if test.opens {
				require.Equal(t, 3, sent, "an open breaker sends nothing")
				require.Equal(t, outbound.CodeBreakerOpen, fault.As(err).Code)
				require.Positive(t, fault.As(err).RetryAfter)
				require.Equal(t, "rate_limit/"+outbound.CodeBreakerOpen, observed[3].Error)
			}
		})
	}
}

func TestAGuardKeepsItsRate(t *testing.T) {
	guard := outbound.NewGuard(outbound.Config{System: "test", Limit: 0.001, MaxWait: time.Millisecond})
	call := func() error {
		return guard.Do(t.Context(), outbound.Call{}, func(*outbound.Call) error { return nil })
	}
	require.NoError(t, call())
	f := fault.As(call())
	require.Equal(t, outbound.CodeClientLimit, f.Code)
	require.Greater(t, f.RetryAfter, time.Minute)
}
