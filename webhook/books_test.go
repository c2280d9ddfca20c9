package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/webhook"
	"github.com/tenderline/tenderline/workflows"
)

func usd(amount string) canonical.Money {
	return canonical.NewMoney(decimal.RequireFromString(amount), "USD")
}

// settled is a day that was posted, with its report.
func (a *api) settled(ofMerchant, date string, state activities.SettlementState) {
	a.t.Helper()
	ctx := a.t.Context()
	result, err := json.Marshal(activities.SettlementDocument{Result: settlement.Result{
		Date: date, MerchantID: ofMerchant, Rows: 3, Differences: 1, States: map[settlement.State]int{settlement.Matched: 2, settlement.UnknownRow: 1},
		Currencies: []settlement.CurrencyResult{{
			Currency: "USD", Outcome: settlement.Rounded, Net: decimal.RequireFromString("48.14"), Difference: decimal.RequireFromString("-0.05"), BatchID: "B-1",
			Categories: []settlement.CategoryTotal{{Category: canonical.SettlementSale, Reported: settlement.Sum{Count: 2, Amount: decimal.RequireFromString("48.19")}}},
		}},
	}, Waiting: []string{"FeeDetailReport_Daily"}, Drift: []string{"fee_detail: Colour"}, Findings: []settlement.Anomaly{{
		Kind: settlement.UnusualTotal, Currency: "USD", Value: decimal.NewFromInt(48), Median: decimal.NewFromInt(900), Score: decimal.RequireFromString("-4.1"), Days: 30, Text: "much less than usual",
	}}})
	require.NoError(a.t, err)
	require.NoError(a.t, a.store.RecordSettlement(ctx, journal.SettlementProgress{
		Merchant: ofMerchant, Date: date, State: string(state), Why: "1 difference", Result: result, Run: "run-1",
	}))
	require.NoError(a.t, a.store.PutSettlementFile(ctx, ofMerchant, date, "csv", strings.NewReader("state,orderId\nunknown_row,\n")))
	require.NoError(a.t, a.store.PutSettlementFile(ctx, ofMerchant, date, "html", strings.NewReader("<!doctype html><title>Day</title>")))
	require.NoError(a.t, a.store.RecordPosting(ctx, journal.Posting{
		Merchant: ofMerchant, Date: date, Currency: "USD", Number: "4711", Warning: "posted in December",
		Entry: &canonical.JournalEntry{Reference: "CYB" + strings.ReplaceAll(date, "-", "") + "USD" + ofMerchant[len(ofMerchant)-2:], Date: date, Currency: "USD"},
	}))
}

func TestSettlementDaysAreShown(t *testing.T) {
	a := newAPI(t)
	a.settled(merchant, "2026-11-18", activities.SettlementPosted)
	a.settled(merchant, "2026-11-19", activities.SettlementApproval)

	list := a.call("GET", "/v1/settlements?from=2026-11-01&to=2026-11-30", finance, "").is(http.StatusOK).json()["settlements"].([]any)
	require.Len(t, list, 2)
	require.Equal(t, "2026-11-19", list[0].(map[string]any)["date"], "the latest first")
	require.Len(t, a.call("GET", "/v1/settlements?state=posted", operator, "").is(http.StatusOK).json()["settlements"], 1)
	a.call("GET", "/v1/settlements?state=lost", finance, "").refused(http.StatusBadRequest, "invalid").names("state", "enum")
	a.call("GET", "/v1/settlements?from=yesterday", finance, "").refused(http.StatusBadRequest, "invalid").names("from", "pattern")

	day := a.call("GET", "/v1/settlements/2026-11-19", finance, "").is(http.StatusOK).json()
	require.Equal(t, []any{merchant, "approval", "1 difference", 3.0, 1.0, 1.0},
		[]any{day["merchant"], day["state"], day["why"], day["rows"], day["differences"], day["runs"]})
	currency := day["currencies"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"USD", "rounded", "48.14", "-0.05", "0.00", "B-1"},
		[]any{currency["currency"], currency["outcome"], currency["net"], currency["difference"], currency["deposited"], currency["batchId"]})
	require.Equal(t, map[string]any{"count": 2.0, "amount": "48.19"}, currency["categories"].([]any)[0].(map[string]any)["reported"])
	require.Equal(t, []any{[]any{"FeeDetailReport_Daily"}, []any{"fee_detail: Colour"}}, []any{day["waiting"], day["drift"]})
	finding := day["findings"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"unusual_total", "48", "900", "-4.1", "much less than usual"}, []any{finding["kind"], finding["value"], finding["median"], finding["score"], finding["text"]})
	posting := day["postings"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"CYB20261119USDus", "4711", "posted in December"}, []any{posting["reference"], posting["number"], posting["warning"]})
	require.Equal(t, true, day["posted"])
	require.Contains(t, day["links"], "approve")
	require.Len(t, day["reports"], 2)

	a.call("GET", "/v1/settlements/2026-11-01", finance, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/settlements/today", finance, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/settlements/2026-11-19?merchant=acme_eu", finance, "").refused(http.StatusNotFound, "not-found")
	a.settled("acme_eu", "2026-11-19", activities.SettlementPosted)
	a.call("GET", "/v1/settlements/2026-11-19", finance, "").refused(http.StatusBadRequest, "invalid").names("merchant", "required")
	require.Equal(t, "acme_eu", a.call("GET", "/v1/settlements/2026-11-19?merchant=acme_eu", finance, "").is(http.StatusOK).json()["merchant"])
}

// A dry run writes no record of its day, but a report that people read.
func TestTheReportOfADryRunIsShown(t *testing.T) {
	a := newAPI(t)
	for _, kind := range []string{"csv", "html"} {
		require.NoError(t, a.store.PutSettlementFile(t.Context(), merchant, "2026-11-19", kind, strings.NewReader("state,orderId\n")))
	}
	for _, query := range []string{"", "?merchant=" + merchant} {
		day := a.call("GET", "/v1/settlements/2026-11-19"+query, finance, "").is(http.StatusOK).json()
		require.Equal(t, []any{merchant, "checked", 0.0, false}, []any{day["merchant"], day["state"], day["runs"], day["posted"]})
		require.Len(t, day["reports"], 2)
		a.call("GET", "/v1/settlements/2026-11-19/discrepancies"+query, finance, "").is(http.StatusOK)
	}
	a.call("GET", "/v1/settlements/2026-11-19?merchant=acme_eu", finance, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/settlements/2026-11-18/discrepancies", finance, "").refused(http.StatusNotFound, "not-found")
	require.NoError(t, a.store.PutSettlementFile(t.Context(), "acme_eu", "2026-11-19", "csv", strings.NewReader("")))
	a.call("GET", "/v1/settlements/2026-11-19", finance, "").refused(http.StatusBadRequest, "invalid").names("merchant", "required")
}

func TestWhatFinanceBookedByHandIsShown(t *testing.T) {
	a := newAPI(t)
	by := &settlement.HandBooking{Actor: "fay", Reason: "the period is closed", Reference: "M-17", At: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}
	require.NoError(t, a.store.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: merchant, Date: "2026-11-19", State: "posted"}))
	require.NoError(t, a.store.RecordPosting(t.Context(), journal.Posting{
		Merchant: merchant, Date: "2026-11-19", Currency: "USD", Entry: &canonical.JournalEntry{Reference: "CYB20261119USD"}, ByHand: by,
		Invoice: &journal.PostedInvoice{Number: "CYBFEE20261119USD", Warning: "posted on 2026-12-01", ByHand: by},
	}))
	shown := a.call("GET", "/v1/settlements/2026-11-19", finance, "").is(http.StatusOK).json()["postings"].([]any)[0].(map[string]any)
	want := map[string]any{"actor": "fay", "reason": "the period is closed", "reference": "M-17", "at": "2026-11-20T09:00:00Z"}
	require.Equal(t, []any{want, want, "posted on 2026-12-01", nil}, []any{shown["byHand"], shown["invoiceByHand"], shown["invoiceWarning"], shown["number"]})

	require.NoError(t, a.store.Park(t.Context(), journal.Attention{
		ID: "att-journal", WorkflowID: "settlement/acme_us/2026-11-19", Step: "journal-CYB20261119USD", Actions: []string{"retry", "skip"},
	}))
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, workflows.Resolution{ID: "att-journal", Kind: workflows.ResolveSkip, Actor: finance, Reason: "closed", Reference: "M-17"}, o.Args[0])
		return workflows.ResolutionAnswer{ID: "att-journal", Kind: workflows.ResolveSkip}, nil
	}
	a.call("POST", "/v1/attention/att-journal/resolve", finance, `{"resolution":"skip","reason":"closed","reference":"M-17"}`).is(http.StatusOK)
}

func TestDiscrepanciesComeAsFileOrPage(t *testing.T) {
	a := newAPI(t)
	a.settled(merchant, "2026-11-19", activities.SettlementPosted)
	const path = "/v1/settlements/2026-11-19/discrepancies"
	for name, test := range map[string]struct {
		query, accept string
		page          bool
	}{
		"nothing said":      {"", "", false},
		"anything":          {"", "*/*", false},
		"a browser":         {"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		"rather a file":     {"", "text/html;q=0.5, text/csv", false},
		"by query":          {"?format=html", "text/csv", true},
		"file by the query": {"?format=csv", "text/html", false},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			got := a.call("GET", path+test.query, finance, "", header("Accept", test.accept)).is(http.StatusOK)
			if !test.page {
				require.Equal(t, "text/csv; charset=utf-8", got.Header().Get("Content-Type"))
				require.Equal(t, `attachment; filename="discrepancies-acme_us-2026-11-19.csv"`, got.Header().Get("Content-Disposition"))
				require.Equal(t, "state,orderId\nunknown_row,\n", got.Body.String())
				return
			}
			require.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"))
			policy := got.Header().Get("Content-Security-Policy")
			require.Contains(t, policy, "sandbox; default-src 'none'; style-src 'unsafe-inline'")
			require.NotContains(t, policy, "script")
			require.Contains(t, got.Body.String(), "<title>Day</title>")
		})
	}
	a.t = t
	a.call("GET", path+"?format=pdf", finance, "").refused(http.StatusBadRequest, "invalid").names("format", "enum")
	require.NoError(t, a.store.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: merchant, Date: "2026-11-17", State: "waiting"}))
	a.call("GET", "/v1/settlements/2026-11-17/discrepancies", finance, "").refused(http.StatusNotFound, "not-found")
}

func TestADayIsSettledByHand(t *testing.T) {
	a := newAPI(t)
	started := a.call("POST", "/v1/settlements/2026-11-19/run", finance, `{"dryRun":true}`).is(http.StatusAccepted)
	require.Equal(t, "/v1/settlements/2026-11-19?merchant=acme_us", started.Header().Get("Location"))
	require.Equal(t, map[string]any{
		"merchant": merchant, "date": "2026-11-19", "dryRun": true, "workflowId": "settlement/acme_us/2026-11-19", "started": true,
	}, started.json())
	in := a.engine.inputs[0].(workflows.SettlementInput)
	require.Equal(t, []any{merchant, "2026-11-19", true, "syspro", "America/Los_Angeles"}, []any{in.Merchant, in.Date, in.DryRun, in.Erp, in.Policy.TimeZone})

	running := a.call("POST", "/v1/settlements/2026-11-19/run", finance, "").refused(http.StatusConflict, "conflict")
	require.Contains(t, running.json()["detail"], "is being settled already")

	a.call("POST", "/v1/settlements/2026-11-21/run", finance, "").refused(http.StatusUnprocessableEntity, "invalid").names("/date", "maximum")
	a.call("POST", "/v1/settlements/yesterday/run", finance, "").refused(http.StatusUnprocessableEntity, "invalid").names("/date", "pattern")
	a.call("POST", "/v1/settlements/2026-11-18/run", finance, `{"merchant":"acme_eu"}`).refused(http.StatusNotFound, "not-found")
	a.call("POST", "/v1/settlements/2026-11-18/run", finance, `{"from":"2026-11-01"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/from", "combination")

	days := a.call("POST", "/v1/settlements/backfill", finance, `{"from":"2026-11-18","to":"2026-11-20"}`).is(http.StatusAccepted).json()["days"].([]any)
	var told []string
	for _, day := range days {
		told = append(told, fmt.Sprint(day.(map[string]any)["date"], " ", day.(map[string]any)["started"]))
	}
	require.Equal(t, []string{"2026-11-18 true", "2026-11-19 false", "2026-11-20 true"}, told)
	a.call("POST", "/v1/settlements/backfill", finance, `{"from":"2026-10-01","to":"2026-11-20"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/to", "maximum")
	a.call("POST", "/v1/settlements/backfill", finance, `{"from":"2026-11-20","to":"2026-11-18"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/to", "minimum")
	a.call("POST", "/v1/settlements/backfill", finance, `{}`).refused(http.StatusUnprocessableEntity, "invalid").names("/from", "pattern")
}

// waiting is a parked step of a process.
func (a *api) waiting(id, workflowID string, actions ...string) {
	a.t.Helper()
	require.NoError(a.t, a.store.Park(a.t.Context(), journal.Attention{
		ID: id, WorkflowID: workflowID, Step: "approval", Class: fault.DeclinedByPolicy, System: "settlement", Summary: "finance is to approve", Actions: actions,
	}))
}

func TestFinanceApprovesADay(t *testing.T) {
	a := newAPI(t)
	const path = "/v1/settlements/2026-11-19/approve"
	a.call("POST", path, finance, "").refused(http.StatusConflict, "not-now")
	a.waiting("att-other", "settlement/acme_us/2026-11-18", "approve", "retry")
	a.waiting("att-day", "settlement/acme_us/2026-11-19", "approve", "retry", "compensate")
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, "settlement/acme_us/2026-11-19", o.WorkflowID)
		answer := o.Args[0].(workflows.Resolution)
		require.Equal(t, workflows.Resolution{ID: "att-day", Kind: workflows.ResolveApprove, Actor: finance, Reason: "checked"}, answer)
		require.NoError(t, a.store.Resolve(t.Context(), answer.ID, string(answer.Kind), answer.Actor, answer.Reason))
		return workflows.ResolutionAnswer{ID: answer.ID, Kind: answer.Kind}, nil
	}
	want := map[string]any{"id": "att-day", "resolution": "approve"}
	require.Equal(t, want, a.call("POST", path, finance, `{"reason":"checked"}`).is(http.StatusOK).json())
	require.Equal(t, want, a.call("POST", path, finance, `{"reason":"checked"}`).is(http.StatusOK).json(), "a repeat gets the first outcome")
	require.Len(t, a.engine.updates, 1)
	a.call("POST", path, finance, `{"reason":"`+strings.Repeat("x", 501)+`"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/reason", "max_length")
}

func TestFinanceResolvesWhatConcernsTheBooks(t *testing.T) {
	a := newAPI(t)
	a.waiting("att-day", "settlement/acme_us/2026-11-19", "approve", "retry")
	a.waiting("att-order", "order/WEB-10001", "retry")
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		answer := o.Args[0].(workflows.Resolution)
		return workflows.ResolutionAnswer{ID: answer.ID, Kind: answer.Kind}, nil
	}
	a.call("POST", "/v1/attention/att-day/resolve", finance, `{"resolution":"approve"}`).is(http.StatusOK)
	a.call("POST", "/v1/attention/att-day/resolve", finance, `{"resolution":"retry"}`).is(http.StatusOK)
	a.call("POST", "/v1/attention/att-day/resolve", operator, `{"resolution":"approve"}`).refused(http.StatusForbidden, "forbidden")
	a.call("POST", "/v1/attention/att-order/resolve", finance, `{"resolution":"retry"}`).refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/attention/att-order", finance, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/attention/att-day", finance, "").is(http.StatusOK)
	a.call("POST", "/v1/attention/att-order/resolve", operator, `{"resolution":"retry"}`).is(http.StatusOK)
}

func TestPaymentsAndCash(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	payments := a.call("GET", "/v1/payments?status=captured&currency=USD&from=2026-11-20&to=2026-11-20", finance, "").is(http.StatusOK).json()["payments"].([]any)
	require.Len(t, payments, 1)
	payment := payments[0].(map[string]any)
	require.Equal(t, []any{"WEB-10001", "captured", "48.19", "48.19", "0.00", "0.00", "1111"}, []any{
		payment["orderId"], payment["status"], payment["captured"], payment["refundable"], payment["refunded"], payment["chargedBack"], payment["cardSuffix"],
	})
	require.Empty(t, a.call("GET", "/v1/payments?to=2026-11-19", operator, "").is(http.StatusOK).json()["payments"])
	require.Empty(t, a.call("GET", "/v1/payments?settledOn=2026-11-20", operator, "").is(http.StatusOK).json()["payments"])
	a.call("GET", "/v1/payments?status=rich", finance, "").refused(http.StatusBadRequest, "invalid").names("status", "enum")
	a.call("GET", "/v1/payments?settledOn=today", finance, "").refused(http.StatusBadRequest, "invalid").names("settledOn", "pattern")
	a.call("GET", "/v1/payments?cursor=x", finance, "").refused(http.StatusBadRequest, "invalid").names("cursor", "pattern")

	cash := a.call("GET", "/v1/cash", finance, "").is(http.StatusOK).json()
	require.Equal(t, []any{"2026-11-14", "2026-11-20", "America/Los_Angeles"}, []any{cash["from"], cash["to"], cash["timeZone"]})
	require.Equal(t, []any{map[string]any{
		"date": "2026-11-20", "currency": "USD", "authorized": "48.19", "captured": "48.19", "refunded": "0.00", "settled": "0.00", "chargedBack": "0.00", "due": "48.19",
	}}, cash["days"])
	file := a.call("GET", "/v1/cash?from=2026-11-20&to=2026-11-20", finance, "", header("Accept", "text/csv")).is(http.StatusOK)
	require.Equal(t, "date,currency,authorized,captured,refunded,settled,chargedBack,due\n2026-11-20,USD,48.19,48.19,0.00,0.00,0.00,48.19\n", file.Body.String())
	require.Equal(t, `attachment; filename="cash-2026-11-20-2026-11-20.csv"`, file.Header().Get("Content-Disposition"))
	a.call("GET", "/v1/cash?from=2026-11-21", finance, "").refused(http.StatusBadRequest, "invalid").names("to", "minimum")
	a.call("GET", "/v1/cash?from=2020-01-01", finance, "").refused(http.StatusBadRequest, "invalid").names("to", "maximum")
	a.call("GET", "/v1/cash?to=x", finance, "").refused(http.StatusBadRequest, "invalid").names("to", "pattern")
}

func TestChargebacks(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	body := `{"caseId":"CB-1","orderId":"WEB-10001","amount":48.19,"fee":"25.00","reason":"10.4","respondBy":"2026-12-10T00:00:00Z"}`
	taken := a.call("POST", "/v1/chargebacks", finance, body).is(http.StatusAccepted)
	require.Equal(t, "/v1/chargebacks/CB-1", taken.Header().Get("Location"))
	require.Equal(t, "chargeback/CB-1", a.engine.started()[1].ID)
	in := a.engine.inputs[1].(workflows.ChargebackInput)
	require.True(t, in.Case.Amount.Equal(usd("48.19")) && in.Case.Fee.Equal(usd("25")))
	require.Equal(t, []any{"WEB-10001", "syspro", 72 * time.Hour, a.clock.Now()}, []any{in.OrderID, in.Erp, in.RemindFor, in.Case.OpenedAt})
	a.call("POST", "/v1/chargebacks/CB-1/outcome", finance, `{"outcome":"lost"}`).refused(http.StatusNotFound, "not-found")

	require.NoError(t, a.store.RecordChargeback(t.Context(), journal.ChargebackRecord{
		CaseID: "CB-1", OrderID: "WEB-10001", Amount: usd("48.19"), Fee: usd("25"), Reason: "10.4", OpenedAt: a.clock.Now(),
	}, journal.ChargebackNote{Key: "1", Note: "opened", Actor: finance}, nil, nil))
	shown := a.call("GET", "/v1/chargebacks/CB-1", analyst, "").is(http.StatusOK).json()
	require.Equal(t, []any{"open", "48.19", "25.00", "USD", "10.4"}, []any{shown["state"], shown["amount"], shown["fee"], shown["currency"], shown["reason"]})
	require.Equal(t, "opened", shown["notes"].([]any)[0].(map[string]any)["note"])
	require.Len(t, a.call("GET", "/v1/chargebacks?state=open&orderId=WEB-10001&from=2026-11-20", operator, "").is(http.StatusOK).json()["chargebacks"], 1)
	require.Empty(t, a.call("GET", "/v1/chargebacks?state=won", operator, "").is(http.StatusOK).json()["chargebacks"])
	a.call("POST", "/v1/chargebacks", finance, body).is(http.StatusAccepted)
	a.call("POST", "/v1/chargebacks", finance, strings.Replace(body, "48.19", "40", 1)).refused(http.StatusConflict, "conflict")
	require.Len(t, a.engine.started(), 2)

	a.call("POST", "/v1/chargebacks/CB-1/outcome", finance, `{"outcome":"lost","reason":"no proof of delivery"}`).is(http.StatusAccepted)
	told := a.engine.signalled()[0]
	require.Equal(t, []any{"chargeback/CB-1", workflows.SignalChargeback}, []any{told.WorkflowID, told.Name})
	require.Equal(t, workflows.ChargebackNews{Outcome: activities.ChargebackLost, Actor: finance}, told.Arg)
	require.NoError(t, a.store.RecordChargeback(t.Context(), journal.ChargebackRecord{
		CaseID: "CB-1", OrderID: "WEB-10001", Amount: usd("48.19"), Outcome: journal.ChargebackLost,
	}, journal.ChargebackNote{Key: "2", Note: "lost", Actor: finance}, nil, nil))
	require.Equal(t, "lost", a.call("GET", "/v1/chargebacks/CB-1", finance, "").is(http.StatusOK).json()["state"])
	a.call("POST", "/v1/chargebacks/CB-1/outcome", finance, `{"outcome":"lost"}`).is(http.StatusAccepted)
	a.call("POST", "/v1/chargebacks/CB-1/outcome", finance, `{"outcome":"won"}`).refused(http.StatusConflict, "conflict")
	require.Len(t, a.engine.signalled(), 1)
	a.call("POST", "/v1/chargebacks/CB-1/outcome", finance, `{"outcome":"won","again":true,"reason":"arbitration"}`).is(http.StatusAccepted)
	require.Equal(t, workflows.ChargebackNews{Outcome: activities.ChargebackWon, Actor: finance, Again: true}, a.engine.signalled()[1].Arg)
	require.Equal(t, 1.0, a.call("GET", "/v1/chargebacks/CB-1", finance, "").is(http.StatusOK).json()["cycle"])
}

func TestWrongChargebacksAreExplained(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	for body, want := range map[string][2]string{
		`{"caseId":"a b","orderId":"WEB-10001","amount":"1"}`:                                   {"/caseId", "pattern"},
		`{"caseId":"C","amount":"1"}`:                                                           {"/orderId", "required"},
		`{"caseId":"C","orderId":"WEB-10001"}`:                                                  {"/amount", "minimum"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1e9"}`:                                   {"/amount", "type"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"100"}`:                                   {"/amount", "maximum"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1.001"}`:                                 {"/amount", "scale"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","currency":"EUR"}`:                    {"/currency", "enum"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","fee":"-1"}`:                          {"/fee", "minimum"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","reason":"he says that it was late"}`: {"/reason", "pattern"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","transactionId":"7001;drop"}`:         {"/transactionId", "pattern"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","lost":true}`:                         {"", "unknown_field"},
		`{"caseId":"C","orderId":"WEB-10001","amount":"1","openedAt":"` + "yesterday" + `"}`:    {"", "malformed_json"},
	} {
		got := a.call("POST", "/v1/chargebacks", finance, body)
		require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusBadRequest}, got.Code, body)
		got.names(want[0], want[1])
	}
	a.call("POST", "/v1/chargebacks", finance, `{"caseId":"C","orderId":"WEB-404","amount":"1"}`).refused(http.StatusNotFound, "not-found")
	a.call("POST", "/v1/chargebacks/C/outcome", finance, `{"outcome":"open"}`).refused(http.StatusUnprocessableEntity, "invalid").names("/outcome", "enum")
	a.call("GET", "/v1/chargebacks/a%20b", finance, "").refused(http.StatusNotFound, "not-found")
	a.call("GET", "/v1/chargebacks?state=lost-and-found", finance, "").refused(http.StatusBadRequest, "invalid").names("state", "enum")
	require.Len(t, a.engine.started(), 1)
}

func TestStock(t *testing.T) {
	a := newAPI(t)
	_, err := a.store.PutStock(t.Context(),
		journal.StockLevel{Erp: "syspro", Code: "A100", Warehouse: "E", Available: decimal.RequireFromString("12.5"), At: a.clock.Now()},
		journal.StockLevel{Erp: "syspro", Code: "B200", Available: decimal.Zero, At: a.clock.Now()})
	require.NoError(t, err)
	require.Len(t, a.call("GET", "/v1/stock", shopUS, "").is(http.StatusOK).json()["stock"], 2)
	one := a.call("GET", "/v1/stock?code=A100&code=C300", shopUS, "").is(http.StatusOK).json()["stock"].([]any)
	require.Equal(t, []any{map[string]any{"erp": "syspro", "stockCode": "A100", "warehouse": "E", "available": "12.5", "at": "2026-11-20T15:00:00Z"}}, one)
	a.call("GET", "/v1/stock?"+strings.Repeat("code=A&", 101), shopUS, "").refused(http.StatusBadRequest, "invalid").names("code", "max_items")
}

const erpPath = "/webhooks/erp/syspro"

// pushed signs a body as an ERP's side does.
func (a *api) pushed(body, keyID string, at time.Time) func(*http.Request) {
	key, err := base64.StdEncoding.DecodeString(webhookKey)
	require.NoError(a.t, err)
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(stamp + "." + body))
	return func(r *http.Request) {
		r.Header.Set("X-Tenderline-Timestamp", stamp)
		r.Header.Set("X-Tenderline-Signature", "old:AAAA, "+keyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
}

func (a *api) push(body string) answer {
	a.t.Helper()
	return a.call("POST", erpPath, nobody, body, a.pushed(body, "new", a.clock.Now()))
}

const pushedMemo = `{"id":"C00012@2026-11-20T14:00:00Z","feed":"credit_memo","number":"C00012","orderId":"WEB-10001","at":"2026-11-20T14:00:00Z",
 "memo":{"customerCode":"CUST0042","salesOrder":"015562","invoice":"200069","amount":"19.95","tax":1.65,"currency":"USD","reason":"RETURN",
 "transactionId":"7001","refundStatus":"Pending"}}`

func TestChangesThatAnErpPushes(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	shipment := `{"id":"S1@1","feed":"shipment","number":"000000000000001","orderId":"WEB-10001","at":"2026-11-20T14:30:00Z","shipment":{"salesOrder":"015562",
 "carrier":"UPS","tracking":"1Z999","shippedOn":"2026-11-20","lines":[{"lineNumber":1,"stockCode":"A100","quantity":2}]}}`
	stock := `{"id":"A100@1","feed":"stock","number":"A100","at":"2026-11-20T14:30:00Z","stock":{"stockCode":"A100","warehouse":"E","available":"7"}}`
	body := "[" + pushedMemo + "," + shipment + "," + stock + "]"
	require.Equal(t, map[string]any{"status": "accepted", "new": 3.0, "known": 0.0}, a.push(body).is(http.StatusOK).json())
	require.Eventually(t, func() bool {
		stats, err := a.store.Stats(t.Context())
		return err == nil && stats.Inbox[journal.InboxDelivered] == 3
	}, time.Minute, 5*time.Millisecond)
	var ids []string
	for _, started := range a.engine.started()[1:] {
		ids = append(ids, started.ID)
	}
	require.ElementsMatch(t, []string{"credit-memo/syspro/C00012", "shipment/WEB-10001/000000000000001"}, ids)
	levels, err := a.store.Stock(t.Context(), "A100")
	require.NoError(t, err)
	require.Len(t, levels, 1)

	require.Equal(t, map[string]any{"status": "accepted", "new": 0.0, "known": 3.0}, a.push(body).is(http.StatusOK).json(), "told once more")
	var change activities.Change
	require.NoError(t, json.Unmarshal([]byte(strings.Replace(pushedMemo, "1.65", `"1.65"`, 1)), &change))
	polled, err := activities.ChangeEvent("syspro", change)
	require.NoError(t, err)
	created, err := a.store.Receive(t.Context(), polled)
	require.NoError(t, err)
	require.False(t, created, "the poll tells the same change under the same ID")
}

// TestEachErpSignsWithItsOwnKeys: whoever pushes for one ERP can't tell changes of another, and an ERP that no order is booked in has no door.
func TestEachErpSignsWithItsOwnKeys(t *testing.T) {
	settings, err := config.Load(config.Map(map[string]string{
		"TENDERLINE_CHANNELS":                     `{"web-us":{"erp":"sagepro"},"web-eu":{"erp":"syspro"}}`,
		"TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS":  "new:b3RoZXIga2V5",
		"TENDERLINE_SAGEPRO_CHANGES_WEBHOOK_KEYS": "new:" + webhookKey,
	}))
	require.NoError(t, err)
	two, err := webhook.Configured(settings)
	require.NoError(t, err)
	a := newAPI(t, func(d *webhook.Deps, _ *config.Config) { d.Erps = two.Erps })
	stock := `[{"id":"A100@1","feed":"stock","number":"A100","at":"2026-11-20T14:30:00Z","stock":{"stockCode":"A100","warehouse":"N","available":"7"}}]`
	signed := a.pushed(stock, "new", a.clock.Now())
	a.call("POST", "/webhooks/erp/syspro", nobody, stock, signed).refused(http.StatusUnauthorized, "signature")
	a.call("POST", "/webhooks/erp/sagepro", nobody, stock, signed).is(http.StatusOK)
	require.Eventually(t, func() bool {
		levels, err := a.store.Stock(t.Context(), "A100")
		return err == nil && len(levels) == 1 && levels[0].Erp == "sagepro"
	}, time.Minute, 5*time.Millisecond)

	settings, err = config.Load(config.Map(map[string]string{"TENDERLINE_SETTLEMENT_ERP": "sagepro"}))
	require.NoError(t, err)
	one, err := webhook.Configured(settings)
	require.NoError(t, err)
	require.Contains(t, one.Erps, "syspro")
	require.NotContains(t, one.Erps, "sagepro", "days are posted there, but no orders are booked")
}

func TestPushesThatAreRefused(t *testing.T) {
	body := "[" + pushedMemo + "]"
	signed := func(body string) func(a *api) func(*http.Request) {
		return func(a *api) func(*http.Request) { return a.pushed(body, "new", a.clock.Now()) }
	}
	at := func(d time.Duration) func(a *api) func(*http.Request) {
		return func(a *api) func(*http.Request) { return a.pushed(body, "new", a.clock.Now().Add(d)) }
	}
	for name, test := range map[string]struct {
		body   string
		sign   func(a *api) func(*http.Request)
		status int
		kind   string
	}{
		"no signature":   {body, func(*api) func(*http.Request) { return func(*http.Request) {} }, http.StatusUnauthorized, "signature"},
		"other body":     {body, signed(body + " "), http.StatusUnauthorized, "signature"},
		"unknown key":    {body, func(a *api) func(*http.Request) { return a.pushed(body, "newer", a.clock.Now()) }, http.StatusUnauthorized, "signature"},
		"wrong key":      {body, func(a *api) func(*http.Request) { return a.pushed(body, "old", a.clock.Now()) }, http.StatusUnauthorized, "signature"},
		"replayed":       {body, at(-6 * time.Minute), http.StatusUnauthorized, "signature"},
		"from future":    {body, at(6 * time.Minute), http.StatusUnauthorized, "signature"},
		"no time":        {body, func(a *api) func(*http.Request) { return header("X-Tenderline-Signature", "new:AAAA") }, http.StatusUnauthorized, "signature"},
		"no array":       {pushedMemo, signed(pushedMemo), http.StatusBadRequest, "malformed"},
		"no JSON":        {"[{]", signed("[{]"), http.StatusBadRequest, "malformed"},
		"nothing":        {"", signed(""), http.StatusBadRequest, "malformed"},
		"a card number":  {strings.Replace(body, "RETURN", "4111111111111111", 1), signed(strings.Replace(body, "RETURN", "4111111111111111", 1)), http.StatusUnprocessableEntity, "card-data"},
		"huge":           {strings.Repeat("x", 300<<10), signed(""), http.StatusRequestEntityTooLarge, "too-large"},
		"unknown fields": {`[{"id":"a","price":1}]`, signed(`[{"id":"a","price":1}]`), http.StatusUnprocessableEntity, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.call("POST", erpPath, nobody, test.body, test.sign(a)).refused(test.status, test.kind)
			stats, err := a.store.Stats(t.Context())
			require.NoError(t, err)
			require.Empty(t, stats.Inbox)
			require.NotContains(t, a.logs.String(), "4111111111111111")
		})
	}
	a := newAPI(t)
	a.call("POST", "/webhooks/erp/sap", nobody, body, a.pushed(body, "new", a.clock.Now())).refused(http.StatusNotFound, "not-found")
}

func TestWrongPushedChangesAreExplained(t *testing.T) {
	a := newAPI(t)
	const head = `"number":"N1","at":"2026-11-20T14:00:00Z"`
	for change, want := range map[string][2]string{
		`{"feed":"stock",` + head + `,"stock":{"stockCode":"A","available":1}}`:                                                                                          {"/0/id", "pattern"},
		`{"id":"a","feed":"stock","at":"2026-11-20T14:00:00Z","stock":{"stockCode":"A","available":1}}`:                                                                  {"/0/number", "pattern"},
		`{"id":"a","feed":"stock","number":"N1","stock":{"stockCode":"A","available":1}}`:                                                                                {"/0/at", "required"},
		`{"id":"a","feed":"stock","orderId":"a b",` + head + `,"stock":{"stockCode":"A","available":1}}`:                                                                 {"/0/orderId", "pattern"},
		`{"id":"a","feed":"prices",` + head + `}`:                                                                                                                        {"/0/feed", "enum"},
		`{"id":"a","feed":"stock",` + head + `}`:                                                                                                                         {"/0", "combination"},
		`{"id":"a","feed":"stock",` + head + `,"stock":{"stockCode":"A","available":1},"order":{"salesOrder":"1","state":"held"}}`:                                       {"/0", "combination"},
		`{"id":"a","feed":"stock",` + head + `,"stock":{"available":1}}`:                                                                                                 {"/0/stock/stockCode", "required"},
		`{"id":"a","feed":"stock",` + head + `,"stock":{"stockCode":"A","available":"1e999999999"}}`:                                                                     {"/0/stock/available", "type"},
		`{"id":"a","feed":"stock",` + head + `,"stock":{"stockCode":"A"}}`:                                                                                               {"/0/stock/available", "required"},
		`{"id":"a","feed":"sales_order",` + head + `,"order":{"salesOrder":"1","state":"lost"}}`:                                                                         {"/0/order/state", "enum"},
		`{"id":"a","feed":"shipment",` + head + `,"shipment":{"shippedOn":"2026-11-20","lines":[]}}`:                                                                     {"/0/shipment/lines", "required"},
		`{"id":"a","feed":"shipment",` + head + `,"shipment":{"shippedOn":"today","lines":[{"stockCode":"A","quantity":1}]}}`:                                            {"/0/shipment/shippedOn", "pattern"},
		`{"id":"a","feed":"shipment",` + head + `,"shipment":{"shippedOn":"2026-11-20","lines":[{"quantity":"x","stockCode":"A"}]}}`:                                     {"/0/shipment/lines/0/quantity", "type"},
		`{"id":"a","feed":"credit_memo",` + head + `,"memo":{"amount":1,"tax":0,"currency":"dollar","refundStatus":"Pending"}}`:                                          {"/0/memo/currency", "currency"},
		`{"id":"a","feed":"credit_memo",` + head + `,"memo":{"amount":1,"currency":"USD","refundStatus":"Pending"}}`:                                                     {"/0/memo/tax", "required"},
		`{"id":"a","feed":"credit_memo",` + head + `,"memo":{"own":true,"amount":1,"tax":0,"currency":"USD","refundStatus":"Pending"}}`:                                  {"/0/memo/reference", "required"},
		`{"id":"a","feed":"credit_memo",` + head + `,"memo":{"amount":1,"tax":0,"currency":"USD"}}`:                                                                      {"/0/memo/refundStatus", "required"},
		`{"id":"a","feed":"credit_memo",` + head + `,"memo":{"amount":1,"tax":0,"currency":"USD","refundStatus":"Pending","reason":"` + strings.Repeat("x", 501) + `"}}`: {"/0/memo/reason", "max_length"},
	} {
		a.push("["+change+"]").refused(http.StatusUnprocessableEntity, "invalid").names(want[0], want[1])
	}
	many := "[" + strings.Repeat(`{"id":"a"},`, 500) + `{"id":"a"}]`
	a.push(many).refused(http.StatusUnprocessableEntity, "invalid").names("", "max_items")
	require.Equal(t, 0.0, a.push("[]").is(http.StatusOK).json()["new"])
}

func TestAPushIsKeptWhileTheEngineIsAway(t *testing.T) {
	a := newAPI(t)
	a.paid(canonical.OrderConfirmed)
	a.engine.startErr = serviceerror.NewUnavailable("away")
	a.push("[" + pushedMemo + "]").is(http.StatusOK)
	require.Eventually(t, func() bool {
		page, _, err := a.store.Inbox(t.Context(), journal.InboxFilter{State: journal.InboxPending})
		return err == nil && len(page) == 1 && page[0].Tries == 1
	}, time.Minute, 5*time.Millisecond)
}

func FuzzPushedChanges(f *testing.F) {
	f.Add("[" + pushedMemo + "]")
	f.Add(`[{"id":"a","feed":"stock","number":"A","at":"2026-11-20T14:00:00Z","stock":{"stockCode":"A","available":"1e9"}}]`)
	f.Add(`[{}]`)
	a := newAPI(f)
	f.Fuzz(func(t *testing.T, body string) {
		a.t = t
		got := a.push(body)
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge}, got.Code, got.Body.String())
	})
}
