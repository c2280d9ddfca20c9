package syspro

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// kinds is the table of the facade's codes: what each refusal means to a process. Codes ending in _NOT_FOUND and statuses without a code
// of this table are decided in kindOf.
var kinds = map[string]fault.Kind{
	// 400
	"MALFORMED_JSON":           fault.Value,
	"MISSING_FIELD":            fault.Value,
	"INVALID_FIELD":            fault.Value,
	"FIELD_TOO_LONG":           fault.Value,
	"IDEMPOTENCY_KEY_REQUIRED": fault.Bug,
	// 401, 403
	"AUTH_INVALID_CLIENT":     fault.Credentials,
	"TOKEN_EXPIRED":           fault.Credentials, // again after a renewal
	"TOKEN_INVALID":           fault.Credentials,
	"API_KEY_INVALID":         fault.Credentials,
	"OPERATOR_NOT_AUTHORISED": fault.Credentials,
	"LICENCE_MISSING":         fault.Credentials,
	// 409
	"DUPLICATE_REFERENCE": fault.Conflict, // adopted before it gets this far, where the documents are identical
	// The same key was sent with another document. Operations send stored bytes, so this is a broken invariant of ours: repeating
	// can't help, and neither can an operator's correction under the same key.
	"IDEMPOTENCY_KEY_REUSED": fault.Bug,
	"REQUEST_IN_PROGRESS":    fault.Busy,
	"STATUS_CONFLICT":        fault.Conflict,
	"RECORD_LOCKED":          fault.Busy,
	// 422
	"CUSTOMER_ON_HOLD":      fault.DeclinedByPolicy,
	"CREDIT_LIMIT_EXCEEDED": fault.DeclinedByPolicy,
	"INSUFFICIENT_STOCK":    fault.DeclinedByPolicy,
	"ACCOUNT_ON_HOLD":       fault.DeclinedByPolicy,
	"BUSINESS_RULE":         fault.DeclinedByPolicy,
	"CURRENCY_MISMATCH":     fault.Value,
	"TOTAL_MISMATCH":        fault.Value,
	"JOURNAL_UNBALANCED":    fault.Value,
	"PERIOD_CLOSED":         fault.ClosedPeriod,
	"INVOICE_OVERPAID":      fault.Conflict,
	"ORDER_NOT_CANCELLABLE": fault.Conflict,
	// 429
	"SESSION_LIMIT": fault.RateLimit,
	"RATE_LIMITED":  fault.RateLimit,
}

const (
	codeDuplicate = "DUPLICATE_REFERENCE"
	codeTooLong   = "FIELD_TOO_LONG"
)

// kindOf decides what an answer that is no success means. changes tells whether the call may have left something behind.
func kindOf(status int, code string, changes bool) fault.Kind {
	switch {
	case status >= 500: // whatever its code says, the e.net call behind the facade may have been made
		return unanswered(changes)
	case status == http.StatusTooManyRequests:
		return fault.RateLimit
	}
	if kind, known := kinds[code]; known {
		return kind
	}
	switch {
	case strings.HasSuffix(code, "_NOT_FOUND"):
		// A look-up's normal answer; in a mutation it names what the document refers to.
		if status == http.StatusNotFound && !changes {
			return fault.NotFound
		}
		return fault.MissingReference
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.Credentials
	case status == http.StatusRequestTimeout:
		return unanswered(changes)
	case status == http.StatusConflict && code == "":
		// Still running, locked or there already: nothing was said that tells. Asking tells.
		return conflictWithoutCode(changes)
	case status == http.StatusConflict:
		return fault.Conflict
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity, status == http.StatusRequestEntityTooLarge:
		return fault.Value
	default:
		// Among them a 404 without a code: it comes from something before the facade, so it proves the absence of nothing.
		return fault.Bug
	}
}

func unanswered(changes bool) fault.Kind {
	if changes {
		return fault.UnknownOutcome
	}
	return fault.Connection
}

func conflictWithoutCode(changes bool) fault.Kind {
	if changes {
		return fault.UnknownOutcome
	}
	return fault.Conflict
}

// problem is the facade's error envelope.
type problem struct {
	RequestID string `json:"RequestId"`
	Errors    []problemError
	Existing  json.RawMessage
}

type problemError struct {
	Code          string
	Message       string
	Field         string
	Value         json.RawMessage
	CurrentYear   json.Number
	CurrentPeriod json.Number
}

// refusal turns an answer that is no success into its fault.
func (c *Client) refusal(request call, response *http.Response, body []byte, requestID string) *fault.Fault {
	var got problem
	_ = json.Unmarshal(body, &got) // a proxy's page, or an answer that broke off: the status alone speaks
	f := &fault.Fault{
		System:     c.config.Name,
		HTTPStatus: response.StatusCode,
		RequestID:  requestID,
		RetryAfter: outbound.RetryAfter(response.Header, c.config.Clock()),
		Message:    fmt.Sprintf("the ERP answered %d without a reason", response.StatusCode),
	}
	if got.RequestID != "" && len(got.RequestID) <= 64 {
		f.RequestID = clean(got.RequestID, "")
	}
	if len(got.Errors) > 0 {
		first := got.Errors[0]
		f.Code = code(first.Code)
		f.Message = messageOf(first)
	}
	for _, each := range got.Errors[:min(len(got.Errors), maxFields)] {
		if each.Field != "" {
			f.Fields = append(f.Fields, fault.Field{Path: clean(each.Field, ""), Rule: ruleOf(each)})
		}
	}
	f.Kind = kindOf(response.StatusCode, f.Code, request.changes())
	return f
}

// ruleOf is the code of a refused field. A field that is too long says how much fits, where the facade's sentence does: who shortens the
// value has to know.
func ruleOf(e problemError) string {
	rule := code(e.Code)
	if rule != codeTooLong {
		return rule
	}
	message := strings.ReplaceAll(clean(e.Message, strings.Trim(string(e.Value), `"`)), e.Field, "")
	if numbers := plainInteger.FindAllString(message, -1); len(numbers) == 1 && len(numbers[0]) <= 4 {
		return rule + ": at most " + numbers[0] + " characters"
	}
	return rule
}

const (
	maxFields  = 50
	maxMessage = 300
)

var (
	codeShape    = regexp.MustCompile(`^[A-Z0-9_]{1,64}$`)
	emailLike    = regexp.MustCompile(`\S+@\S+`)
	plainInteger = regexp.MustCompile(`\b[1-9][0-9]*\b`)
	longDigit    = regexp.MustCompile(`\d(?:[ -]?\d){12,18}`)
)

// code passes a code that looks like one.
func code(text string) string {
	if codeShape.MatchString(text) {
		return text
	}
	return ""
}

// messageOf is the facade's sentence without the refused value, which may be a person's. A missing reference is named: it is a code, and
// who is to correct it must know which.
func messageOf(e problemError) string {
	value := strings.Trim(string(e.Value), `"`)
	if strings.HasSuffix(e.Code, "_NOT_FOUND") {
		value = ""
	}
	message := clean(e.Message, value)
	if e.CurrentPeriod != "" {
		message += fmt.Sprintf(" (current period %s/%s)", e.CurrentYear, e.CurrentPeriod)
	}
	return message
}

// clean bounds foreign text and takes control characters, a value, mail addresses and anything shaped like a card number out of it.
func clean(text, value string) string {
	if value != "" {
		text = strings.ReplaceAll(text, value, "…")
	}
	text = emailLike.ReplaceAllString(text, "…")
	text = longDigit.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "…"))
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}

// noAnswer classes a call without a complete answer. The outbound transport says itself whether the request left; of any other one
// only a failed dial is proof that it did not.
func (c *Client) noAnswer(request call, requestID string, err error) *fault.Fault {
	var known *fault.Fault
	if errors.As(err, &known) {
		copied := *known
		copied.System = c.config.Name
		if copied.RequestID == "" {
			copied.RequestID = requestID
		}
		return &copied
	}
	f := &fault.Fault{Kind: unanswered(request.changes()), System: c.config.Name, RequestID: requestID,
		Message: "no complete answer came", Err: err}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		f.Kind, f.Message = fault.Connection, "the ERP can't be reached, nothing was sent"
	}
	return f
}

// unreadable classes a success whose body can't be used. A mutation was made, but which document came of it is not known; a look-up with
// such an answer breaks the contract, unless the answer just broke off or is no JSON at all.
func (c *Client) unreadable(request call, status int, requestID string, err error) *fault.Fault {
	f := &fault.Fault{System: c.config.Name, Code: "UNREADABLE_ANSWER", HTTPStatus: status, RequestID: requestID,
		Message: "the ERP reported success, but its answer can't be read", Err: err}
	switch {
	case request.changes():
		f.Kind = fault.UnknownOutcome
	case isBrokenOff(err), errors.Is(err, errNoFacade):
		f.Kind = fault.Connection // also the page that a proxy puts in front of an ERP which is down
	default:
		f.Kind = fault.Bug
	}
	return f
}
