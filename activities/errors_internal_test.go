package activities

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/fault"
)

func TestEveryFaultTakesItsTemporalForm(t *testing.T) {
	const pause = 7 * time.Second
	normal, benign := temporal.ApplicationErrorCategoryUnspecified, temporal.ApplicationErrorCategoryBenign
	fields := []fault.Field{{Path: "lines[].sku=A1", Rule: "must exist in the ERP"}}
	tests := []struct {
		name      string
		err       error
		kind      fault.Kind
		permanent bool
		delay     time.Duration
		category  temporal.ApplicationErrorCategory
	}{
		{"connection", &fault.Fault{Kind: fault.Connection, RetryAfter: pause}, fault.Connection, false, pause, normal},
		{"rate limit", &fault.Fault{Kind: fault.RateLimit, RetryAfter: pause}, fault.RateLimit, false, pause, benign},
		{"busy", &fault.Fault{Kind: fault.Busy, RetryAfter: pause}, fault.Busy, false, pause, benign},
		{"unknown outcome", &fault.Fault{Kind: fault.UnknownOutcome}, fault.UnknownOutcome, false, 0, benign},
		{"unknown outcome at its end", &fault.Fault{Kind: fault.UnknownOutcome, Final: true}, fault.UnknownOutcome, true, 0, benign},
		{"value", &fault.Fault{Kind: fault.Value, Fields: fields}, fault.Value, true, 0, normal},
		{"missing reference", &fault.Fault{Kind: fault.MissingReference}, fault.MissingReference, true, 0, normal},
		{"conflict", &fault.Fault{Kind: fault.Conflict}, fault.Conflict, true, 0, normal},
		{"closed period", &fault.Fault{Kind: fault.ClosedPeriod}, fault.ClosedPeriod, true, 0, normal},
		{"declined by policy", &fault.Fault{Kind: fault.DeclinedByPolicy}, fault.DeclinedByPolicy, true, 0, normal},
		{"credentials", &fault.Fault{Kind: fault.Credentials}, fault.Credentials, true, 0, normal},
		{"not found", &fault.Fault{Kind: fault.NotFound}, fault.NotFound, true, 0, normal},
		{"bug", &fault.Fault{Kind: fault.Bug}, fault.Bug, true, 0, normal},
		{"wrapped", fmt.Errorf("step: %w", &fault.Fault{Kind: fault.Conflict}), fault.Conflict, true, 0, normal},
		{"beside a failure of the journal", errors.Join(errors.New("disk full"), &fault.Fault{Kind: fault.Connection}), fault.Connection, false, 0, normal},
		{"sent, then the deadline", &fault.Fault{Kind: fault.UnknownOutcome, RetryAfter: pause, Err: context.DeadlineExceeded}, fault.UnknownOutcome, false, pause, benign},
		{"sent, then cancelled", &fault.Fault{Kind: fault.UnknownOutcome, Err: context.Canceled}, fault.UnknownOutcome, false, 0, benign},
		{"deadline", fmt.Errorf("read payment: %w", context.DeadlineExceeded), fault.Connection, false, 0, normal},
		{"cancelled", context.Canceled, fault.Connection, false, 0, normal},
		{"our own database", errors.New("database is locked"), fault.Connection, false, 0, normal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := toTemporal(test.err)
			var application *temporal.ApplicationError
			require.ErrorAs(t, err, &application)
			require.Same(t, application, err, "nothing wraps it: a wrapped non-retryable error is retried")
			require.Equal(t, string(test.kind), application.Type())
			require.Equal(t, test.permanent, application.NonRetryable())
			require.Equal(t, test.delay, application.NextRetryDelay())
			require.Equal(t, test.category, application.Category())
			f := fault.As(test.err)
			require.Equal(t, f != nil, application.HasDetails())
			if f != nil {
				var detail FaultDetail
				require.NoError(t, application.Details(&detail))
				require.Equal(t, FaultDetail{System: f.System, Code: f.Code, Fields: f.Fields, HTTPStatus: f.HTTPStatus, RequestID: f.RequestID}, detail)
			}
		})
	}
	require.NoError(t, toTemporal(nil))
}

func TestARefusalSurvivesTheJournal(t *testing.T) {
	refused := &fault.Fault{
		Kind: fault.ClosedPeriod, System: "erp-syspro", Code: "PERIOD_CLOSED", Message: "the period is closed",
		Fields: []fault.Field{{Path: "InvoiceDate", Rule: "PERIOD_CLOSED"}}, HTTPStatus: 422, RequestID: "r-1",
	}
	stored, err := encodeRefusal(refused)
	require.NoError(t, err)
	require.Equal(t, refused, decodeRefusal(stored))
	require.ErrorContains(t, decodeRefusal([]byte("{")), "read refusal")
	require.Nil(t, fault.As(decodeRefusal([]byte("{"))))
}

func TestKeysAndReferencesFitTheGateway(t *testing.T) {
	const longest = "WEB-10001-and-a-tail-of-30.chs"
	require.Len(t, longest, 30)
	key := orderKey(longest, "capture", 12)
	require.Equal(t, "order:"+longest+":capture:12", key)
	require.LessOrEqual(t, len(followOnCode(longest, "C", key)), 50)
	require.NotEqual(t, followOnCode(longest, "C", key), followOnCode(longest, "C", orderKey(longest, "capture", 13)))
	p := &Payments{Deployment: "a", Merchant: "m"}
	require.Len(t, p.transactionID(key), 26)
	require.Equal(t, p.transactionID(key), (&Payments{Deployment: "a", Merchant: "m"}).transactionID(key))
	for _, other := range []*Payments{{Deployment: "b", Merchant: "m"}, {Deployment: "a", Merchant: "n"}} {
		require.NotEqual(t, p.transactionID(key), other.transactionID(key))
	}
}
