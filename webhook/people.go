package webhook

import (
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// listReviews lists the orders that wait for a verdict.
func (s *Server) listReviews(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	page, next, err := s.deps.Store.Orders(c.Request().Context(), journal.OrderFilter{
		Status: canonical.OrderInReview, Limit: limit, Cursor: c.QueryParam("cursor"),
	})
	if err != nil {
		return err
	}
	answer := reviewList{Reviews: make([]reviewView, 0, len(page)), Next: next}
	for _, r := range page {
		answer.Reviews = append(answer.Reviews, reviewView{
			OrderID: r.OrderID, Channel: r.Channel, Currency: r.Currency, Total: canonical.FormatAmount(r.Total, r.Currency),
			Reason: r.Reason, NeedsAttention: r.NeedsAttention, ReceivedAt: r.ReceivedAt,
			Links: map[string]string{"order": "/v1/orders/" + r.OrderID, "decision": "/v1/fraud-reviews/" + r.OrderID + "/decision"},
		})
	}
	return c.JSON(http.StatusOK, answer)
}

// decide takes an analyst's verdict. Who decided is who the key says, whatever the body holds.
func (s *Server) decide(c echo.Context) error {
	record, err := s.order(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Decision canonical.FraudDecision `json:"decision"`
		Comment  string                  `json:"comment"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/comment", in.Comment)
	if in.Decision != canonical.FraudAccept && in.Decision != canonical.FraudReject {
		problems = append(problems, canonical.Problem{Pointer: "/decision", Rule: canonical.RuleEnum, Message: "must be accept or reject"})
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	answer, err := s.deps.Starter.Decide(c.Request().Context(), record.OrderID, workflows.Decision{
		Decision: in.Decision, Comment: in.Comment, Actor: callerOf(c).Name, Source: workflows.SourceAPI,
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, decisionAnswer{OrderID: record.OrderID, Decision: answer.Decision, Actor: answer.Actor, Late: answer.Late})
}

func (s *Server) listAttention(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.AttentionFilter{
		OrderID: c.QueryParam("orderId"), State: journal.AttentionState(c.QueryParam("state")), Class: fault.Kind(c.QueryParam("class")),
		Limit: limit, Cursor: c.QueryParam("cursor"),
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

var attentionIDShape = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (s *Server) showAttention(c echo.Context) error {
	id := c.Param("id")
	if !attentionIDShape.MatchString(id) {
		return noItem()
	}
	item, err := s.deps.Store.Attention(c.Request().Context(), id)
	if err != nil {
		return err
	}
	entryOf(c).order = item.OrderID
	answer := viewAttention(item)
	answer.Sent, answer.Answer = document(item.Sent), document(item.Answer)
	return c.JSON(http.StatusOK, answer)
}

func noItem() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "there is no such parked item")
}

// resolve takes an operator's answer to a parked step.
func (s *Server) resolve(c echo.Context) error {
	id := c.Param("id")
	if !attentionIDShape.MatchString(id) {
		return noItem()
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Resolution workflows.ResolutionKind `json:"resolution"`
		Reason     string                   `json:"reason"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/reason", in.Reason)
	if in.Resolution != workflows.ResolveRetry && in.Resolution != workflows.ResolveCompensate {
		problems = append(problems, canonical.Problem{Pointer: "/resolution", Rule: canonical.RuleEnum, Message: "must be retry or compensate"})
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	answer, err := s.deps.Starter.Resolve(c.Request().Context(), id, in.Resolution, callerOf(c).Name, in.Reason)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, resolutionAnswer{ID: answer.ID, Resolution: answer.Kind})
}
