package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// attentionView is a parked item. Sent, Answer and Fixes are shown one by one only, not in lists.
type attentionView struct {
	ID         string                 `json:"id"`
	OrderID    string                 `json:"orderId"`
	WorkflowID string                 `json:"workflowId"`
	Step       string                 `json:"step"`
	Class      fault.Kind             `json:"class"`
	System     string                 `json:"system,omitempty"`
	Summary    string                 `json:"summary"`
	Suggestion string                 `json:"suggestion,omitempty"`
	Fixes      []activities.Fix       `json:"fixes,omitempty"`
	Sent       any                    `json:"sent,omitempty"`
	Answer     any                    `json:"answer,omitempty"`
	Actions    []string               `json:"actions"`
	Since      time.Time              `json:"since"`
	Deadline   *time.Time             `json:"deadline,omitempty"`
	State      journal.AttentionState `json:"state"`
	Resolution string                 `json:"resolution,omitempty"`
	Actor      string                 `json:"actor,omitempty"`
	Reason     string                 `json:"reason,omitempty"`
	ResolvedAt *time.Time             `json:"resolvedAt,omitempty"`
}

type attentionList struct {
	Items []attentionView `json:"items"`
	Next  string          `json:"next,omitempty"`
}

type resolutionAnswer struct {
	ID         string                   `json:"id"`
	Resolution workflows.ResolutionKind `json:"resolution"`
	RefundID   string                   `json:"refundId,omitempty"`
	Why        string                   `json:"why,omitempty"`
}

type retryAnswer struct {
	Resolved int         `json:"resolved"`
	Refused  int         `json:"refused"`
	More     bool        `json:"more,omitempty"`
	Items    []retryItem `json:"items"`
}

type retryItem struct {
	ID       string `json:"id"`
	OrderID  string `json:"orderId"`
	Step     string `json:"step"`
	Resolved bool   `json:"resolved"`
	Why      string `json:"why,omitempty"`
}

func viewAttention(a journal.Attention) attentionView {
	actions := a.Actions
	if actions == nil {
		actions = []string{}
	}
	return attentionView{
		ID: a.ID, OrderID: a.OrderID, WorkflowID: a.WorkflowID, Step: a.Step, Class: a.Class, System: a.System, Summary: a.Summary,
		Suggestion: a.Suggestion, Actions: actions, Since: a.Since, Deadline: given(a.Deadline), State: a.State,
		Resolution: a.Resolution, Actor: a.Actor, Reason: a.Reason, ResolvedAt: given(a.ResolvedAt),
	}
}

func (s *Server) listAttention(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.AttentionFilter{
		OrderID: c.QueryParam("orderId"), State: journal.AttentionState(c.QueryParam("state")), Class: fault.Kind(c.QueryParam("class")),
		System: c.QueryParam("system"), Limit: limit, Cursor: c.QueryParam("cursor"),
	}
	switch filter.State {
	case "":
		filter.State = journal.AttentionOpen
	case "all":
		filter.State = ""
	case journal.AttentionOpen, journal.AttentionResolved:
	default:
		return invalidQuery("state", canonical.RuleEnum, "must be open, resolved or all")
	}
	page, next, err := s.deps.Store.Attentions(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := attentionList{Items: make([]attentionView, 0, len(page)), Next: next}
	for _, item := range page {
		answer.Items = append(answer.Items, viewAttention(item))
	}
	return c.JSON(http.StatusOK, answer)
}

var attentionIDShape = regexp.MustCompile(`^[a-z0-9-]{1,100}$`)

func (s *Server) showAttention(c echo.Context) error {
	id := c.Param("id")
	if !attentionIDShape.MatchString(id) {
		return noItem()
	}
	item, err := s.deps.Store.Attention(c.Request().Context(), id)
	if errors.Is(err, journal.ErrNotFound) {
		return noItem()
	}
	if err != nil {
		return err
	}
	if !concerns(callerOf(c), item.WorkflowID) {
		return noItem()
	}
	entryOf(c).order = item.OrderID
	answer := viewAttention(item)
	answer.Sent, answer.Answer = document(item.Sent), document(item.Answer)
	if len(item.Fixes) > 0 {
		if err := json.Unmarshal(item.Fixes, &answer.Fixes); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, answer)
}

func noItem() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "there is no such parked item")
}

var resolutions = []workflows.ResolutionKind{
	workflows.ResolveRetry, workflows.ResolveRetryWith, workflows.ResolveSkip, workflows.ResolveApprove, workflows.ResolveCompensate,
}

// financeProcesses are the beginnings of the workflow IDs whose parked items finance sees and resolves too.
var financeProcesses = []string{"settlement/", "chargeback/", "credit-memo/"}

// concerns tells whether the parked items of a process are a caller's affair: an operator's all, finance's those of the books.
func concerns(key config.Key, workflowID string) bool {
	return key.Has(config.RoleOperator) || slices.ContainsFunc(financeProcesses, func(prefix string) bool { return strings.HasPrefix(workflowID, prefix) })
}

// allowed tells whether a caller may give this answer to an item. Only finance approves what is posted.
func (s *Server) allowed(c echo.Context, id string, kind workflows.ResolutionKind) error {
	key := callerOf(c)
	if kind == workflows.ResolveApprove && !key.Has(config.RoleFinance) {
		return newProblem(http.StatusForbidden, typeForbidden, "an approval needs the role finance")
	}
	if key.Has(config.RoleOperator) {
		return nil
	}
	item, err := s.deps.Store.Attention(c.Request().Context(), id)
	if errors.Is(err, journal.ErrNotFound) || (err == nil && !concerns(key, item.WorkflowID)) {
		return noItem()
	}
	return err
}

// resolve takes a person's answer to a parked item.
func (s *Server) resolve(c echo.Context) error {
	id := c.Param("id")
	if !attentionIDShape.MatchString(id) {
		return noItem()
	}
	body, err := readCorrectionBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Resolution workflows.ResolutionKind `json:"resolution"`
		Reason     string                   `json:"reason"`
		Reference  string                   `json:"reference"`
		Correction *activities.Correction   `json:"correction"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/reason", in.Reason)
	if !slices.Contains(resolutions, in.Resolution) {
		problems = append(problems, canonical.Problem{Pointer: "/resolution", Rule: canonical.RuleEnum, Message: "must be retry, retry_with, skip, approve or compensate"})
	}
	problems = append(problems, checkReference(in.Resolution, in.Reference)...)
	problems = append(problems, checkCorrection(in.Resolution, in.Correction)...)
	if len(problems) > 0 {
		return invalid(problems)
	}
	if err := s.allowed(c, id, in.Resolution); err != nil {
		return err
	}
	answer, err := s.deps.Starter.Resolve(c.Request().Context(), workflows.Resolution{
		ID: id, Kind: in.Resolution, Actor: callerOf(c).Name, Reason: in.Reason, Reference: in.Reference, Correction: in.Correction,
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, resolutionAnswer{ID: answer.ID, Resolution: answer.Kind, RefundID: answer.RefundID, Why: answer.Why})
}

// maxReference is how many characters the number of a document has at most.
const maxReference = 60

// checkReference checks the number under which people book a document by hand. Whether the item is one of a document, the process knows.
func checkReference(kind workflows.ResolutionKind, reference string) []canonical.Problem {
	const pointer = "/reference"
	switch {
	case reference == "":
		return nil
	case kind != workflows.ResolveSkip:
		return []canonical.Problem{{Pointer: pointer, Rule: canonical.RuleCombination, Message: "goes with skip only"}}
	case utf8.RuneCountInString(reference) > maxReference:
		return []canonical.Problem{{Pointer: pointer, Rule: canonical.RuleMaxLength, Message: fmt.Sprintf("has more than %d characters", maxReference)}}
	case strings.ContainsFunc(reference, unicode.IsControl):
		return []canonical.Problem{{Pointer: pointer, Rule: canonical.RuleControl, Message: "must not hold control characters"}}
	default:
		return nil
	}
}

// maxCorrections bounds the places that one correction changes.
const maxCorrections = 100

// checkCorrection checks what can be told of a correction without the document that it changes; the process checks the rest.
func checkCorrection(kind workflows.ResolutionKind, correction *activities.Correction) []canonical.Problem {
	const pointer = "/correction"
	var problems []canonical.Problem
	report := func(at, rule, message string) {
		problems = append(problems, canonical.Problem{Pointer: at, Rule: rule, Message: message})
	}
	switch {
	case kind == workflows.ResolveRetryWith && (correction == nil || correction.Empty()):
		report(pointer, canonical.RuleRequired, "is needed for retry_with: say what to change")
	case kind != workflows.ResolveRetryWith && correction != nil:
		report(pointer, canonical.RuleCombination, "goes with retry_with only")
	}
	if correction == nil {
		return problems
	}
	if len(correction.Order)+len(correction.Document) > maxCorrections {
		report(pointer, canonical.RuleMaxItems, "changes more than "+strconv.Itoa(maxCorrections)+" places")
	}
	for part, changes := range map[string]map[string]any{"/order": correction.Order, "/document": correction.Document} {
		for place := range changes {
			if !pointerShape.MatchString(place) {
				report(pointer+part, canonical.RulePattern, "has a key that is no JSON pointer such as /lines/0/sku")
				break
			}
		}
	}
	if correction.Date != "" {
		if _, err := time.Parse(time.DateOnly, correction.Date); err != nil {
			report(pointer+"/date", canonical.RulePattern, "must be a date like 2026-11-30")
		}
	}
	return problems
}

var pointerShape = regexp.MustCompile(`^(/([^~/]|~[01])*)+$`)

// retryAttention retries many parked items at once.
func (s *Server) retryAttention(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	in := struct {
		Class  fault.Kind `json:"class"`
		System string     `json:"system"`
		Step   string     `json:"step"`
		Reason string     `json:"reason"`
		Limit  int        `json:"limit"`
	}{Limit: defaultRetries}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/reason", in.Reason)
	if in.Class == "" && in.System == "" && in.Step == "" {
		problems = append(problems, canonical.Problem{Pointer: "", Rule: canonical.RuleRequired, Message: "needs a class, a system or a step"})
	}
	if in.Limit < 1 || in.Limit > maxLimit {
		problems = append(problems, canonical.Problem{Pointer: "/limit", Rule: canonical.RuleMaximum, Message: "must be between 1 and 500"})
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	done, more, err := s.deps.Starter.RetryAll(c.Request().Context(), starter.BulkRetry{
		Class: in.Class, System: in.System, Step: in.Step, Actor: callerOf(c).Name, Reason: in.Reason, Limit: in.Limit,
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.viewRetries(c.Request().Context(), done, more))
}

const defaultRetries = 100

func (s *Server) viewRetries(ctx context.Context, done []starter.Retried, more bool) retryAnswer {
	answer := retryAnswer{More: more, Items: make([]retryItem, 0, len(done))}
	for _, item := range done {
		view := retryItem{ID: item.ID, OrderID: item.OrderID, Step: item.Step, Resolved: item.Err == nil}
		if item.Err == nil {
			answer.Resolved++
		} else {
			answer.Refused++
			p := s.problemOf(item.Err)
			if p.Status >= http.StatusInternalServerError {
				s.log.ErrorContext(ctx, "parked item not retried", "item", item.ID, "order", item.OrderID, "error", item.Err)
			}
			if view.Why = p.Detail; view.Why == "" {
				view.Why = p.Title
			}
		}
		answer.Items = append(answer.Items, view)
	}
	return answer
}

// eventAnswer is an event of the inbox; openapi.yaml calls it InboxEvent.
type eventAnswer struct {
	ID          string             `json:"id"`
	Source      string             `json:"source"`
	EventType   string             `json:"eventType"`
	ResourceID  string             `json:"resourceId,omitempty"`
	OrderID     string             `json:"orderId,omitempty"`
	State       journal.InboxState `json:"state"`
	Tries       int                `json:"tries"`
	NextTryAt   *time.Time         `json:"nextTryAt,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	ReceivedAt  time.Time          `json:"receivedAt"`
	AttentionID string             `json:"attentionId,omitempty"`
}

type eventList struct {
	Events []eventAnswer `json:"events"`
	Next   string        `json:"next,omitempty"`
}

// listInbox lists events that came from outside: those that wait for a person, or as the query says.
func (s *Server) listInbox(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.InboxFilter{
		State: journal.InboxState(c.QueryParam("state")), OrderID: c.QueryParam("orderId"), Limit: limit, Cursor: c.QueryParam("cursor"),
	}
	switch filter.State {
	case "":
		filter.State = journal.InboxAttention
	case "all":
		filter.State = ""
	case journal.InboxPending, journal.InboxDelivered, journal.InboxIgnored, journal.InboxAttention:
	default:
		return invalidQuery("state", canonical.RuleEnum, "must be pending, delivered, ignored, attention or all")
	}
	page, next, err := s.deps.Store.Inbox(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := eventList{Events: make([]eventAnswer, 0, len(page)), Next: next}
	for _, item := range page {
		answer.Events = append(answer.Events, viewEvent(item))
	}
	return c.JSON(http.StatusOK, answer)
}

func viewEvent(item journal.InboxItem) eventAnswer {
	view := eventAnswer{
		ID: item.ID, Source: item.Source, EventType: item.EventType, ResourceID: item.ResourceID, OrderID: item.OrderID, State: item.State,
		Tries: item.Tries, Reason: item.LastError, ReceivedAt: item.ReceivedAt,
	}
	switch item.State {
	case journal.InboxPending:
		view.NextTryAt = given(item.NextTryAt)
	case journal.InboxAttention:
		view.AttentionID = journal.InboxAttentionID(item.ID)
	case journal.InboxDelivered, journal.InboxIgnored:
	}
	return view
}

var eventIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,80}$`)

// resolveEvent replays or dismisses an event that was given up; the body, with the reason, may be left out.
func (s *Server) resolveEvent(c echo.Context) error {
	kind, known := map[string]workflows.ResolutionKind{"replay": workflows.ResolveRetry, "dismiss": workflows.ResolveSkip}[c.Param("verb")]
	id := c.Param("id")
	if !known || !eventIDShape.MatchString(id) {
		return newProblem(http.StatusNotFound, typeNotFound, "there is no such event")
	}
	reason, err := reasonOf(c)
	if err != nil {
		return err
	}
	answer, err := s.deps.Starter.ResolveEvent(c.Request().Context(), id, workflows.Resolution{Kind: kind, Actor: callerOf(c).Name, Reason: reason})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, resolutionAnswer{ID: answer.ID, Resolution: answer.Kind})
}

// reasonOf reads a body that holds a reason alone, and may be left out.
func reasonOf(c echo.Context) (string, error) {
	if c.Request().ContentLength == 0 {
		return "", nil
	}
	body, err := readBody(c)
	if err != nil {
		return "", err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := decode(body, &in); err != nil {
		return "", err
	}
	if problems := checkRemark("/reason", in.Reason); len(problems) > 0 {
		return "", invalid(problems)
	}
	return in.Reason, nil
}
