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
		ID: "att-1", OrderID: "WEB-10001", WorkflowID: "order/WEB-10001", Step: "sales-order", Class: fault.MissingReference,
		Summary: "the ERP does not know the customer", Suggestion: "create it", Sent: []byte(`{"customerCode":"X"}`), Answer: []byte("no customer"),
		Actions: []string{"retry", "compensate"}, Since: a.clock.Now(), Deadline: a.clock.Now().Add(4 * time.Hour),
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
