package cybersource

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// The codes of faults that the gateway names no reason for.
const (
	CodeUnreadable = "UNREADABLE_ANSWER"     // the answer came whole and makes no sense
	CodeAuth       = "AUTHENTICATION_FAILED" // 401
)

// The gateway's reasons that processes act upon.
const (
	ReasonAuthAlreadyReversed      = "AUTH_ALREADY_REVERSED"
	ReasonAlreadySettled           = "TRANSACTION_ALREADY_SETTLED"
	ReasonAlreadyReversedOrSettled = "TRANSACTION_ALREADY_REVERSED_OR_SETTLED"
	ReasonNotVoidable              = "NOT_VOIDABLE"
	ReasonCaptureAlreadyVoided     = "CAPTURE_ALREADY_VOIDED"
	ReasonMissingAuth              = "MISSING_AUTH"
	ReasonExceedsAuth              = "EXCEEDS_AUTH_AMOUNT"
	ReasonNotSupported             = "NOT_SUPPORTED"
	ReasonDuplicate                = "DUPLICATE_REQUEST"
	ReasonProcessorUnavailable     = "PROCESSOR_UNAVAILABLE"
	ReasonInvalidData              = "INVALID_DATA"
	ReasonMissingField             = "MISSING_FIELD"
)

// busyPause is the pause after PROCESSOR_UNAVAILABLE, which tells none itself.
const busyPause = 30 * time.Second

func (a answer) fault(kind fault.Kind, code, message string) *fault.Fault {
	return &fault.Fault{Kind: kind, System: System, Code: code, Message: message,
		RetryAfter: a.retryAfter, HTTPStatus: a.status, RequestID: a.correlationID}
}

// refusedByStatus is the fault of an answer that is neither 2xx nor 400.
func refusedByStatus(answer answer) *fault.Fault {
	decoded, _ := decodeReply(answer.body) // a body that can't be read adds nothing; the status alone decides
	code, message := decoded.reason(), decoded.message()
	if code == "" {
		code = "HTTP_" + strconv.Itoa(answer.status)
	}
	kind := fault.Bug
	switch {
	case answer.status == http.StatusUnauthorized:
		kind, code, message = fault.Credentials, CodeAuth, "the gateway does not accept the key"
	case answer.status == http.StatusForbidden:
		kind = fault.Credentials
	case answer.status == http.StatusNotFound:
		kind = fault.NotFound
	case answer.status == http.StatusConflict, answer.status == http.StatusGone:
		kind = fault.Conflict
	case answer.status == http.StatusUnprocessableEntity:
		kind = fault.Value
	case answer.status == http.StatusTooManyRequests:
		kind = fault.RateLimit
	case answer.status == http.StatusRequestTimeout, answer.status >= http.StatusInternalServerError:
		kind = fault.UnknownOutcome
	}
	if message == "" {
		message = "the gateway answered " + strconv.Itoa(answer.status)
	}
	return answer.fault(kind, code, message)
}

// refusedByReason judges a 400: refused before processing, except that a duplicate says that an earlier request got through.
//
// A card that can't be used at all (number, brand) is a decline, as at 201: the shop asks for another one. PROCESSOR_UNAVAILABLE is
// Busy: a 400 was not processed, so the same bytes may go again after a pause; should the gateway have kept the transactionId
// all the same, the repeat says duplicate, and the look-up finds only a failed try (see Match).
func refusedByReason(request Request, outcome Outcome, decoded reply, answer answer) (Outcome, error) {
	code := outcome.Reason
	payment := request.Kind == KindAuthorization || request.Kind == KindSale
	timeoutForm := request.Kind == KindTimeoutReversal || request.Kind == KindTimeoutVoid
	refusal := answer.fault(fault.Conflict, code, outcome.Message)
	refusal.Fields = fieldsOf(decoded.details())
	switch code {
	case "":
		return Outcome{}, unreadable(answer)
	case ReasonDuplicate:
		outcome.Result = Duplicate
		return outcome, nil
	case "SYSTEM_ERROR", "SERVER_TIMEOUT", "SERVICE_TIMEOUT":
		refusal.Kind = fault.UnknownOutcome
	case ReasonProcessorUnavailable:
		refusal.Kind = fault.Busy
		refusal.RetryAfter = max(refusal.RetryAfter, busyPause)
	case "INVALID_MERCHANT_CONFIGURATION", "ACCESS_DENIED":
		refusal.Kind = fault.Credentials
	case "INVALID_CARD", "CARD_TYPE_NOT_ACCEPTED", "INVALID_CARD_TYPE":
		if payment {
			outcome.Result = Declined
			return outcome, nil
		}
	case ReasonMissingAuth:
		if timeoutForm {
			refusal.Kind = fault.NotFound
		}
	case ReasonInvalidData, ReasonMissingField:
		refusal.Kind = invalidKind(request.Kind, payment, timeoutForm, refusal.Fields)
	case "INVALID_PAYMENT_ID":
		refusal.Kind = fault.MissingReference
	case "INVALID_AMOUNT":
		refusal.Kind = fault.Value
	default:
		if payment {
			refusal.Kind = fault.Value
		}
	}
	return Outcome{}, refusal
}

// invalidKind tells what INVALID_DATA or MISSING_FIELD is about. On a payment it is a value, or a token that the gateway can't
// resolve. On a follow-on that names no field it is the state of the original, since the body holds nothing else; on a time-out form
// there is no original of that transactionId.
func invalidKind(kind Kind, payment, timeoutForm bool, fields []fault.Field) fault.Kind {
	switch {
	case payment && namesToken(fields):
		return fault.MissingReference
	case payment, kind == KindComment, kind == KindMarking, len(fields) > 0:
		return fault.Value
	case timeoutForm:
		return fault.NotFound
	default:
		return fault.Conflict
	}
}

// namesToken: every refused field is a token, or card data that only the token could have brought.
func namesToken(fields []fault.Field) bool {
	for _, field := range fields {
		if !strings.HasPrefix(field.Path, "tokenInformation") && !strings.HasPrefix(field.Path, "paymentInformation") {
			return false
		}
	}
	return len(fields) > 0
}

func fieldsOf(details []refusedField) []fault.Field {
	var fields []fault.Field
	for _, detail := range details {
		if detail.Field != "" {
			fields = append(fields, fault.Field{Path: sentence(string(detail.Field)), Rule: sentence(string(detail.Reason))})
		}
	}
	return fields
}
