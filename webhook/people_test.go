package webhook_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// taken submits an order and sets where it stands.
func (a *api) taken(status canonical.OrderStatus) {
	a.t.Helper()
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	require.NoError(a.t, a.store.RecordProgress(a.t.Context(), journal.Progress{OrderID: "WEB-10001", Seq: 1, Status: status}))
}

func TestFraudDecision(t *testing.T) {
	a := newAPI(t)
	a.held()
	reviews := a.call("GET", "/v1/fraud-reviews", analyst, "").is(http.StatusOK).json()["reviews"].([]any)
	require.Len(t, reviews, 1)
	require.Equal(t, "/v1/fraud-reviews/WEB-10001/decision", reviews[0].(map[string]any)["links"].(map[string]any)["decision"])

	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, "fraud-review/WEB-10001", o.WorkflowID)
		require.Equal(t, workflows.Decision{
			Decision: canonical.FraudAccept, Comment: "known customer", Actor: analyst, Source: workflows.SourceAPI,
		}, o.Args[0], "who decided comes from the key")
		return workflows.DecisionAnswer{Decision: canonical.FraudAccept, Actor: analyst}, nil
	}
	path := "/v1/fraud-reviews/WEB-10001/decision"
	answer := a.call("POST", path, analyst, `{"decision":"accept","comment":"known customer"}`).is(http.StatusOK).json()
	require.Equal(t, map[string]any{"orderId": "WEB-10001", "decision": "accept", "actor": analyst, "late": false, "lateReject": false}, answer)

	a.call("POST", path, analyst, `{"decision":"accept","actor":"the boss"}`).refused(http.StatusUnprocessableEntity, "invalid").names("", "unknown_field")
	a.call("POST", path, analyst, `{"decision":"maybe"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/decision", "enum")
	a.call("POST", path, analyst, `{"decision":"accept","comment":"\u0007"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/comment", "control_character")
	a.call("POST", strings.Replace(path, "WEB-10001", "WEB-NONE", 1), analyst, `{"decision":"accept"}`).refused(http.StatusNotFound, "not-found")
	a.call("POST", strings.Replace(path, "WEB-10001", "no%20id", 1), analyst, `{"decision":"accept"}`).refused(http.StatusNotFound, "not-found")
}

func TestLateFraudDecisionIsAnswered(t *testing.T) {
	path, body := "/v1/fraud-reviews/WEB-10001/decision", `{"decision":"reject"}`
	a := newAPI(t) // Temporal has no run that waits
	a.taken(canonical.OrderAuthorizing)
	a.call("POST", path, analyst, body).refused(http.StatusConflict, "not-now")

	require.NoError(t, a.store.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-10001", Seq: 2, Status: canonical.OrderBooking}))
	a.call("POST", path, analyst, body).refused(http.StatusConflict, "too-late")

	a.engine.results["fraud-review/WEB-10001"] = workflows.ReviewResult{Decision: canonical.FraudAccept, Actor: "cybersource"}
	for range 2 {
		late := a.call("POST", path, analyst, body).is(http.StatusOK).json()
		require.Equal(t, map[string]any{"orderId": "WEB-10001", "decision": "accept", "actor": "cybersource", "late": true, "lateReject": true}, late)
	}
	require.Len(t, a.engine.started(), 2, "the order, and once the proposal of its refund")
	require.Equal(t, "fraud-review/WEB-10001/late", a.engine.started()[1].ID)
	in := a.engine.inputs[1].(workflows.LateRejectInput)
	require.Equal(t, []any{"WEB-10001", analyst, workflows.SourceAPI, "A100"}, []any{in.OrderID, in.Actor, in.Source, in.Order.Lines[0].SKU})

	shown := a.call("GET", "/v1/fraud-reviews/WEB-10001", analyst, "").is(http.StatusOK).json()
	notes := shown["notes"].([]any)
	require.Len(t, notes, 1, "a decision that does not hold is kept once")
	require.Equal(t, map[string]any{
		"at": "2026-11-20T15:00:00Z", "note": "opposed", "decision": "reject", "actor": analyst, "source": "api", "rule": "the first valid decision holds",
	}, notes[0])
}

func TestALateRejectOfWhatWasGivenBackProposesNothing(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderConfirmed)
	require.NoError(t, a.store.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-10001", Seq: 2, PaymentStatus: canonical.PaymentRefunded}))
	a.engine.results["fraud-review/WEB-10001"] = workflows.ReviewResult{Decision: canonical.FraudAccept, Actor: analyst}
	late := a.call("POST", "/v1/fraud-reviews/WEB-10001/decision", analyst, `{"decision":"reject"}`).is(http.StatusOK).json()
	require.Equal(t, []any{true, false}, []any{late["late"], late["lateReject"]})
	require.Len(t, a.engine.started(), 1)
}

// held is an order whose payment people are to decide about.
func (a *api) held() {
	a.t.Helper()
	a.taken(canonical.OrderInReview)
	require.NoError(a.t, a.store.OpenReview(a.t.Context(), journal.Review{
		OrderID: "WEB-10001", WorkflowID: "fraud-review/WEB-10001", PaymentID: "7001", Since: a.clock.Now(), Deadline: a.clock.Now().Add(48 * time.Hour),
		Default: "reject", Amount: canonical.NewMoney(decimal.RequireFromString("48.19"), "USD"),
		Risk: journal.ReviewRisk{
			Score: "84", Factors: []string{"F", "Z"}, Profile: "web", Rules: []journal.ReviewRule{{Name: "high amount", Decision: "REVIEW"}},
			InfoCodes: map[string][]string{"velocity": {"VELV-EM"}, "address": {"MM-BIN"}}, AVS: "N", CVN: "M",
		},
	}))
}

func (a *api) parked() {
	a.t.Helper()
	require.NoError(a.t, a.store.Park(a.t.Context(), journal.Attention{
		ID: "att-1", OrderID: "WEB-10001", WorkflowID: "order/WEB-10001", Step: "sales-order", Class: fault.MissingReference, System: "erp-syspro",
		Summary: "the ERP does not know the customer", Suggestion: "create it", Sent: []byte(`{"customerCode":"X"}`), Answer: []byte("no customer"),
		Actions: []string{"retry", "retry_with", "compensate"}, Since: a.clock.Now(), Deadline: a.clock.Now().Add(4 * time.Hour),
	}))
}

func TestAttention(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderBooking)
	a.parked()
	listed := a.call("GET", "/v1/attention", operator, "").is(http.StatusOK).json()["items"].([]any)
	require.Len(t, listed, 1)
	require.NotContains(t, listed[0], "sent")
	require.Empty(t, a.call("GET", "/v1/attention?state=resolved", operator, "").is(http.StatusOK).json()["items"])
	require.Len(t, a.call("GET", "/v1/attention?state=all&orderId=WEB-10001&class=missing_reference", operator, "").is(http.StatusOK).json()["items"], 1)
	a.call("GET", "/v1/attention?state=lost", operator, "").refused(http.StatusBadRequest, "invalid").names("state", "enum")

	shown := a.call("GET", "/v1/attention/att-1", operator, "").is(http.StatusOK).json()
	require.Equal(t, map[string]any{"customerCode": "X"}, shown["sent"])
	require.Equal(t, "no customer", shown["answer"])
	require.Equal(t, "2026-11-20T19:00:00Z", shown["deadline"])
	a.call("GET", "/v1/attention/att-2", operator, "").refused(http.StatusNotFound, "not-found")
	require.Equal(t, true, a.call("GET", "/v1/orders/WEB-10001", shopUS, "").is(http.StatusOK).json()["needsAttention"])

	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, workflows.Resolution{ID: "att-1", Kind: workflows.ResolveRetry, Actor: operator, Reason: "customer created"}, o.Args[0])
		return workflows.ResolutionAnswer{ID: "att-1", Kind: workflows.ResolveRetry}, nil
	}
	body := `{"resolution":"retry","reason":"customer created"}`
	require.Equal(t, "retry", a.call("POST", "/v1/attention/att-1/resolve", operator, body).is(http.StatusOK).json()["resolution"])
	a.call("POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"forget"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/resolution", "enum")
	a.call("POST", "/v1/attention/att-9/resolve", operator, body).refused(http.StatusNotFound, "not-found")

	require.NoError(t, a.store.Resolve(t.Context(), "att-1", "retry", operator, "customer created"))
	a.engine.onUpdate = nil
	a.call("POST", "/v1/attention/att-1/resolve", operator, body).is(http.StatusOK)
	late := a.call("POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"compensate"}`).refused(http.StatusConflict, "too-late")
	require.Contains(t, late.json()["detail"], operator)
}

func TestResolveWhereTheProcessHasGoneOn(t *testing.T) {
	for name, err := range map[string]error{
		"the run has ended":           serviceerror.NewNotFound("completed"),
		"the run waits no longer":     temporal.NewNonRetryableApplicationError("nothing is parked", workflows.RefusedUnknown, nil),
		"somebody else was faster":    temporal.NewNonRetryableApplicationError("already resolved", workflows.RefusedTooLate, nil),
		"it ended before it answered": temporal.NewNonRetryableApplicationError("completed", "AcceptedUpdateCompletedWorkflow", nil),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.taken(canonical.OrderBooking)
			a.parked()
			a.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) { return nil, err }
			a.call("POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"retry"}`).refused(http.StatusConflict, "too-late")
		})
	}
}

func TestACaseShowsAllThatIsKnown(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/v1/orders", shopUS, orderJSON("WEB-10001", "WEB-9000")).is(http.StatusAccepted)
	require.NoError(t, a.store.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-9000", Seq: 1, Status: canonical.OrderDeclined}))
	a.held()
	shown := a.call("GET", "/v1/fraud-reviews/WEB-10001", analyst, "").is(http.StatusOK).json()
	require.Equal(t, map[string]any{
		"score": "84", "factors": []any{"F", "Z"}, "profile": "web", "rules": []any{map[string]any{"name": "high amount", "decision": "REVIEW"}},
		"velocity": []any{"VELV-EM"}, "infoCodes": map[string]any{"address": []any{"MM-BIN"}}, "avs": "N", "cvn": "M",
	}, shown["risk"])
	require.Equal(t, map[string]any{"same": false, "differs": []any{"street", "city", "postal code"}}, shown["match"])
	review := shown["review"].(map[string]any)
	require.Equal(t, []any{"open", "48.19", "in_review", "2026-11-22T15:00:00Z", "reject"},
		[]any{review["state"], review["total"], review["orderStatus"], review["deadline"], review["default"]})
	order := shown["order"].(map[string]any)
	require.Equal(t, "ada@example.com", order["customer"].(map[string]any)["email"])
	require.Equal(t, "203.0.113.7", order["device"].(map[string]any)["ipAddress"])
	require.Equal(t, map[string]any{"1": "web", "2": "gold"}, order["merchantDefinedData"])
	require.NotContains(t, order, "payment", "no token")
	history := shown["history"].(map[string]any)
	require.Equal(t, []any{1.0, 1.0, 0.0}, []any{history["orders"], history["declined"], history["confirmed"]})
	require.Equal(t, "WEB-9000", history["recent"].([]any)[0].(map[string]any)["orderId"])
	a.call("GET", "/v1/fraud-reviews/WEB-9000", analyst, "").refused(http.StatusNotFound, "not-found")
	require.NotContains(t, a.logs.String(), "ada@example.com")
}

func TestReviewsAreListedByTheirState(t *testing.T) {
	a := newAPI(t)
	a.held()
	count := func(query string) int {
		return len(a.call("GET", "/v1/fraud-reviews"+query, operator, "").is(http.StatusOK).json()["reviews"].([]any))
	}
	require.Equal(t, []int{1, 0, 0, 1}, []int{count(""), count("?escalated=true"), count("?state=decided"), count("?state=all&escalated=false")})
	require.NoError(t, a.store.NoteReview(t.Context(), "WEB-10001", journal.ReviewNoteRecord{Key: "e", Note: "escalated"}, nil, nil))
	require.NoError(t, a.store.NoteReview(t.Context(), "WEB-10001", journal.ReviewNoteRecord{
		Key: "d", Note: "decided", Decision: canonical.FraudAccept, Actor: analyst, Source: "api", Comment: "known",
	}, nil, nil))
	require.Equal(t, []int{0, 1, 1}, []int{count(""), count("?state=decided"), count("?state=all&escalated=true")})
	decided := a.call("GET", "/v1/fraud-reviews?state=decided", analyst, "").json()["reviews"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"accept", analyst, "api", "known"}, []any{decided["decision"], decided["actor"], decided["source"], decided["comment"]})
	require.NotContains(t, decided["links"], "decision")
	a.call("GET", "/v1/fraud-reviews?state=lost", analyst, "").refused(http.StatusBadRequest, "invalid").names("state", "enum")
	a.call("GET", "/v1/fraud-reviews?escalated=perhaps", analyst, "").refused(http.StatusBadRequest, "invalid").names("escalated", "type")
}

func TestACustomerIsMarkedWithARejectOnly(t *testing.T) {
	a := newAPI(t)
	a.held()
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.True(t, o.Args[0].(workflows.Decision).Mark)
		return workflows.DecisionAnswer{Decision: canonical.FraudReject, Actor: analyst}, nil
	}
	path := "/v1/fraud-reviews/WEB-10001/decision"
	a.call("POST", path, analyst, `{"decision":"accept","markCustomer":true}`).refused(http.StatusUnprocessableEntity, "invalid").names("/markCustomer", "combination")
	a.call("POST", path, analyst, `{"decision":"reject","markCustomer":true}`).is(http.StatusOK)
}

func TestALateVerdictIsAnsweredFromTheJournalWhenItsRunIsForgotten(t *testing.T) {
	a := newAPI(t)
	a.held()
	require.NoError(t, a.store.NoteReview(t.Context(), "WEB-10001", journal.ReviewNoteRecord{
		Key: "d", Note: "decided", Decision: canonical.FraudReject, Actor: "bea", Source: "api",
	}, nil, nil))
	require.NoError(t, a.store.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-10001", Seq: 2, Status: canonical.OrderRejected}))
	a.clock.advance(time.Second)
	late := a.call("POST", "/v1/fraud-reviews/WEB-10001/decision", analyst, `{"decision":"accept"}`).is(http.StatusOK).json()
	require.Equal(t, map[string]any{"orderId": "WEB-10001", "decision": "reject", "actor": "bea", "late": true, "lateReject": false}, late)
	entries := a.call("GET", "/v1/orders/WEB-10001/audit", analyst, "").is(http.StatusOK).json()["entries"].([]any)
	require.Equal(t, "fraud.opposed", entries[len(entries)-1].(map[string]any)["name"])
}

func TestCorrections(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderBooking)
	a.parked()
	require.NoError(t, a.store.AddFixes(t.Context(), "att-1", []byte(
		`[{"text":"Book A200 instead","evidence":"the ERP has A200","resolution":"retry_with","correction":{"order":{"/lines/0/sku":"A200"}}}]`)))
	shown := a.call("GET", "/v1/attention/att-1", operator, "").is(http.StatusOK).json()
	require.Equal(t, []any{map[string]any{
		"text": "Book A200 instead", "evidence": "the ERP has A200", "resolution": "retry_with",
		"correction": map[string]any{"order": map[string]any{"/lines/0/sku": "A200"}},
	}}, shown["fixes"])
	require.Equal(t, "erp-syspro", shown["system"])

	path := "/v1/attention/att-1/resolve"
	for body, want := range map[string][2]string{
		`{"resolution":"retry_with"}`:                                              {"/correction", "required"},
		`{"resolution":"retry_with","correction":{}}`:                              {"/correction", "required"},
		`{"resolution":"retry","correction":{"date":"2026-12-01"}}`:                {"/correction", "combination"},
		`{"resolution":"retry_with","correction":{"date":"1.12.2026"}}`:            {"/correction/date", "pattern"},
		`{"resolution":"retry_with","correction":{"order":{"lines.0.sku":"A"}}}`:   {"/correction/order", "pattern"},
		`{"resolution":"retry_with","correction":{"document":{"/a~2":"A"}}}`:       {"/correction/document", "pattern"},
		`{"resolution":"retry_with","correction":{"price":{"/lines/0":"A"}}}`:      {"", "unknown_field"},
		`{"resolution":"retry_with","correction":{"order":["/lines/0/sku","A1"]}}`: {"/correction/order", "type"},
		`{"resolution":"skip"}`:                                               {"/resolution", "enum"}, // not offered
		`{"resolution":"retry","reference":"M-17"}`:                           {"/reference", "combination"},
		`{"resolution":"skip","reference":"` + strings.Repeat("M", 61) + `"}`: {"/reference", "max_length"},
		`{"resolution":"skip","reference":"M\u0007"}`:                         {"/reference", "control_character"},
	} {
		a.call("POST", path, operator, body).refused(http.StatusUnprocessableEntity, "invalid").names(want[0], want[1])
	}
	require.Empty(t, a.engine.updates)

	refuse := true
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, &activities.Correction{Order: map[string]any{"/lines/0/sku": "4012345678901", "/customer/email": "nobody"}}, o.Args[0].(workflows.Resolution).Correction)
		if refuse {
			return nil, temporal.NewNonRetryableApplicationError("the correction can't be taken", workflows.RefusedInvalid, nil, activities.FaultDetail{
				System: "tenderline", Code: "CORRECTION", Fields: []fault.Field{
					{Path: "/order/customer/email", Rule: "email: is no e-mail address"},
					{Path: "/order/lines/1/sku", Rule: "max_length: has more than 30 characters"},
				},
			})
		}
		return workflows.ResolutionAnswer{ID: "att-1", Kind: workflows.ResolveRetryWith}, nil
	}
	body := `{"resolution":"retry_with","correction":{"order":{"/lines/0/sku":"4012345678901","/customer/email":"nobody"}},"reason":"as agreed"}`
	refused := a.call("POST", path, operator, body).refused(http.StatusUnprocessableEntity, "invalid").
		names("/correction/order/~1customer~1email", "email").names("/correction/order", "max_length")
	require.Contains(t, refused.Body.String(), "/order/lines/1/sku has more than 30 characters", "a place that the request does not have")

	refuse = false
	a.call("POST", path, operator, strings.Replace(body, "as agreed", "mended", 1)).is(http.StatusOK)
	require.NotEqual(t, a.engine.updates[0].UpdateID, a.engine.updates[1].UpdateID, "what was refused may be right another time")
}

func TestOfTwoOperatorsOneWins(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderBooking)
	a.parked()
	for _, refusal := range []error{
		temporal.NewNonRetryableApplicationError(`already resolved with "retry" by olga`, workflows.RefusedTooLate, nil),
		temporal.NewNonRetryableApplicationError(`olga is resolving it with "retry_with" just now`, workflows.RefusedConflict, nil),
	} {
		a.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) { return nil, refusal }
		lost := a.call("POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"compensate"}`).is(http.StatusConflict)
		require.Contains(t, lost.json()["detail"], "olga")
	}
	require.NoError(t, a.store.Resolve(t.Context(), "att-1", "retry", "olga", ""))
	lost := a.call("POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"retry"}`).refused(http.StatusConflict, "too-late")
	require.Contains(t, lost.json()["detail"], "olga")
}

func TestAnOutageIsRetriedAtOnce(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderBooking)
	park := func(id string, class fault.Kind, system, step string, actions ...string) {
		require.NoError(t, a.store.Park(t.Context(), journal.Attention{
			ID: id, OrderID: "WEB-10001", WorkflowID: "order/" + id, Step: step, Class: class, System: system, Actions: actions, Since: a.clock.Now(),
		}))
		a.clock.advance(time.Second)
	}
	park("att-1", fault.Connection, "erp-syspro", "invoice", "retry", "compensate")
	park("att-2", fault.Connection, "erp-syspro", "invoice", "compensate")
	park("att-3", fault.Connection, "erp-syspro", "receipt", "retry")
	park("att-4", fault.Connection, "cybersource", "capture", "retry")
	park("att-5", fault.Value, "erp-syspro", "invoice", "retry")
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		answer := o.Args[0].(workflows.Resolution)
		require.Equal(t, []any{workflows.ResolveRetry, operator, "SYSPRO is back"}, []any{answer.Kind, answer.Actor, answer.Reason})
		if answer.ID == "att-3" {
			return nil, temporal.NewNonRetryableApplicationError(`already resolved with "retry" by olga`, workflows.RefusedTooLate, nil)
		}
		return workflows.ResolutionAnswer{ID: answer.ID, Kind: answer.Kind}, nil
	}
	done := a.call("POST", "/v1/attention/retry", operator, `{"class":"connection","system":"erp-syspro","reason":"SYSPRO is back"}`).is(http.StatusOK).json()
	require.Equal(t, []any{1.0, 2.0, nil}, []any{done["resolved"], done["refused"], done["more"]})
	why := func(n int) any { return done["items"].([]any)[n].(map[string]any)["why"] }
	require.Nil(t, why(0))
	require.Contains(t, why(1), "not offered")
	require.Contains(t, why(2), "olga")

	some := a.call("POST", "/v1/attention/retry", operator, `{"step":"invoice","limit":2,"reason":"SYSPRO is back"}`).is(http.StatusOK).json()
	require.Equal(t, []any{1.0, 1.0, true}, []any{some["resolved"], some["refused"], some["more"]})
	a.call("POST", "/v1/attention/retry", operator, `{"reason":"all"}`).refused(http.StatusUnprocessableEntity, "invalid").names("", "required")
	a.call("POST", "/v1/attention/retry", operator, `{"step":"invoice","limit":501}`).refused(http.StatusUnprocessableEntity, "invalid").names("/limit", "maximum")
}

// givenUp puts an event into the inbox that no process takes.
func (a *api) givenUp() string {
	a.t.Helper()
	const id = "0123abcd"
	_, err := a.store.Receive(a.t.Context(), journal.InboxItem{ID: id, Source: "cybersource", EventType: "risk.casemanagement.decision.accept", OrderID: "WEB-10001"})
	require.NoError(a.t, err)
	require.NoError(a.t, a.store.GiveUp(a.t.Context(), id, fault.MissingReference, "there is no such order"))
	return id
}

func TestEventsThatWereGivenUpAreResolvedLikeSteps(t *testing.T) {
	a := newAPI(t)
	a.taken(canonical.OrderInReview)
	id := a.givenUp()
	listed := a.call("GET", "/v1/inbox", operator, "").is(http.StatusOK).json()["events"].([]any)
	require.Len(t, listed, 1)
	event := listed[0].(map[string]any)
	require.Equal(t, []any{"attention", "there is no such order", "att-inbox-" + id}, []any{event["state"], event["reason"], event["attentionId"]})
	item := a.call("GET", "/v1/attention/att-inbox-"+id, operator, "").is(http.StatusOK).json()
	require.Equal(t, []any{"inbox", "", []any{"retry", "skip"}}, []any{item["step"], item["workflowId"], item["actions"]})

	path := "/v1/attention/att-inbox-" + id + "/resolve"
	a.call("POST", path, operator, `{"resolution":"compensate"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/resolution", "enum")
	a.call("POST", path, operator, `{"resolution":"skip","reference":"M-17"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/reference", "combination")
	for range 2 {
		a.call("POST", path, operator, `{"resolution":"retry","reason":"the order came"}`).is(http.StatusOK)
	}
	a.call("POST", path, operator, `{"resolution":"skip"}`).refused(http.StatusConflict, "too-late")
	stored, err := a.store.Event(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []any{journal.InboxPending, 0}, []any{stored.State, stored.Tries})
	audit := a.call("GET", "/v1/orders/WEB-10001/audit", operator, "").is(http.StatusOK).json()["entries"].([]any)
	last := audit[len(audit)-1].(map[string]any)
	require.Equal(t, []any{"action", operator, "the order came"}, []any{last["kind"], last["actor"], last["reason"]})
}

func TestAStoppedSalesOrderIsPaidBackByItsItem(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	const id = "0123456789abcdef0123456789abcdef"
	_, err := a.store.Receive(t.Context(), journal.InboxItem{ID: id, Source: "erp-syspro", EventType: "erp.sales_order", OrderID: "WEB-10001"})
	require.NoError(t, err)
	require.NoError(t, a.store.Propose(t.Context(), id, journal.Proposal{
		Class: fault.DeclinedByPolicy, Summary: "cancelled in the ERP", Actions: []string{"retry", "skip", "compensate"},
		Fixes: []byte(`[{"text":"Pay back what is left","resolution":"compensate"}]`),
	}))
	item := a.call("GET", "/v1/attention/att-inbox-"+id, operator, "").is(http.StatusOK).json()
	require.Equal(t, "compensate", item["fixes"].([]any)[0].(map[string]any)["resolution"])
	path := "/v1/attention/att-inbox-" + id + "/resolve"
	for range 2 {
		answer := a.call("POST", path, operator, `{"resolution":"compensate","reason":"the buyer called"}`).is(http.StatusOK).json()
		require.Equal(t, map[string]any{"id": "att-inbox-" + id, "resolution": "compensate", "refundId": "erp-0123456789abcdef0123"}, answer)
	}
	a.call("POST", path, operator, `{"resolution":"skip"}`).refused(http.StatusConflict, "too-late")
	refunds := a.call("GET", "/v1/orders/WEB-10001/refunds", operator, "").is(http.StatusOK).json()["refunds"].([]any)
	require.Len(t, refunds, 1)
	require.Equal(t, []any{"erp-0123456789abcdef0123", operator}, []any{refunds[0].(map[string]any)["refundId"], refunds[0].(map[string]any)["actor"]})
}

func TestEventsAreReplayedAndDismissedByTheirID(t *testing.T) {
	a := newAPI(t)
	id := a.givenUp()
	a.call("POST", "/v1/inbox/"+id+"/dismiss", operator, `{"reason":"a test of the gateway's"}`).is(http.StatusOK)
	a.call("POST", "/v1/inbox/"+id+"/dismiss", operator, `{"reason":"a test of the gateway's"}`).is(http.StatusOK)
	require.Empty(t, a.call("GET", "/v1/inbox", operator, "").is(http.StatusOK).json()["events"])
	ignored := a.call("GET", "/v1/inbox?state=ignored&orderId=WEB-10001", operator, "").is(http.StatusOK).json()["events"].([]any)
	require.Equal(t, "dismissed by operator", ignored[0].(map[string]any)["reason"])

	a.call("POST", "/v1/inbox/"+id+"/replay", operator, "").is(http.StatusOK)
	require.Len(t, a.call("GET", "/v1/inbox?state=pending", operator, "").is(http.StatusOK).json()["events"], 1, "who dismissed it may have been wrong")
	a.call("POST", "/v1/inbox/none/replay", operator, "").refused(http.StatusNotFound, "not-found")
	a.call("POST", "/v1/inbox/"+id+"/forget", operator, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/inbox?state=lost", operator, "").refused(http.StatusBadRequest, "invalid").names("state", "enum")
}
