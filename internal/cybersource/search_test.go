package cybersource_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
)

const summaryOfReference = `{"id":"7000000000000000000001","submitTimeUtc":"2026-01-05T08:00:01Z","merchantId":"demo_mid",
  "applicationInformation":{"reasonCode":"100","rCode":"1","rFlag":"SOK","applications":[{"name":"ics_auth","reasonCode":"100","rCode":"1","rFlag":"SOK","reconciliationId":"69816012FDTK35GM","rMessage":"Request was processed successfully.","returnCode":1010000}]},
  "clientReferenceInformation":{"code":"ORD-1001","applicationName":"REST API","applicationUser":"demo_mid"},
  "orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},"billTo":{"firstName":"Ada"},"shipTo":{}},
  "paymentInformation":{"paymentType":{"type":"credit card","method":"VI"},"card":{"prefix":"411111","suffix":"1111","type":"001"}}}`

func page(total int, summaries ...string) string {
	embedded := ""
	if len(summaries) > 0 {
		embedded = `,"_embedded":{"transactionSummaries":[` + strings.Join(summaries, ",") + `]}`
	}
	return fmt.Sprintf(`{"searchId":"5b1b2e5c","count":%d,"totalCount":%d%s}`, len(summaries), total, embedded)
}

func TestSearchReadsTheSummariesOfTheReference(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, page(1, summaryOfReference)))
	found, err := gateway.client(t).Search(t.Context(), cybersource.Query{Code: "ORD-1001", Since: now})
	require.NoError(t, err)
	require.Equal(t, []cybersource.Transaction{{
		ID: "7000000000000000000001", Code: "ORD-1001", SubmittedAt: now.Add(time.Second), Amount: usd("102.21"),
		ReasonCode: "100", RFlag: "SOK", RCode: "1", CardType: "001", CardSuffix: "1111",
		Applications: []cybersource.Application{{Name: "ics_auth", ReasonCode: "100", RFlag: "SOK", RCode: "1", ReconciliationID: "69816012FDTK35GM"}},
	}}, found)
	require.True(t, found[0].Succeeded("ics_auth"))
	require.False(t, found[0].Succeeded("ics_bill"))

	asked := gateway.received()[0]
	require.Equal(t, "/tss/v2/searches", asked.path)
	require.JSONEq(t, `{"save":false,"name":"tenderline","timezone":"UTC","offset":0,"limit":100,"sort":"submitTimeUtc:desc",
		"query":"clientReferenceInformation.code:ORD-1001 AND submitTimeUtc:[1767599700000 TO NOW/DAY+1DAY}"}`, asked.body)
}

func TestSearchPagesAndKeepsOnlyTheReferenceItself(t *testing.T) {
	entry := func(id int, code string) string {
		return fmt.Sprintf(`{"id":"%d","clientReferenceInformation":{"code":"%s"}}`, 7000000+id, code)
	}
	gateway := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Offset, Limit int }
		if json.NewDecoder(r.Body).Decode(&asked) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var entries []string
		for i := asked.Offset; i < min(asked.Offset+asked.Limit, 150); i++ {
			code := "ORD-1"
			if i%2 == 1 {
				code = "ORD-1-C1"
			}
			id := i
			if i == 100 { // the index grew by two between the pages: an entry of the first page comes again
				id = 98
			}
			entries = append(entries, entry(id, code))
		}
		answering(http.StatusCreated, page(150, entries...))(w, r)
	})
	found, err := gateway.client(t).Search(t.Context(), cybersource.Query{Code: "ORD-1"})
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, transaction := range found {
		require.Equal(t, "ORD-1", transaction.Code)
		require.False(t, ids[transaction.ID], "no transaction comes twice")
		ids[transaction.ID] = true
	}
	require.Len(t, found, 74)
	require.Len(t, gateway.received(), 2)
}

func TestAnAnswerThatIsNoSearchResultIsNotAbsence(t *testing.T) {
	for body, status := range map[string]int{
		`{}`: 201, `garbage`: 201, ``: 201, `{"totalCount":"many"}`: 201, `{"totalCount":-1}`: 201, `{"totalCount":3}`: 201,
		`{"reason":"SYSTEM_ERROR"}`: 502, `busy`: 503,
	} {
		gateway := newGateway(t, answering(status, body))
		_, err := gateway.client(t).Search(t.Context(), cybersource.Query{Code: "ORD-1"})
		require.True(t, fault.Is(err, fault.Connection), "%s: %v", body, err)
	}
	gateway := newGateway(t, answering(http.StatusCreated, `{"totalCount":"0"}`))
	found, err := gateway.client(t).Search(t.Context(), cybersource.Query{Code: "ORD-1"})
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAReferenceThatWouldChangeTheQueryIsRefused(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, page(0)))
	for _, code := range []string{"", "A OR id:7", `A"`, "A:B", "A*", "(A)"} {
		_, err := gateway.client(t).Search(t.Context(), cybersource.Query{Code: code})
		require.True(t, fault.Is(err, fault.Bug), code)
	}
	require.Empty(t, gateway.received())
}

func TestTransactionReadsTheRecord(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusOK, `{"id":"7000000000000000000002","rootId":"7000000000000000000001","reconciliationId":"R","merchantId":"demo_mid",
		"submitTimeUTC":"2026-01-05T08:00:01.250Z","applicationInformation":{"status":"pending","reasonCode":100,"applications":{"name":"ics_bill","reasonCode":100,"rFlag":"SOK"}},
		"clientReferenceInformation":{"code":"ORD-1001"},"orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"usd","authorizedAmount":"102.21","refundBalance":"92.21"}},
		"_links":{"relatedTransactions":[{"href":"https://x/tss/v2/transactions/7000000000000000000001","method":"GET"}]}}`))
	detail, err := gateway.client(t).Transaction(t.Context(), "7000000000000000000002")
	require.NoError(t, err)
	require.Equal(t, "PENDING", detail.Status)
	require.Equal(t, "7000000000000000000001", detail.RootID)
	require.Equal(t, []string{"7000000000000000000001"}, detail.Related)
	require.True(t, detail.RefundBalance.Equal(usd("92.21")))
	require.Equal(t, now.Add(1250*time.Millisecond), detail.SubmittedAt)
	require.Equal(t, cybersource.KindCapture, detail.Kind())
	require.True(t, detail.Succeeded("ics_bill"))
	require.Equal(t, "/tss/v2/transactions/7000000000000000000002", gateway.received()[0].path)
	require.Empty(t, gateway.received()[0].body)

	gateway = newGateway(t, answering(http.StatusNotFound, ``))
	_, err = gateway.client(t).Transaction(t.Context(), "7")
	require.True(t, fault.Is(err, fault.NotFound))
	gateway = newGateway(t, answering(http.StatusInternalServerError, ``))
	_, err = gateway.client(t).Transaction(t.Context(), "7")
	require.True(t, fault.Is(err, fault.Connection))
}

func TestCheckProvesTheCredentialWithoutMovingMoney(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, page(0)))
	require.NoError(t, gateway.client(t).Check(t.Context()))
	require.Equal(t, "/tss/v2/searches", gateway.received()[0].path)
	require.Contains(t, gateway.received()[0].body, `"limit":1`)
	gateway = newGateway(t, answering(http.StatusUnauthorized, `{"response":{"rmsg":"Authentication Failed"}}`))
	require.True(t, fault.Is(gateway.client(t).Check(t.Context()), fault.Credentials))
}

// app is one application: name, reason code; success where the code is 100.
func app(name, code string) cybersource.Application {
	if code == "100" {
		return cybersource.Application{Name: name, ReasonCode: "100", RFlag: "SOK", RCode: "1"}
	}
	return cybersource.Application{Name: name, ReasonCode: code, RFlag: "D" + code, RCode: "0"}
}

func found(id string, amount string, apps ...cybersource.Application) cybersource.Transaction {
	return cybersource.Transaction{ID: id, Code: "ORD-1", SubmittedAt: now, Amount: usd(amount), Applications: apps}
}

func TestKindsAreToldByTheServicesThatRan(t *testing.T) {
	tests := []struct {
		apps string
		want cybersource.Kind
	}{
		{"ics_auth", cybersource.KindAuthorization},
		{"ics_decision ics_auth", cybersource.KindAuthorization},
		{"ics_decision", cybersource.KindAuthorization},
		{"ics_pa_enroll ics_decision", cybersource.KindAuthorization},
		{"ics_auth ics_auto_auth_reversal", cybersource.KindAuthorization},
		{"ics_auth ics_bill", cybersource.KindSale},
		{"ics_bill", cybersource.KindCapture},
		{"ics_cm_action ics_bill", cybersource.KindCapture},
		{"ics_credit", cybersource.KindRefund},
		{"ics_auth_reversal", cybersource.KindReversal},
		{"ics_cm_action ics_auth_reversal", cybersource.KindReversal},
		{"ics_auto_full_auth_reversal", cybersource.KindReversal},
		{"ics_auto_void_auth_reversal", cybersource.KindReversal},
		{"ics_timeout_auth_reversal", cybersource.KindTimeoutReversal},
		{"ics_void", cybersource.KindVoid},
		{"ics_void ics_auto_void_auth_reversal", cybersource.KindVoid},
		{"ics_cm_action", cybersource.KindCaseAction},
		{"ics_risk_update", ""},
		{"", ""},
	}
	for _, test := range tests {
		var apps []cybersource.Application
		for _, name := range strings.Fields(test.apps) {
			apps = append(apps, app(name, "100"))
		}
		require.Equal(t, test.want, found("7", "1", apps...).Kind(), test.apps)
	}
}

func TestMatchPicksWhatALostAnswerWasAbout(t *testing.T) {
	auth, bill := app("ics_auth", "100"), app("ics_bill", "100")
	late := func(transaction cybersource.Transaction, by time.Duration) cybersource.Transaction {
		transaction.SubmittedAt = transaction.SubmittedAt.Add(by)
		return transaction
	}
	partial := found("1", "5", cybersource.Application{Name: "ics_auth", ReasonCode: "110", RFlag: "SPARTIALAPPROVAL", RCode: "1"})
	tests := []struct {
		name  string
		kind  cybersource.Kind
		among []cybersource.Transaction
		want  string // "" for none
	}{
		{"authorization", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", auth)}, "1"},
		{"nothing there", cybersource.KindAuthorization, nil, ""},
		{"another amount", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10.01", auth)}, ""},
		{"approved for less", cybersource.KindAuthorization, []cybersource.Transaction{partial}, "1"},
		{"a sale is no authorization", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", auth, bill)}, ""},
		{"a sale is no capture", cybersource.KindCapture, []cybersource.Transaction{found("1", "10", auth, bill)}, ""},
		{"an authorization is no capture", cybersource.KindCapture, []cybersource.Transaction{found("1", "10", auth)}, ""},
		{"sale", cybersource.KindSale, []cybersource.Transaction{found("1", "10", auth, bill)}, "1"},
		{"sale that was declined before its capture", cybersource.KindSale, []cybersource.Transaction{found("1", "10", app("ics_auth", "204"))}, "1"},
		{"sale whose capture waits for a review", cybersource.KindSale, []cybersource.Transaction{found("1", "10", auth, app("ics_decision", "480"))}, "1"},
		{"reviewer's capture", cybersource.KindCapture, []cybersource.Transaction{found("1", "10", auth), found("2", "10", app("ics_cm_action", "100"), bill)}, "2"},
		{"before it was sent", cybersource.KindAuthorization, []cybersource.Transaction{late(found("1", "10", auth), -time.Hour)}, ""},
		{"clocks apart", cybersource.KindAuthorization, []cybersource.Transaction{late(found("1", "10", auth), -time.Minute)}, "1"},
		{"success before refusal", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", app("ics_auth", "204")), late(found("2", "10", auth), time.Minute)}, "2"},
		{"older before newer", cybersource.KindCapture, []cybersource.Transaction{late(found("1", "10", bill), time.Minute), found("2", "10", bill)}, "2"},
		{"declined", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", app("ics_auth", "231"))}, "1"},
		{"refused repeat", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", app("ics_auth", "104"))}, ""},
		{"fault of the gateway", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", app("ics_auth", "150"))}, ""},
		{"processor unavailable", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10", app("ics_auth", "236"))}, ""},
		{"sale authorized, capture lost in the gateway", cybersource.KindSale, []cybersource.Transaction{found("1", "10", auth, app("ics_bill", "151"))}, "1"},
		{"void without amount", cybersource.KindVoid, []cybersource.Transaction{{ID: "1", SubmittedAt: now, Applications: []cybersource.Application{app("ics_void", "100")}}}, "1"},
		{"void of another amount", cybersource.KindVoid, []cybersource.Transaction{found("1", "11", app("ics_void", "100"))}, ""},
		{"time-out void", cybersource.KindTimeoutVoid, []cybersource.Transaction{found("1", "10", app("ics_void", "100"))}, "1"},
		{"reversal", cybersource.KindReversal, []cybersource.Transaction{found("1", "10", auth), found("2", "10", app("ics_auth_reversal", "100"))}, "2"},
		{"time-out reversal", cybersource.KindTimeoutReversal, []cybersource.Transaction{found("2", "10", app("ics_timeout_auth_reversal", "100"))}, "2"},
		{"refund", cybersource.KindRefund, []cybersource.Transaction{found("2", "10", app("ics_credit", "100"))}, "2"},
		{"no services named", cybersource.KindAuthorization, []cybersource.Transaction{found("1", "10")}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			match, ok := cybersource.Match(test.among, cybersource.Wanted{Kind: test.kind, Amount: usd("10.00"), After: now})
			require.Equal(t, test.want != "", ok)
			require.Equal(t, test.want, match.ID)
			_, ok = cybersource.Match(test.among, cybersource.Wanted{Kind: test.kind, Amount: usd("10.00"), After: now,
				Exclude: func(id string) bool { return id == test.want }})
			if test.name != "success before refusal" && test.name != "older before newer" {
				require.False(t, ok, "what serves another operation is not taken")
			}
		})
	}
}

func TestMatchHoldsItsRulesForAnyIndex(t *testing.T) {
	apps := []string{"ics_auth", "ics_bill", "ics_credit", "ics_void", "ics_auth_reversal", "ics_decision", "ics_cm_action", "ics_timeout_auth_reversal"}
	kinds := []cybersource.Kind{cybersource.KindAuthorization, cybersource.KindSale, cybersource.KindCapture, cybersource.KindRefund, cybersource.KindReversal, cybersource.KindVoid}
	transaction := rapid.Custom(func(t *rapid.T) cybersource.Transaction {
		made := found(fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "id")), rapid.SampledFrom([]string{"10", "10.00", "11"}).Draw(t, "amount"))
		made.SubmittedAt = now.Add(time.Duration(rapid.IntRange(-30, 30).Draw(t, "minutes")) * time.Minute)
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(apps), 0, 3, rapid.ID).Draw(t, "apps") {
			made.Applications = append(made.Applications, app(name, rapid.SampledFrom([]string{"100", "100", "204", "150", "480", "104"}).Draw(t, "code")))
		}
		return made
	})
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.SliceOfNDistinct(transaction, 0, 6, func(made cybersource.Transaction) string { return made.ID }).Draw(t, "index")
		excluded := fmt.Sprint(rapid.IntRange(1, 9).Draw(t, "excluded"))
		want := cybersource.Wanted{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Amount: usd("10.00"), After: now,
			Exclude: func(id string) bool { return id == excluded }}
		match, ok := cybersource.Match(index, want)
		shuffled, okShuffled := cybersource.Match(rapid.Permutation(index).Draw(t, "shuffled"), want)
		require.Equal(t, ok, okShuffled)
		require.Equal(t, match, shuffled, "the order of the index does not matter")
		if !ok {
			return
		}
		require.Contains(t, index, match)
		require.True(t, match.Amount.Equal(want.Amount))
		require.NotEqual(t, excluded, match.ID)
		require.False(t, match.SubmittedAt.Before(now.Add(-5*time.Minute)))
		if want.Kind != cybersource.KindSale {
			require.Equal(t, want.Kind, match.Kind())
		}
		outcome := cybersource.OutcomeOf(match, cybersource.Detail{})
		require.Equal(t, match.ID, outcome.ID)
		if outcome.Result == cybersource.Captured {
			require.True(t, match.Succeeded("ics_bill"))
		}
		if outcome.Result == cybersource.Authorized {
			require.True(t, match.Succeeded("ics_auth"))
			for _, ran := range match.Applications {
				require.NotEqual(t, "480", ran.ReasonCode, "what is held is never adopted as authorized")
			}
		}
	})
}

func TestAnAdoptedTransactionTellsWhatBecameOfIt(t *testing.T) {
	auth, bill := app("ics_auth", "100"), app("ics_bill", "100")
	review, rejected := app("ics_decision", "480"), app("ics_decision", "481")
	tests := []struct {
		name   string
		apps   []cybersource.Application
		status string
		want   cybersource.Result
		kind   cybersource.Kind
	}{
		{"authorization", []cybersource.Application{auth}, "AUTHORIZED", cybersource.Authorized, cybersource.KindAuthorization},
		{"authorization without status", []cybersource.Application{auth}, "", cybersource.Authorized, cybersource.KindAuthorization},
		{"authorization of unknown status", []cybersource.Application{auth}, "SHINY", cybersource.Unrecognized, cybersource.KindAuthorization},
		{"status and services disagree", []cybersource.Application{app("ics_auth", "204")}, "AUTHORIZED", cybersource.Unrecognized, cybersource.KindAuthorization},
		{"reversed since", []cybersource.Application{auth}, "REVERSED", cybersource.Reversed, cybersource.KindAuthorization},
		{"held by status", []cybersource.Application{auth}, "AUTHORIZED_PENDING_REVIEW", cybersource.Held, cybersource.KindAuthorization},
		{"held by service", []cybersource.Application{auth, review}, "AUTHORIZED", cybersource.Held, cybersource.KindAuthorization},
		{"held without status", []cybersource.Application{auth, review}, "", cybersource.Held, cybersource.KindAuthorization},
		{"held before authorization", []cybersource.Application{review}, "PENDING_REVIEW", cybersource.HeldUnauthorized, cybersource.KindAuthorization},
		{"held before authorization, without status", []cybersource.Application{review}, "", cybersource.HeldUnauthorized, cybersource.KindAuthorization},
		{"rejected after authorization", []cybersource.Application{auth, rejected}, "AUTHORIZED_RISK_DECLINED", cybersource.RiskDeclined, cybersource.KindAuthorization},
		{"rejected after authorization, declined", []cybersource.Application{auth, rejected}, "DECLINED", cybersource.RiskDeclined, cybersource.KindAuthorization},
		{"rejected after authorization, without status", []cybersource.Application{auth, rejected}, "", cybersource.RiskDeclined, cybersource.KindAuthorization},
		{"rejected before authorization", []cybersource.Application{rejected}, "DECLINED", cybersource.Declined, cybersource.KindAuthorization},
		{"reviewer's rejection left the hold", []cybersource.Application{auth}, "REJECTED", cybersource.RiskDeclined, cybersource.KindAuthorization},
		{"declined", []cybersource.Application{app("ics_auth", "204")}, "DECLINED", cybersource.Declined, cybersource.KindAuthorization},
		{"declined without status", []cybersource.Application{app("ics_auth", "231")}, "", cybersource.Declined, cybersource.KindAuthorization},
		{"authentication", []cybersource.Application{app("ics_pa_enroll", "475")}, "", cybersource.AuthenticationRequired, cybersource.KindAuthorization},
		{"partial", []cybersource.Application{app("ics_auth", "110")}, "PARTIAL_AUTHORIZED", cybersource.PartiallyAuthorized, cybersource.KindAuthorization},
		{"partial without status", []cybersource.Application{app("ics_auth", "110")}, "", cybersource.PartiallyAuthorized, cybersource.KindAuthorization},
		{"sale", []cybersource.Application{auth, bill}, "AUTHORIZED", cybersource.Captured, cybersource.KindSale},
		{"sale pending", []cybersource.Application{auth, bill}, "PENDING", cybersource.Captured, cybersource.KindSale},
		{"sale batched", []cybersource.Application{auth, bill}, "BATCHED", cybersource.Captured, cybersource.KindSale},
		{"sale voided since", []cybersource.Application{auth, bill}, "VOIDED", cybersource.Voided, cybersource.KindSale},
		{"sale whose capture was refused", []cybersource.Application{auth, app("ics_bill", "233")}, "AUTHORIZED", cybersource.Authorized, cybersource.KindAuthorization},
		{"sale whose capture is unknown", []cybersource.Application{auth, app("ics_bill", "150")}, "AUTHORIZED", cybersource.Unrecognized, cybersource.KindAuthorization},
		{"capture", []cybersource.Application{bill}, "PENDING", cybersource.Captured, cybersource.KindCapture},
		{"capture batched", []cybersource.Application{bill}, "BATCHED", cybersource.Captured, cybersource.KindCapture},
		{"capture voided", []cybersource.Application{bill}, "VOIDED", cybersource.Voided, cybersource.KindCapture},
		{"capture refused", []cybersource.Application{app("ics_bill", "235")}, "", cybersource.Declined, cybersource.KindCapture},
		{"capture of unknown status", []cybersource.Application{bill}, "SHINY", cybersource.Unrecognized, cybersource.KindCapture},
		{"refund", []cybersource.Application{app("ics_credit", "100")}, "PENDING", cybersource.Refunded, cybersource.KindRefund},
		{"reversal", []cybersource.Application{app("ics_auth_reversal", "100")}, "REVERSED", cybersource.Reversed, cybersource.KindReversal},
		{"reversal refused", []cybersource.Application{app("ics_auth_reversal", "237")}, "INVALID_REQUEST", cybersource.Declined, cybersource.KindReversal},
		{"time-out reversal", []cybersource.Application{app("ics_timeout_auth_reversal", "100")}, "", cybersource.Reversed, cybersource.KindTimeoutReversal},
		{"void", []cybersource.Application{app("ics_void", "100")}, "VOIDED", cybersource.Voided, cybersource.KindVoid},
		{"void refused", []cybersource.Application{app("ics_void", "246")}, "FAILED", cybersource.Declined, cybersource.KindVoid},
		{"case action", []cybersource.Application{app("ics_cm_action", "100")}, "ACCEPTED", cybersource.Decided, cybersource.KindCaseAction},
		{"void that did another thing", []cybersource.Application{app("ics_void", "246"), app("ics_auth_reversal", "100")}, "", cybersource.Unrecognized, cybersource.KindVoid},
		{"reversal after a void", []cybersource.Application{app("ics_auto_void_auth_reversal", "100")}, "REVERSED", cybersource.Reversed, cybersource.KindReversal},
		{"automatic reversal", []cybersource.Application{app("ics_auto_full_auth_reversal", "100")}, "", cybersource.Reversed, cybersource.KindReversal},
		{"nothing known", nil, "AUTHORIZED", cybersource.Unrecognized, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			transaction := found("7", "10", test.apps...)
			detail := cybersource.Detail{Transaction: transaction, Status: test.status}
			outcome := cybersource.OutcomeOf(transaction, detail)
			require.Equal(t, test.want, outcome.Result)
			require.Equal(t, test.kind, outcome.Kind)
			require.True(t, outcome.Adopted)
			require.Equal(t, "7", outcome.ID)
			require.True(t, outcome.Amount.Equal(usd("10")))
		})
	}
	declined := cybersource.OutcomeOf(found("7", "10", app("ics_auth", "204")), cybersource.Detail{Status: "DECLINED"})
	require.Equal(t, "INSUFFICIENT_FUND", declined.Reason)
	soft := cybersource.OutcomeOf(found("7", "10", app("ics_auth", "200")), cybersource.Detail{ApprovalCode: "888888"})
	require.Equal(t, cybersource.Held, soft.Result, "approved at the bank, kept back by a soft AVS rule")
}

// index is a gateway that has transactions and, for some of them, records.
func index(t *testing.T, summaries []string, records map[string]string) *gateway {
	t.Helper()
	return newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answering(http.StatusCreated, page(len(summaries), summaries...))(w, r)
			return
		}
		record, known := records[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
		if !known {
			answering(http.StatusNotFound, "")(w, r)
			return
		}
		answering(http.StatusOK, record)(w, r)
	})
}

func TestFindAdoptsWhatTheRecordSays(t *testing.T) {
	record := strings.Replace(summaryOfReference, `"merchantId"`, `"status":"AUTHORIZED_PENDING_REVIEW","merchantId"`, 1)
	client := index(t, []string{summaryOfReference}, map[string]string{"7000000000000000000001": record}).client(t)
	outcome, there, err := client.Find(t.Context(), cybersource.Query{Code: "ORD-1001"},
		cybersource.Wanted{Kind: cybersource.KindAuthorization, Amount: usd("102.21"), After: now})
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, cybersource.Held, outcome.Result)
	require.Equal(t, "7000000000000000000001", outcome.ID)
	require.True(t, outcome.Authorized.Equal(usd("102.21")))

	_, there, err = client.Find(t.Context(), cybersource.Query{Code: "ORD-1001"}, cybersource.Wanted{Kind: cybersource.KindCapture, Amount: usd("102.21"), After: now})
	require.NoError(t, err)
	require.False(t, there)
}

func TestFindTakesALateRecordForNoAbsence(t *testing.T) {
	client := index(t, []string{summaryOfReference}, nil).client(t)
	_, there, err := client.Find(t.Context(), cybersource.Query{Code: "ORD-1001"}, cybersource.Wanted{Kind: cybersource.KindAuthorization, Amount: usd("102.21"), After: now})
	require.False(t, there)
	require.True(t, fault.Is(err, fault.Busy))
	require.Equal(t, cybersource.CodeDetailsLag, fault.As(err).Code)
}

func TestFindTakesOnlyTheFollowOnOfTheRightTransaction(t *testing.T) {
	void := func(id, related string) (string, string) {
		summary := fmt.Sprintf(`"id":"%s","submitTimeUtc":"2026-01-05T08:00:0%sZ","clientReferenceInformation":{"code":"ORD-1"},
			"applicationInformation":{"reasonCode":"100","applications":[{"name":"ics_void","reasonCode":"100","rFlag":"SOK"}]}`, id, id[len(id)-1:])
		return "{" + summary + "}", "{" + summary + `,"status":"VOIDED","_links":{"relatedTransactions":[{"href":"/tss/v2/transactions/` + related + `"}]}}`
	}
	first, firstRecord := void("7001", "6001")
	second, secondRecord := void("7002", "6002")
	client := index(t, []string{first, second}, map[string]string{"7001": firstRecord, "7002": secondRecord}).client(t)
	want := cybersource.Wanted{Kind: cybersource.KindVoid, Amount: usd("10"), After: now, Related: "6002"}
	outcome, there, err := client.Find(t.Context(), cybersource.Query{Code: "ORD-1"}, want)
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, "7002", outcome.ID)
	require.Equal(t, cybersource.Voided, outcome.Result)

	want.Related = "6003"
	_, there, err = client.Find(t.Context(), cybersource.Query{Code: "ORD-1"}, want)
	require.NoError(t, err)
	require.False(t, there)
}

func TestWhatReleasesItselfIsNobodysDoing(t *testing.T) {
	for name, itself := range map[string]bool{
		"ics_auth_reversal": false, "ics_timeout_auth_reversal": false, "ics_void": false,
		"ics_auto_auth_reversal": true, "ics_auto_full_auth_reversal": true, "ics_auto_void_auth_reversal": true,
	} {
		require.Equal(t, itself, cybersource.Transaction{Applications: []cybersource.Application{{Name: name, ReasonCode: "100"}}}.ReleasedByItself(), name)
	}
}
