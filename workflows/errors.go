package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
)

// kindOf reads the fault's kind from an activity's error: the application error's type, also where a time-out wraps the last
// failure. A time-out without a cause means that nobody answered: the outcome is unknown.
func kindOf(err error) fault.Kind {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return fault.Kind(application.Type())
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return fault.UnknownOutcome
	}
	return fault.Bug
}

// detailOf reads what the outside system said, or nil.
func detailOf(err error) *activities.FaultDetail {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || !application.HasDetails() {
		return nil
	}
	var detail activities.FaultDetail
	if application.Details(&detail) != nil {
		return nil
	}
	return &detail
}

// messageOf is the failure in one sentence for a person.
func messageOf(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return application.Message()
	}
	return err.Error()
}

// refused tells that the other side has answered no: the same operation will not be sent again, a retry is a new business attempt.
func refused(err error) bool { return !kindOf(err).Retryable() }

// refuse is the error of an update that is not accepted; kind is one of the Refused constants.
func refuse(kind, message string) error {
	return temporal.NewNonRetryableApplicationError(message, kind, nil)
}

// invalidCorrection is the refusal of a correction, with what is wrong of it field by field.
func invalidCorrection(err error) error {
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.Type() == RefusedInvalid {
		return err
	}
	var details []any
	if detail := detailOf(err); detail != nil {
		details = []any{*detail}
	}
	return temporal.NewNonRetryableApplicationError(messageOf(err), RefusedInvalid, nil, details...)
}
