package activities

import (
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/fault"
)

// FaultDetail travels with the application error, for the parked item and for the engineer who reads the history.
type FaultDetail struct {
	System     string        `json:"system,omitempty"`
	Code       string        `json:"code,omitempty"`
	Fields     []fault.Field `json:"fields,omitempty"`
	HTTPStatus int           `json:"httpStatus,omitempty"`
	RequestID  string        `json:"requestId,omitempty"`
}

// toTemporal is the one place where an error takes its Temporal form: the type is the fault's kind, permanent kinds are not
// retried, and what the other side asked us to wait becomes the next retry's delay. It is the last line of every activity;
// nothing may wrap its result, since a wrapped non-retryable error is retried.
func toTemporal(err error) error {
	if err == nil {
		return nil
	}
	f := fault.As(err)
	if f == nil {
		// Our own database, a deadline or an unforeseen failure: retried, since a restart or a failover may mend it.
		return temporal.NewApplicationErrorWithOptions(err.Error(), string(fault.Connection), temporal.ApplicationErrorOptions{Cause: err})
	}
	return temporal.NewApplicationErrorWithOptions(f.Error(), string(f.Kind), temporal.ApplicationErrorOptions{
		NonRetryable:   !f.Kind.Retryable() || f.Final,
		NextRetryDelay: f.RetryAfter,
		Category:       category(f.Kind),
		Details: []any{FaultDetail{
			System: f.System, Code: f.Code, Fields: f.Fields, HTTPStatus: f.HTTPStatus, RequestID: f.RequestID,
		}},
	})
}

// category keeps failures that belong to a normal day out of the error metrics and the warning logs.
func category(kind fault.Kind) temporal.ApplicationErrorCategory {
	switch kind {
	case fault.UnknownOutcome, fault.RateLimit, fault.Busy:
		return temporal.ApplicationErrorCategoryBenign
	default:
		return temporal.ApplicationErrorCategoryUnspecified
	}
}
