package cybersource

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (g *gateway) decide(id, decision string, actions ...string) answer {
	g.t.Helper()
	body := map[string]any{"decisionInformation": map[string]any{"decision": decision, "comments": "ok"}}
	if len(actions) > 0 {
		body["processingInformation"] = map[string]any{"actionList": actions}
	}
	return g.post("/risk/v1/decisions/"+id+"/actions", body)
}

func (g *gateway) held(scenario string) string {
	g.t.Helper()
	return g.post("/pts/v2/payments", g.tokenPayment(scenario, nil)).id()
}

func TestStandaloneDecision(t *testing.T) {
	tests := []struct{ scenario, status, reason string }{
		{"approve", "ACCEPTED", ""}, {"review", "PENDING_REVIEW", "DECISION_PROFILE_REVIEW"}, {"risk_decline", "REJECTED", "DECISION_PROFILE_REJECT"},
		{"risk_score", "REJECTED", "SCORE_EXCEEDS_THRESHOLD"}, {"pending_authentication", "PENDING_AUTHENTICATION", "CONSUMER_AUTHENTICATION_REQUIRED"},
		{"insufficient_funds", "ACCEPTED", ""},
	}
	for _, test := range tests {
		t.Run(test.scenario, func(t *testing.T) {
			g := newGateway(t)
			a := g.post("/risk/v1/decisions", g.tokenPayment(test.scenario, map[string]any{"clientReferenceInformation.code": strings.Repeat("r", 59)}))
			require.Equal(t, 201, a.status, a.raw)
			require.Equal(t, test.status, a.text("status"))
			require.Equal(t, test.reason, a.text("errorInformation.reason"))
			require.Equal(t, strings.Repeat("r", 59), a.text("clientReferenceInformation.code"))
			require.NotNil(t, a.at("riskInformation.score.result"))
			require.Empty(t, g.server.Ledger().Transactions, "no money is concerned")
			if test.status == "PENDING_REVIEW" {
				require.Equal(t, "Review", a.text("riskInformation.profile.desinationQueue"))
				require.Equal(t, "ACCEPTED", g.decide(a.id(), "ACCEPT").text("status"))
			}
		})
	}
}

func TestAcceptedCase(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	a := g.decide(id, "ACCEPT")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "ACCEPTED", a.text("status"))
	require.Regexp(t, `^[0-9a-f-]{36}$`, a.id())
	require.Nil(t, a.at("_embedded"), "accepting alone does not capture")
	require.Equal(t, "AUTHORIZED", g.entry(id).Status)
	require.Equal(t, 201, g.capture(id, "102.21").status)
	require.Equal(t, 400, g.decide(id, "REJECT").status, "a case is decided once")
	require.Len(t, g.search("clientReferenceInformation.code:ORD-1001", nil).summaries(), 2, "the payment and the case action")
}

func TestAcceptedCaseWithCapture(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	a := g.decide(id, "ACCEPT", "CAPTURE")
	capture := a.text("_embedded.capture.id")
	require.Equal(t, "/pts/v2/captures/"+capture, a.text("_embedded.capture._links.self.href"))
	require.Equal(t, "102.21", g.entry(capture).Amount)
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", g.capture(id, "102.21").text("reason"))
	related := g.get("/tss/v2/transactions/" + id).at("_links.relatedTransactions").([]any)
	require.Contains(t, answer{body: related[0]}.text("href"), capture)
}

func TestRejectedCase(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	require.Equal(t, "REJECTED", g.decide(id, "REJECT").text("status"))
	require.Equal(t, "AUTHORIZED_RISK_DECLINED", g.entry(id).Status, "the hold is still there")
	require.Equal(t, "102.21", g.entry(id).Held)
	require.Equal(t, "NOT_SUPPORTED", g.capture(id, "102.21").text("reason"))
	require.Equal(t, 201, g.reverse(id, "102.21").status)
	require.Equal(t, "REVERSED", g.entry(id).Status)

	at := newGateway(t)
	id = at.held("review")
	a := at.decide(id, "REJECT", "REVERSE")
	require.NotEmpty(t, a.text("_embedded.reversal.id"))
	require.Equal(t, "REVERSED", at.entry(id).Status)
}

func TestCaseHeldBeforeAuthorization(t *testing.T) {
	g := newGateway(t)
	id := g.held("review_preauth")
	require.Equal(t, "ACCEPTED", g.decide(id, "ACCEPT").text("status"))
	require.Equal(t, "MISSING_AUTH", g.capture(id, "102.21").text("reason"), "nothing was authorized yet")
	require.Equal(t, "MISSING_AUTH", g.reverse(id, "102.21").text("reason"))

	rejected := g.held("review_preauth")
	g.decide(rejected, "REJECT")
	require.Equal(t, "REJECTED", g.entry(rejected).Status)

	captured := g.held("review_preauth")
	require.NotEmpty(t, g.decide(captured, "ACCEPT", "CAPTURE").text("_embedded.capture.id"))

	authorizing := newGateway(t, func(c *Config) { c.AuthorizeOnAccept = true })
	id = authorizing.held("review_preauth")
	authorizing.decide(id, "ACCEPT")
	require.Equal(t, "AUTHORIZED", authorizing.entry(id).Status)
	require.Equal(t, 201, authorizing.capture(id, "102.21").status)
}

func TestCaseChecks(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	require.Equal(t, 400, g.decide(id, "MAYBE").status)
	require.Equal(t, 400, g.decide(id, "").status)
	require.Equal(t, []string{"processingInformation.actionList"}, g.decide(id, "ACCEPT", "REVERSE").fields())
	require.Equal(t, []string{"processingInformation.actionList"}, g.decide(id, "REJECT", "CAPTURE").fields())
	require.Equal(t, 404, g.decide("7000000000000000000001", "ACCEPT").status)
	require.Equal(t, 400, g.decide(g.pay(nil).id(), "ACCEPT").status, "no case was opened")
	require.Equal(t, "102.21", g.entry(id).Held, "nothing was decided")
}

func TestCommentsAndMarking(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	a := g.post("/risk/v1/decisions/"+id+"/comments", map[string]any{"comments": "called the customer"})
	require.Equal(t, 201, a.status)
	require.Equal(t, "COMPLETED", a.text("status"))
	mark := marking("add", "suspected", "customer_email")
	require.Equal(t, 201, g.post("/risk/v1/decisions/"+id+"/marking", mark).status)
	require.Equal(t, "suspected", g.get("/tss/v2/transactions/"+id).text("fraudMarkingInformation.reason"))
	require.Equal(t, 400, g.post("/risk/v1/decisions/"+id+"/comments", "{}").status)
	require.Equal(t, 400, g.post("/risk/v1/decisions/"+id+"/marking", "{}").status)
	require.Equal(t, 201, g.post("/risk/v1/lists/negative/entries", "{}").status)
	require.Equal(t, 400, g.post("/risk/v1/lists/grey/entries", "{}").status)
}

func marking(action, reason string, fields ...string) map[string]any {
	details := map[string]any{"action": action, "reason": reason, "notes": "rejected", "fieldsIncluded": fields}
	return map[string]any{"riskInformation": map[string]any{"markingDetails": details}}
}

func TestAMarkedCustomerIsDeclined(t *testing.T) {
	dir := t.TempDir()
	inDir := func(c *Config) { c.StateDir = dir }
	g := newGateway(t, inDir)
	id := g.pay(nil).id()
	path := "/risk/v1/decisions/" + id + "/marking"
	for range 2 {
		require.Equal(t, 201, g.post(path, marking("add", "suspected", "customer_email")).status)
	}
	require.Equal(t, []MarkingEntry{{
		PaymentID: id, Reference: "ORD-1001", Action: "add", Reason: "suspected", Notes: "rejected", Fields: []string{"customer_email"},
		Email: "ada@example.com", At: g.clock.Now(),
	}}, g.server.Ledger().Markings, "the same marking again changes nothing")
	require.Len(t, g.control("GET", "/_sandbox/ledger", nil).at("markings"), 1)
	require.NoError(t, g.server.Close())

	g = newGateway(t, inDir)
	declined := g.pay(map[string]any{"orderInformation.billTo.email": "ADA@example.com"})
	require.Equal(t, "DECLINED", declined.text("status"))
	require.Equal(t, "BLACKLISTED_CUSTOMER", declined.text("errorInformation.reason"))
	found := g.search("id:"+declined.id(), nil).summaries()
	require.Equal(t, "221", answer{body: found[0]}.text("applicationInformation.reasonCode"))
	stored := payment(map[string]any{"paymentInformation": map[string]any{"customer": map[string]any{"id": "C0000000000000000000000000000001"}}, "orderInformation.billTo": nil})
	require.Equal(t, "DECLINED", g.post("/pts/v2/payments", stored).text("status"), "the address of the vault is marked too")
	require.Equal(t, "AUTHORIZED", g.pay(map[string]any{"orderInformation.billTo.email": "bob@example.com"}).text("status"))
	skipped := g.pay(map[string]any{"processingInformation.actionList": []any{"DECISION_SKIP"}})
	require.Equal(t, "AUTHORIZED", skipped.text("status"), "the list is Decision Manager's")
	g.clock.Advance(time.Minute)
	require.Equal(t, 201, g.post(path, marking("clear", "", "customer_email")).status)
	require.Equal(t, "AUTHORIZED", g.pay(nil).text("status"))
}

func TestAMarkingIsChecked(t *testing.T) {
	g := newGateway(t)
	path := "/risk/v1/decisions/" + g.pay(nil).id() + "/marking"
	const at = "riskInformation.markingDetails."
	for name, test := range map[string]struct {
		body  map[string]any
		field string
	}{
		"no action":      {marking("", "suspected", "customer_email"), at + "action"},
		"unknown action": {marking("accuse", "suspected", "customer_email"), at + "action"},
		"no reason":      {marking("add", "", "customer_email"), at + "reason"},
		"unknown reason": {marking("add", "dislike", "customer_email"), at + "reason"},
		"no field":       {marking("add", "suspected"), at + "fieldsIncluded"},
		"unknown field":  {marking("add", "suspected", "customer_shoes"), at + "fieldsIncluded"},
	} {
		a := g.post(path, test.body)
		require.Equal(t, 400, a.status, name)
		require.Equal(t, []string{test.field}, a.fields(), name)
	}
	require.Equal(t, 404, g.post("/risk/v1/decisions/7000000000000000000001/marking", marking("add", "suspected", "customer_email")).status)
	require.Empty(t, g.server.Ledger().Markings)
}

func TestASilentReviewerIsSeenByPollingAlone(t *testing.T) {
	heard := newReceiver(t)
	g := newGateway(t, preset(heard, "risk.casemanagement.decision.accept"))
	id := g.held("review")
	a := g.control("POST", "/_sandbox/review", map[string]any{"id": id, "decision": "accept", "actionList": []string{"CAPTURE"}, "silent": true})
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "AUTHORIZED", g.get("/tss/v2/transactions/"+id).text("status"))
	require.Len(t, g.search("clientReferenceInformation.code:ORD-1001", nil).summaries(), 3, "the payment, the capture and the case action")
	other := g.held("review")
	g.control("POST", "/_sandbox/review", map[string]any{"id": other, "decision": "accept"})
	for _, told := range heard.wait(t, 1) {
		require.Equal(t, other, told.body.text("payload.data.id"), "only the second decision is told")
	}
}

func TestReviewerInTheBusinessCenter(t *testing.T) {
	g := newGateway(t)
	id := g.held("review")
	a := g.control("POST", "/_sandbox/review", map[string]any{"reference": "ORD-1001", "decision": "accept", "actionList": []string{"CAPTURE"}})
	require.Equal(t, 200, a.status, a.raw)
	require.NotEmpty(t, a.text("_embedded.capture.id"))
	require.Equal(t, 409, g.control("POST", "/_sandbox/review", map[string]any{"id": id, "decision": "reject"}).status)
	require.Equal(t, 404, g.control("POST", "/_sandbox/review", map[string]any{"id": "1", "decision": "reject"}).status)
}
