// Package fault says what went wrong outside in the one vocabulary that activities, workflows and operators share.
// Adapters return *Fault; activities/errors.go turns it into its Temporal form; a Kind is also the class of a parked step.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a failure. It decides whether a step is retried, looked up, parked or compensated.
type Kind string

// The kinds, retryable ones first.
const (
	// Connection: the request never left, or the system is known not to have processed it. Safe to send again.
	Connection Kind = "connection"
	// RateLimit: refused for load (429, session limit, open breaker, client-side limit). Nothing was processed.
	RateLimit Kind = "rate_limit"
	// Busy: a record is locked or the first request of the same key still runs. Nothing was processed by this one.
	Busy Kind = "busy"
	// UnknownOutcome: sent, but no answer that tells what became of it. Ask before sending again.
	UnknownOutcome Kind = "unknown_outcome"

	// Value: the other side refused a value (validation, length, total). Permanent until the document is corrected.
	Value Kind = "value"
	// MissingReference: a customer, stock code, account or token that the other side does not know.
	MissingReference Kind = "missing_reference"
	// Conflict: the other side's state forbids the step (already reversed, not voidable, not cancellable, duplicate).
	Conflict Kind = "conflict"
	// ClosedPeriod: the posting period is closed.
	ClosedPeriod Kind = "closed_period"
	// DeclinedByPolicy: a rule of the ERP or of ours says no (credit limit, customer on hold, stock policy).
	DeclinedByPolicy Kind = "declined_by_policy"
	// Credentials: a key is wrong or lacks a right. Permanent until the configuration changes.
	Credentials Kind = "credentials"
	// NotFound: a look-up that found nothing; an answer more than a failure.
	NotFound Kind = "not_found"
	// Bug: our own invariant is broken, or the other side answered what its contract does not allow.
	Bug Kind = "bug"
)

// Retryable tells whether the same step may succeed later without anybody's help.
func (k Kind) Retryable() bool {
	switch k {
	case Connection, RateLimit, Busy, UnknownOutcome:
		return true
	default:
		return false
	}
}

// Fault is a failure of an outside system, or of our dealing with it. Message never holds a secret, a card or a person's data
// beyond what the named fields are.
type Fault struct {
	Kind       Kind
	System     string        // "cybersource", "erp-syspro", ...
	Code       string        // the other side's code: INVALID_DATA, STOCK_NOT_FOUND, ...
	Message    string        // one sentence for a person
	Fields     []Field       // what was wrong, field by field
	RetryAfter time.Duration // 0: not told
	HTTPStatus int           // 0: no answer
	RequestID  string        // the other side's correlation id
	Final      bool          // the budget for a retryable kind is spent: a person decides
	Err        error         // cause, for logs
}

// Field names one refused field: the other side's path and rule, never the value.
type Field struct {
	Path string `json:"path"`
	Rule string `json:"rule"`
}

// Error reads "system: kind CODE: message (path: rule, ...)".
func (f *Fault) Error() string {
	text := fmt.Sprintf("%s: %s", f.System, f.Kind)
	if f.Code != "" {
		text += " " + f.Code
	}
	if f.Message != "" {
		text += ": " + f.Message
	}
	for i, field := range f.Fields {
		separator := ", "
		if i == 0 {
			separator = " ("
		}
		text += separator + field.Path + ": " + field.Rule
	}
	if len(f.Fields) > 0 {
		text += ")"
	}
	return text
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Is reports whether err holds a Fault of the kind.
func Is(err error, kind Kind) bool {
	var f *Fault
	return errors.As(err, &f) && f.Kind == kind
}

// As gives the Fault in err, or nil.
func As(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}
