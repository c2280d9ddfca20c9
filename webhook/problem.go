package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
)

// problem is the body of every refusal (RFC 9457). Type is stable; callers switch on it.
type problem struct {
	Type       string              `json:"type"`
	Title      string              `json:"title"`
	Status     int                 `json:"status"`
	Detail     string              `json:"detail,omitempty"`
	RequestID  string              `json:"requestId,omitempty"`
	Errors     []canonical.Problem `json:"errors,omitempty"`
	retryAfter int                 // seconds; 0: no header
	cause      error               // for the log, never for the caller
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.Title + ": " + p.cause.Error()
	}
	return p.Title
}

func (p *problem) Unwrap() error { return p.cause }

// The types of problems.
const (
	typeMalformed    = "malformed"
	typeInvalid      = "invalid"
	typeCardData     = "card-data"
	typeUnauthorized = "unauthorized"
	typeForbidden    = "forbidden"
	typeNotFound     = "not-found"
	typeMethod       = "method-not-allowed"
	typeConflict     = "conflict"
	typeTooLate      = "too-late"
	typeNotNow       = "not-now"
	typeTooLarge     = "too-large"
	typeMediaType    = "unsupported-media-type"
	typeRateLimit    = "rate-limit"
	typeSignature    = "signature"
	typeUnavailable  = "unavailable"
	typeInternal     = "internal"
)

// newProblem makes a refusal of a type.
func newProblem(status int, kind, detail string) *problem {
	return &problem{Type: "urn:tenderline:problem:" + kind, Title: titles[kind], Status: status, Detail: detail}
}

var titles = map[string]string{
	typeMalformed:    "The body is not readable JSON",
	typeInvalid:      "The request is not valid",
	typeCardData:     "The request holds card data",
	typeUnauthorized: "An API key is needed",
	typeForbidden:    "The API key does not allow this",
	typeNotFound:     "There is no such thing",
	typeMethod:       "The method is not offered here",
	typeConflict:     "The request conflicts with what is there",
	typeTooLate:      "The request comes too late",
	typeNotNow:       "Nothing waits for this request now",
	typeTooLarge:     "The request is too large",
	typeMediaType:    "The body must be application/json",
	typeRateLimit:    "Too many requests",
	typeSignature:    "The signature is not valid",
	typeUnavailable:  "A part of the system does not answer",
	typeInternal:     "Something went wrong on our side",
}

// retryLater is the pause, in seconds, before a request is worth repeating that a part of the system did not answer.
const retryLater = 2

// fail writes an error as a problem. What is not a refusal is ours: its text goes to the log only.
func (s *Server) fail(err error, c echo.Context) {
	p := s.problemOf(err)
	entryOf(c).err = err
	if c.Response().Committed {
		return
	}
	p.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, "application/problem+json")
	if p.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		header.Set(echo.HeaderWWWAuthenticate, `Bearer realm="tenderline"`)
	}
	c.Response().WriteHeader(p.Status)
	if c.Request().Method == http.MethodHead {
		return
	}
	if err := json.NewEncoder(c.Response()).Encode(p); err != nil {
		s.log.DebugContext(c.Request().Context(), "answer not written", "error", err)
	}
}

// problemOf finds the refusal in an error; it gives a copy, which the caller may complete.
func (s *Server) problemOf(err error) problem {
	var refusal *problem
	if errors.As(err, &refusal) {
		return *refusal
	}
	var refused *starter.Error
	if errors.As(err, &refused) {
		return *refusalOf(refused)
	}
	var unrouted *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return *newProblem(http.StatusRequestEntityTooLarge, typeTooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
	case errors.Is(err, journal.ErrNotFound):
		return *newProblem(http.StatusNotFound, typeNotFound, "")
	case errors.Is(err, journal.ErrCursor):
		return *invalidQuery("cursor", canonical.RulePattern, "must be the cursor that a list gave")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p := newProblem(http.StatusServiceUnavailable, typeUnavailable, "the request took too long; repeat it")
		p.retryAfter = retryLater
		return *p
	case errors.As(err, &unrouted) && unrouted.Code == http.StatusNotFound:
		return *newProblem(http.StatusNotFound, typeNotFound, "no such path")
	case errors.As(err, &unrouted) && unrouted.Code == http.StatusMethodNotAllowed:
		return *newProblem(http.StatusMethodNotAllowed, typeMethod, "")
	default:
		return *newProblem(http.StatusInternalServerError, typeInternal, "the request id leads to the log")
	}
}

// refusalOf says in HTTP why a process refused.
func refusalOf(e *starter.Error) *problem {
	var p *problem
	switch e.Kind {
	case starter.NotFound:
		p = newProblem(http.StatusNotFound, typeNotFound, e.Message)
	case starter.TooLate:
		p = newProblem(http.StatusConflict, typeTooLate, e.Message)
	case starter.NotNow:
		p = newProblem(http.StatusConflict, typeNotNow, e.Message)
	case starter.Conflict:
		p = newProblem(http.StatusConflict, typeConflict, e.Message)
	case starter.Invalid:
		p = newProblem(http.StatusUnprocessableEntity, typeInvalid, e.Message)
	case starter.Unavailable:
		p = newProblem(http.StatusServiceUnavailable, typeUnavailable, e.Message)
		p.retryAfter = retryLater
	default:
		p = newProblem(http.StatusInternalServerError, typeInternal, "the request id leads to the log")
	}
	p.Errors, p.cause = e.Problems, e.Err
	return p
}

// invalid is a readable body that can't be taken, with everything that is wrong in it.
func invalid(found []canonical.Problem) *problem {
	p := newProblem(http.StatusUnprocessableEntity, typeInvalid, "see errors")
	p.Errors = found
	return p
}

// invalidQuery is a parameter that can't be taken; its pointer is the name alone, since it stands in no document.
func invalidQuery(name, rule, message string) *problem {
	p := newProblem(http.StatusBadRequest, typeInvalid, "a parameter is not valid")
	p.Errors = []canonical.Problem{{Pointer: name, Rule: rule, Message: message}}
	return p
}
