package webhook

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/journal"
)

type auditList struct {
	OrderID string      `json:"orderId"`
	Entries []auditView `json:"entries"`
}

// auditView is one thing that was done; openapi.yaml calls it AuditEntry.
type auditView struct {
	At      time.Time         `json:"at"`
	Kind    auditKind         `json:"kind"`
	Name    string            `json:"name,omitempty"`
	Summary string            `json:"summary"`
	Actor   string            `json:"actor,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
	Call    *callView         `json:"call,omitempty"`
}

type auditKind string

const (
	auditCall   auditKind = "call"
	auditAction auditKind = "action"
	auditEvent  auditKind = "event"
)

type callView struct {
	System        string `json:"system"`
	Method        string `json:"method"`
	Route         string `json:"route"`
	Status        int    `json:"status"`
	Milliseconds  int64  `json:"milliseconds"`
	CorrelationID string `json:"correlationId,omitempty"`
	OperationKey  string `json:"operationKey,omitempty"`
	Error         string `json:"error,omitempty"`
}

// auditOrder shows every outside call, action and event of an order in the order of time.
func (s *Server) auditOrder(c echo.Context) error {
	record, err := s.order(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	entries, err := s.deps.Store.Audit(ctx, record.OrderID)
	if err != nil {
		return err
	}
	events, err := s.deps.Store.Timeline(ctx, record.OrderID)
	if err != nil {
		return err
	}
	answer := auditList{OrderID: record.OrderID, Entries: make([]auditView, 0, len(entries)+len(events))}
	for _, event := range events {
		answer.Entries = append(answer.Entries, auditView{
			At: event.At, Kind: auditEvent, Name: event.Kind, Summary: event.Summary, Actor: event.Actor, Detail: event.Detail,
		})
	}
	for _, entry := range entries {
		answer.Entries = append(answer.Entries, viewAudit(entry))
	}
	slices.SortStableFunc(answer.Entries, func(a, b auditView) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return c.JSON(http.StatusOK, answer)
}

func viewAudit(entry journal.AuditEntry) auditView {
	if call := entry.Call; call != nil {
		return auditView{
			At: entry.At, Kind: auditCall, Summary: callSentence(*call),
			Call: &callView{
				System: call.System, Method: call.Method, Route: call.Route, Status: call.Status, Milliseconds: call.Duration.Milliseconds(),
				CorrelationID: call.CorrelationID, OperationKey: call.OperationKey, Error: call.Error,
			},
		}
	}
	action := entry.Action
	return auditView{
		At: entry.At, Kind: auditAction, Name: action.Action, Summary: actionSentence(*action), Actor: action.Actor, Reason: action.Reason,
		Detail: action.Detail,
	}
}

// callSentence reads "POST /pts/v2/payments at cybersource: 201 in 312 ms".
func callSentence(call journal.Call) string {
	came := "no answer"
	if call.Status > 0 {
		came = strconv.Itoa(call.Status)
	}
	text := call.Method + " " + call.Route + " at " + call.System + ": " + came + " in " + strconv.FormatInt(call.Duration.Milliseconds(), 10) + " ms"
	if call.Error != "" {
		text += " (" + call.Error + ")"
	}
	return text
}

// actionSentence reads "fraud.decision by ann: decision accept, source api".
func actionSentence(action journal.Action) string {
	text := action.Action + " by " + action.Actor
	names := make([]string, 0, len(action.Detail))
	for name, value := range action.Detail {
		if value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, name+" "+action.Detail[name])
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}
