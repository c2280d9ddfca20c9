package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
)

// chargebackAnswer is a dispute as the API shows it; openapi.yaml calls it Chargeback. Amounts are in its currency.
type chargebackAnswer struct {
	CaseID        string            `json:"caseId"`
	OrderID       string            `json:"orderId,omitempty"`
	TransactionID string            `json:"transactionId,omitempty"`
	Amount        string            `json:"amount"`
	Currency      string            `json:"currency"`
	Fee           string            `json:"fee,omitempty"`
	Reason        string            `json:"reason,omitempty"`
	Retrieval     bool              `json:"retrieval,omitempty"`
	State         string            `json:"state"` // open, won or lost
	Cycle         int               `json:"cycle"` // 1; more where it went on after it had ended
	OpenedAt      time.Time         `json:"openedAt"`
	RespondBy     *time.Time        `json:"respondBy,omitempty"`
	UpdatedAt     time.Time         `json:"updatedAt"`
	Notes         []chargebackNote  `json:"notes,omitempty"`
	Links         map[string]string `json:"links"`
}

type chargebackNote struct {
	At    time.Time `json:"at"`
	Note  string    `json:"note"`
	Actor string    `json:"actor,omitempty"`
}

type chargebackList struct {
	Chargebacks []chargebackAnswer `json:"chargebacks"`
	Next        string             `json:"next,omitempty"`
}

// takenCase is the answer to a dispute that was opened or ended: what it became shows a moment later.
type takenCase struct {
	CaseID string            `json:"caseId"`
	Links  map[string]string `json:"links"`
}

func takenCaseOf(caseID string) takenCase {
	self := "/v1/chargebacks/" + caseID
	return takenCase{CaseID: caseID, Links: map[string]string{"self": self, "outcome": self + "/outcome"}}
}

const caseOpen = "open"

func viewChargeback(r journal.ChargebackRecord) chargebackAnswer {
	answer := chargebackAnswer{
		CaseID: r.CaseID, OrderID: r.OrderID, TransactionID: r.TransactionID, Currency: r.Amount.Currency,
		Amount: canonical.FormatAmount(r.Amount.Amount, r.Amount.Currency), Reason: r.Reason, Retrieval: r.Retrieval, State: string(r.Outcome), Cycle: max(r.Cycle, 1),
		OpenedAt: r.OpenedAt, RespondBy: given(r.RespondBy), UpdatedAt: r.UpdatedAt, Links: map[string]string{"self": "/v1/chargebacks/" + r.CaseID},
	}
	if !r.Fee.Amount.IsZero() {
		answer.Fee = canonical.FormatAmount(r.Fee.Amount, r.Fee.Currency)
	}
	if r.Outcome == journal.ChargebackOpen {
		answer.State = caseOpen
		answer.Links["outcome"] = "/v1/chargebacks/" + r.CaseID + "/outcome"
	}
	if r.OrderID != "" {
		answer.Links["order"] = "/v1/orders/" + r.OrderID
	}
	for _, note := range r.Notes {
		answer.Notes = append(answer.Notes, chargebackNote{At: note.At, Note: note.Note, Actor: note.Actor})
	}
	return answer
}

// listChargebacks lists disputes, the latest first.
func (s *Server) listChargebacks(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.ChargebackFilter{OrderID: c.QueryParam("orderId"), Limit: limit, Cursor: c.QueryParam("cursor")}
	switch state := c.QueryParam("state"); state {
	case "":
	case caseOpen, string(journal.ChargebackWon), string(journal.ChargebackLost):
		outcome := journal.ChargebackOutcome(state)
		if state == caseOpen {
			outcome = journal.ChargebackOpen
		}
		filter.Outcome = &outcome
	default:
		return invalidQuery("state", canonical.RuleEnum, "must be open, won or lost")
	}
	if filter.From, filter.To, err = s.span(c); err != nil {
		return err
	}
	page, next, err := s.deps.Store.Chargebacks(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := chargebackList{Chargebacks: make([]chargebackAnswer, 0, len(page)), Next: next}
	for _, record := range page {
		answer.Chargebacks = append(answer.Chargebacks, viewChargeback(record))
	}
	return c.JSON(http.StatusOK, answer)
}

var caseIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func noCase() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "there is no such dispute")
}

func (s *Server) showChargeback(c echo.Context) error {
	id := c.Param("caseId")
	if !caseIDShape.MatchString(id) {
		return noCase()
	}
	record, err := s.deps.Store.Chargeback(c.Request().Context(), id)
	if errors.Is(err, journal.ErrNotFound) {
		return noCase()
	}
	if err != nil {
		return err
	}
	entryOf(c).order = record.OrderID
	return c.JSON(http.StatusOK, viewChargeback(record))
}

// openChargeback opens a dispute by hand: 202, since its process records it.
func (s *Server) openChargeback(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	opened, err := decodeCase(body)
	if err != nil {
		return err
	}
	opened.Actor = callerOf(c).Name
	if err := s.deps.Starter.OpenChargeback(c.Request().Context(), opened); err != nil {
		return err
	}
	answer := takenCaseOf(opened.Case.ID)
	c.Response().Header().Set(echo.HeaderLocation, answer.Links["self"])
	return c.JSON(http.StatusAccepted, answer)
}

// decodeCase reads a dispute; every number in it is bounded before anything is calculated with it.
func decodeCase(body []byte) (starter.OpenedCase, error) {
	var in struct {
		CaseID        string          `json:"caseId"`
		OrderID       string          `json:"orderId"`
		TransactionID string          `json:"transactionId"`
		Amount        json.RawMessage `json:"amount"`
		Fee           json.RawMessage `json:"fee"`
		Currency      string          `json:"currency"`
		Reason        string          `json:"reason"`
		OpenedAt      time.Time       `json:"openedAt"`
		RespondBy     time.Time       `json:"respondBy"`
		Retrieval     bool            `json:"retrieval"`
	}
	if err := decode(body, &in); err != nil {
		return starter.OpenedCase{}, err
	}
	var problems []canonical.Problem
	if !caseIDShape.MatchString(in.CaseID) {
		problems = append(problems, canonical.Problem{Pointer: "/caseId", Rule: canonical.RulePattern, Message: "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"})
	}
	if !orderIDShape.MatchString(in.OrderID) {
		problems = append(problems, canonical.Problem{Pointer: "/orderId", Rule: canonical.RuleRequired, Message: "is the order whose payment is disputed"})
	}
	if !caseTextShape.MatchString(in.Reason) {
		problems = append(problems, canonical.Problem{Pointer: "/reason", Rule: canonical.RulePattern, Message: "must be the scheme's code, such as 10.4"})
	}
	if in.TransactionID != "" && !caseIDShape.MatchString(in.TransactionID) {
		problems = append(problems, canonical.Problem{Pointer: "/transactionId", Rule: canonical.RulePattern, Message: "must be a transaction id of the gateway"})
	}
	opened := starter.OpenedCase{OrderID: in.OrderID, Case: activities.ChargebackCase{
		ID: in.CaseID, TransactionID: in.TransactionID, Reason: in.Reason, OpenedAt: in.OpenedAt, RespondBy: in.RespondBy, Retrieval: in.Retrieval,
		Amount: canonical.Money{Currency: in.Currency}, Fee: canonical.Money{Currency: in.Currency},
	}}
	if amount := number(in.Amount, "/amount", &problems); amount != nil {
		opened.Case.Amount.Amount = *amount
	}
	if fee := number(in.Fee, "/fee", &problems); fee != nil {
		opened.Case.Fee.Amount = *fee
	}
	if len(problems) > 0 {
		return starter.OpenedCase{}, invalid(problems)
	}
	return opened, nil
}

var caseTextShape = regexp.MustCompile(`^[A-Za-z0-9._-]{0,32}$`)

// endChargeback tells a dispute how it ended.
func (s *Server) endChargeback(c echo.Context) error {
	id := c.Param("caseId")
	if !caseIDShape.MatchString(id) {
		return noCase()
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Outcome activities.ChargebackOutcome `json:"outcome"`
		Reason  string                       `json:"reason"`
		Again   bool                         `json:"again"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/reason", in.Reason)
	if in.Outcome != activities.ChargebackWon && in.Outcome != activities.ChargebackLost {
		problems = append(problems, canonical.Problem{Pointer: "/outcome", Rule: canonical.RuleEnum, Message: "must be won or lost"})
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	record, err := s.deps.Starter.EndChargeback(c.Request().Context(), starter.EndedCase{
		CaseID: id, Outcome: in.Outcome, Again: in.Again, Actor: callerOf(c).Name, Reason: in.Reason,
	})
	if err != nil {
		return err
	}
	entryOf(c).order = record.OrderID
	return c.JSON(http.StatusAccepted, takenCaseOf(id))
}
