package starter

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Kind is the class of a refusal; callers switch on it.
type Kind string

// The kinds.
const (
	NotFound    Kind = "not_found"   // there is no such order or item
	TooLate     Kind = "too_late"    // the process has ended, or somebody was faster
	NotNow      Kind = "not_now"     // the process does not wait for this, yet or any more
	Conflict    Kind = "conflict"    // decided otherwise, or another body under the same ID
	Invalid     Kind = "invalid"     // the request itself is wrong
	Unavailable Kind = "unavailable" // Temporal does not answer, or not in time: repeat it
)

// Error is why something was not done.
type Error struct {
	Kind     Kind
	Message  string              // one sentence for the caller, without anybody's data
	Problems []canonical.Problem // what is wrong with the request, field by field
	Err      error               // cause, for logs
}

// Error reads "kind: message".
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is tells whether err is an Error of the kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// classify gives an answer of Temporal, or of a workflow through it, its kind. What it does not know it returns as it is: a failure of ours.
func classify(err error) error {
	var refused *temporal.ApplicationError
	if errors.As(err, &refused) {
		if kind, foreseen := refusal(refused.Type()); foreseen {
			return &Error{Kind: kind, Message: refused.Message(), Err: err}
		}
		return err
	}
	var absent *serviceerror.NotFound
	var namespace *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &namespace):
		return err
	case errors.As(err, &absent):
		return &Error{Kind: NotFound, Message: "no process waits under this ID", Err: err}
	case transient(err):
		return &Error{Kind: Unavailable, Message: "the process engine does not answer in time; repeat the request", Err: err}
	default:
		return err
	}
}

// refusal is the kind of a workflow's refusal; false for a failure that is none.
func refusal(errorType string) (Kind, bool) {
	switch errorType {
	case workflows.RefusedTooLate, acceptedThenCompleted:
		return TooLate, true
	case workflows.RefusedNotNow:
		return NotNow, true
	case workflows.RefusedUnknown:
		return NotFound, true
	case workflows.RefusedInvalid:
		return Invalid, true
	case workflows.RefusedConflict:
		return Conflict, true
	default:
		return "", false
	}
}

// acceptedThenCompleted is the server's name for an update whose workflow ended before it was carried out.
const acceptedThenCompleted = "AcceptedUpdateCompletedWorkflow"

// transient tells whether the same call may succeed later.
func transient(err error) bool {
	var timeout *client.WorkflowUpdateServiceTimeoutOrCanceledError
	if errors.As(err, &timeout) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	var unavailable *serviceerror.Unavailable
	var exhausted *serviceerror.ResourceExhausted
	var deadline *serviceerror.DeadlineExceeded
	var cancelled *serviceerror.Canceled
	var notReady *serviceerror.WorkflowNotReady
	if errors.As(err, &unavailable) || errors.As(err, &exhausted) || errors.As(err, &deadline) || errors.As(err, &cancelled) || errors.As(err, &notReady) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Canceled:
		return true
	default:
		return false
	}
}

// stored gives an answer of the journal its kind.
func stored(err error, what string) error {
	if errors.Is(err, journal.ErrNotFound) {
		return &Error{Kind: NotFound, Message: "there is no such " + what, Err: err}
	}
	return err
}
