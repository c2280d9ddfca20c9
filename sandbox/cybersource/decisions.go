package cybersource

import (
	"net/http"
	"slices"

	"github.com/google/uuid"
)

const (
	reviewOpen     = "OPEN"
	reviewAccepted = "ACCEPTED"
	reviewRejected = "REJECTED"
)

// createDecision is POST /risk/v1/decisions: Decision Manager without a payment.
func (s *Server) createDecision(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		paid, total, refused := s.checkPayment(c, r, maxScreeningReference)
		if refused != nil {
			return nil, refused
		}
		chosen := s.triggered(r, paid.scenario, total)
		if failed, refused := s.trip(c, r.Reference, chosen); refused != nil || failed {
			return nil, orFailure(refused, chosen.reason)
		}
		t := s.newTransaction(c, kindDecision, r)
		t.RootID, t.Amount, t.Card, t.Details = t.ID, total, paid.card, detailsOf(r)
		t.Status, t.Reason = screening(paid, chosen, c)
		if t.Status == statusPreauthReview {
			t.Review = reviewOpen
		}
		t.Applications = []application{screeningApplication(t)}
		s.books.add(t)
		s.store(t)
		s.announceProfile(t)
		return decisionReply(t), nil
	})
}

func orFailure(refused *refusal, reason string) *refusal {
	if refused != nil {
		return refused
	}
	return failure(reason)
}

// screening is the status and reason of a screening without a payment.
func screening(paid instrument, chosen scenario, c *call) (status, reason string) {
	switch {
	case chosen.status == statusHeld, chosen.status == statusPreauthReview:
		return statusPreauthReview, reasonDecisionReview
	case chosen.screened:
		return statusRejected, chosen.reason
	case chosen.status == statusAuthentication:
		return statusAuthentication, reasonAuthenticationDue
	case paid.card.expired(c.now):
		return statusDeclined, "EXPIRED_CARD"
	}
	return statusAccepted, ""
}

func screeningApplication(t *transaction) application {
	switch t.Status {
	case statusPreauthReview:
		return declinedApplication("ics_decision", reviews[t.Reason])
	case statusRejected, statusDeclined:
		return declinedApplication("ics_decision", declines[t.Reason])
	}
	return done("ics_decision")
}

func decisionReply(t *transaction) object {
	answer := object{
		"id": t.ID, "submitTimeUtc": utc(t.At), "status": t.Status,
		"clientReferenceInformation": object{"code": t.Reference},
		"riskInformation":            riskInformation(t.Reason, t.At),
	}
	if why, found := errorInformation(t.Status, t.Reason); found {
		answer["errorInformation"] = why
	}
	return answer
}

// caseRequest is the body of a case action, a comment or a marking.
type caseRequest struct {
	DecisionInformation struct {
		Decision string `json:"decision"`
		Comments string `json:"comments"`
	} `json:"decisionInformation"`
	ProcessingInformation struct {
		ActionList []string `json:"actionList"`
	} `json:"processingInformation"`
	Comments        string `json:"comments"`
	RiskInformation struct {
		MarkingDetails struct {
			Notes          string   `json:"notes"`
			Reason         string   `json:"reason"`
			FieldsIncluded []string `json:"fieldsIncluded"`
			Action         string   `json:"action"`
		} `json:"markingDetails"`
	} `json:"riskInformation"`
}

// caseAction is POST /risk/v1/decisions/{id}/actions.
func (s *Server) caseAction(c *call) reply {
	var r caseRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.books.find(c.merchant, c.PathValue("id"), kindAuth, kindSale, kindDecision)
	if t == nil {
		return notFound("The case was not found").reply(c.now)
	}
	answer, refused := s.decide(c, t, r.DecisionInformation.Decision, r.ProcessingInformation.ActionList, r.DecisionInformation.Comments)
	if refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusOK, body: answer}
}

// decide closes a case, whether through the API or by a reviewer in the Business Center.
func (s *Server) decide(c *call, t *transaction, decision string, actions []string, comments string) (object, *refusal) {
	if refused := checkDecision(t, decision, actions); refused != nil {
		return nil, refused
	}
	accepted := decision == "ACCEPT"
	t.Review = reviewRejected
	if accepted {
		t.Review = reviewAccepted
	}
	if comments != "" {
		t.Details.Comments = append(t.Details.Comments, comments)
	}
	s.settleCase(t, accepted, slices.Contains(actions, "CAPTURE"))
	s.store(t)

	answer := object{"id": uuid.NewString(), "submitTimeUtc": utc(c.now), "status": t.Review}
	embedded := object{}
	asked := &paymentRequest{Reference: referenceInfo{Code: t.Reference}}
	if slices.Contains(actions, "CAPTURE") && s.books.held(t).IsPositive() {
		embedded["capture"] = captureReply(s.capture(c, asked, t, s.books.held(t)))
	}
	if slices.Contains(actions, "REVERSE") && s.books.held(t).IsPositive() {
		embedded["reversal"] = reversalReply(s.release(c, t, s.books.held(t), "ics_auth_reversal"))
	}
	if len(embedded) > 0 {
		answer["_embedded"] = embedded
	}
	action := s.newTransaction(c, kindCaseAction, asked)
	action.Amount, action.Currency, action.Status = t.Amount, t.Currency, t.Review
	action.Applications = done1("ics_cm_action")
	s.enter(action, t)
	s.announceCase(t, accepted, comments, embedded)
	return answer, nil
}

func checkDecision(t *transaction, decision string, actions []string) *refusal {
	var problems checks
	problems.required("decisionInformation.decision", decision, 10)
	problems.oneOf("decisionInformation.decision", decision, "ACCEPT", "REJECT")
	for _, action := range actions {
		if !(action == "CAPTURE" && decision == "ACCEPT") && !(action == "REVERSE" && decision == "REJECT") {
			problems.invalid("processingInformation.actionList")
		}
	}
	if t.Kind == kindDecision && len(actions) > 0 {
		problems.invalid("processingInformation.actionList")
	}
	if refused := problems.refusal(); refused != nil {
		return refused
	}
	if t.Review != reviewOpen {
		refused := invalid("id")
		refused.message = "Declined - The case is not open: it was decided before, or there never was one"
		return refused
	}
	return nil
}

// settleCase gives a payment the status that follows from the decision.
func (s *Server) settleCase(t *transaction, accepted, capture bool) {
	switch {
	case t.Kind == kindDecision, !accepted && !t.Approved:
		t.Status = t.Review
	case !accepted: // the hold is there until it is reversed
		t.Status, t.Reason = statusRiskDeclined, reasonDecisionReject
	case t.Approved: // also where the hold has run out meanwhile: only its capture tells
		t.Status, t.Reason = statusAuthorized, ""
	case s.cfg.AuthorizeOnAccept || capture:
		t.Status, t.Reason = statusAuthorized, ""
		t.Kind = kindAuth
		s.settleOutcome(t, true)
	default:
		t.Status, t.Reason = statusAccepted, ""
	}
}

// caseComment is POST /risk/v1/decisions/{id}/comments.
func (s *Server) caseComment(c *call) reply {
	return s.onCase(c, func(t *transaction, r caseRequest) *refusal {
		if r.Comments == "" {
			return missing("comments")
		}
		t.Details.Comments = append(t.Details.Comments, r.Comments)
		s.announceNote(t, r.Comments)
		return nil
	})
}

func (s *Server) onCase(c *call, change func(*transaction, caseRequest) *refusal) reply {
	var r caseRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.books.find(c.merchant, c.PathValue("id"), kindAuth, kindSale, kindDecision)
	if t == nil {
		return notFound("The case was not found").reply(c.now)
	}
	if refused := change(t, r); refused != nil {
		return refused.reply(c.now)
	}
	s.store(t)
	return reply{status: http.StatusCreated, body: object{"id": uuid.NewString(), "submitTimeUtc": utc(c.now), "status": "COMPLETED"}}
}

// listEntry is POST /risk/v1/lists/{type}/entries. The lists decide nothing here: the triggers do.
func (s *Server) listEntry(c *call) reply {
	if kind := c.PathValue("type"); kind != "positive" && kind != "negative" && kind != "review" {
		return invalid("type").reply(c.now)
	}
	var r object
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusCreated, body: object{"id": uuid.NewString(), "submitTimeUtc": utc(c.now), "status": "COMPLETED"}}
}
