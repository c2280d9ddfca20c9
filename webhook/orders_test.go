package webhook_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/webhook"
	"github.com/tenderline/tenderline/workflows"
)

func TestSubmitOrderStartsItOnce(t *testing.T) {
	a := newAPI(t)
	first := a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	require.Equal(t, "/v1/orders/WEB-10001", first.Header().Get("Location"))
	require.Equal(t, "received", first.json()["status"])
	require.Equal(t, "48.19", first.json()["total"])

	starts := a.engine.started()
	require.Len(t, starts, 1)
	require.Equal(t, "order/WEB-10001", starts[0].ID)
	require.Equal(t, workflows.TaskQueue, starts[0].TaskQueue)
	require.True(t, starts[0].WorkflowExecutionErrorWhenAlreadyStarted)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, starts[0].WorkflowIDReusePolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, starts[0].WorkflowIDConflictPolicy)
	input, ok := a.engine.inputs[0].(workflows.OrderInput)
	require.True(t, ok)
	require.Equal(t, "syspro", input.Erp)
	require.Equal(t, workflows.StockReject, input.Policy.Stock)
	require.Equal(t, 3, input.Policy.PaymentTries)

	again := a.call("POST", "/v1/orders", shopUS, orderJSON("48.19", "48.190", `"5.00"`, "5")).is(http.StatusAccepted)
	require.Equal(t, first.json(), again.json(), "the same order, written otherwise, gets the same answer")
	require.Len(t, a.engine.started(), 1)

	a.call("POST", "/v1/orders", shopUS, orderJSON("Widget", "Gadget")).refused(http.StatusConflict, "conflict")
	require.Len(t, a.engine.started(), 1)
}

func TestOrderIsTakenWhileTemporalIsAway(t *testing.T) {
	a := newAPI(t)
	a.engine.startErr = serviceerror.NewUnavailable("away")
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	record, err := a.store.Order(t.Context(), "WEB-10001")
	require.NoError(t, err)
	require.Nil(t, record.StartedAt)

	a.engine.startErr = nil
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	require.Len(t, a.engine.started(), 1, "a repeat starts what was not started")
}

func TestWaitForThePaymentsOutcome(t *testing.T) {
	a := newAPI(t)
	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		require.Equal(t, "payment-outcome", o.UpdateName)
		require.Equal(t, "payment-outcome", o.UpdateID)
		require.Equal(t, "order/WEB-10001", o.WorkflowID)
		return workflows.OrderView{
			OrderID: "WEB-10001", Status: canonical.OrderAwaitingPayment, PaymentStatus: canonical.PaymentDeclined, Reason: "insufficient funds",
			Payment: canonical.Payment{Status: canonical.PaymentDeclined, Currency: "USD"},
		}, nil
	}
	known := a.call("POST", "/v1/orders", shopUS, orderJSON(), header("Prefer", "respond-async, wait=15")).is(http.StatusOK)
	require.Equal(t, "wait=15", known.Header().Get("Preference-Applied"))
	require.Equal(t, "awaiting_payment", known.json()["status"])
	require.Equal(t, "insufficient funds", known.json()["reason"])

	a.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) {
		return nil, client.NewWorkflowUpdateServiceTimeoutOrCanceledError(nil)
	}
	a.call("POST", "/v1/orders", shopUS, orderJSON(), header("Prefer", "wait=99")).is(http.StatusAccepted)
	a.call("POST", "/v1/orders", shopUS, orderJSON(), header("Prefer", "wait=soon")).refused(http.StatusBadRequest, "invalid").names("Prefer", "pattern")
}

func TestOrdersThatAreRefused(t *testing.T) {
	manyLines := `"lines":[` + strings.TrimSuffix(strings.Repeat(`{"sku":"A100","description":"Widget","quantity":"1","unitPrice":"1.00"},`, 10_000), ",") + `]`
	line := `"lines":[{"sku":"A100","description":"Widget","quantity":"2","unitPrice":"19.95","discount":"0.00","tax":"3.29"}]`
	for _, test := range []struct {
		name, body    string
		status        int
		kind          string
		pointer, rule string
	}{
		{"malformed", `{"orderId":"WEB-1",`, http.StatusBadRequest, "malformed", "", "malformed_json"},
		{"not an object", `[]`, http.StatusUnprocessableEntity, "invalid", "", "type"},
		{"nothing", ``, http.StatusUnsupportedMediaType, "unsupported-media-type", "-", ""},
		{"two documents", orderJSON() + `{}`, http.StatusBadRequest, "malformed", "", "trailing_data"},
		{"unknown field", orderJSON(`"currency"`, `"curency":"USD","currency"`), http.StatusUnprocessableEntity, "invalid", "/curency", "unknown_field"},
		{"wrong total", orderJSON("48.19", "48.18"), http.StatusUnprocessableEntity, "invalid", "/total", "total_mismatch"},
		{"unknown currency", orderJSON(`"USD"`, `"XXQ"`), http.StatusUnprocessableEntity, "invalid", "/currency", "currency"},
		{"negative quantity", orderJSON(`"quantity":"2"`, `"quantity":"-2"`), http.StatusUnprocessableEntity, "invalid", "/lines/0/quantity", "minimum"},
		{"ten thousand lines", orderJSON(line, manyLines), http.StatusUnprocessableEntity, "invalid", "/lines", "max_items"},
		{"unknown token", orderJSON("BROWSER_TOKEN", "nonsense"), http.StatusUnprocessableEntity, "invalid", "/payment/token/value", "token_shape"},
		{"another shop's channel", orderJSON(`"web-us"`, `"web-eu"`), http.StatusForbidden, "forbidden", "-", ""},
		{"no channel of ours", orderJSON(`"web-us"`, `"web-mars"`), http.StatusForbidden, "forbidden", "-", ""},
		{"huge", orderJSON(`"Widget"`, `"`+strings.Repeat("x", 5<<20)+`"`), http.StatusRequestEntityTooLarge, "too-large", "-", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			answer := a.call("POST", "/v1/orders", shopUS, test.body).refused(test.status, test.kind)
			if test.pointer != "-" {
				answer.names(test.pointer, test.rule)
			}
			require.NotEmpty(t, answer.json()["requestId"])
			require.Empty(t, a.engine.started())
			page, _, err := a.store.Orders(t.Context(), journal.OrderFilter{})
			require.NoError(t, err)
			require.Empty(t, page)
		})
	}
}

// A card number is refused wherever it stands, and nothing of it stays: not in the answer, the log or the database.
func TestCardNumbersLeaveNoTrace(t *testing.T) {
	const card = "4111111111111111"
	for name, test := range map[string]struct {
		method, path, caller, body, pointer string
	}{
		"in a note":             {"POST", "/v1/orders", shopUS, orderJSON(`"0015"`, `"card 4111-1111-1111-1111"`), "/custom/crmAccount"},
		"in a field name":       {"POST", "/v1/orders", shopUS, orderJSON(`"crmAccount"`, `"`+card+`"`), "/custom/*"},
		"as a token":            {"POST", "/v1/orders", shopUS, orderJSON("BROWSER_TOKEN", card), "/payment/token/value"},
		"as a number":           {"POST", "/v1/orders", shopUS, orderJSON(`"19.95"`, card), "/lines/0/unitPrice"},
		"as the order id":       {"POST", "/v1/orders", shopUS, orderJSON("WEB-10001", card), "/orderId"},
		"in malformed JSON":     {"POST", "/v1/orders", shopUS, `{"note":"` + card + `"`, ""},
		"escaped, in half JSON": {"POST", "/v1/orders", shopUS, `{"note":"\u0034111111111111111`, ""},
		"as another token":      {"POST", "/v1/orders/WEB-1/payment", shopUS, `{"token":{"type":"transient","value":"` + card + `"}}`, "/token/value"},
		"in a cancel's reason":  {"POST", "/v1/orders/WEB-1/cancel", shopUS, `{"reason":"` + card + `"}`, "/reason"},
		"in a comment":          {"POST", "/v1/fraud-reviews/WEB-1/decision", analyst, `{"decision":"accept","comment":"` + card + `"}`, "/comment"},
		"in a refund's reason":  {"POST", "/v1/orders/WEB-1/refunds", shopUS, `{"refundId":"R-1","reason":"` + card + `"}`, "/reason"},
		"as a refund's id":      {"POST", "/v1/orders/WEB-1/refunds", shopUS, `{"refundId":"` + card + `"}`, "/refundId"},
		"in a bulk's reason":    {"POST", "/v1/attention/retry", operator, `{"class":"connection","reason":"` + card + `"}`, "/reason"},
		"in a correction":       {"POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"retry_with","correction":{"order":{"/customer/company":"` + card + `"}}}`, "/correction/order/~1customer~1company"},
		"as a stock code":       {"POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"retry_with","correction":{"order":{"/lines/0/sku":"` + card + `"}}}`, "/correction/order/~1lines~10~1sku"},
		"in a replay's reason":  {"POST", "/v1/inbox/e-1/replay", operator, `{"reason":"` + card + `"}`, "/reason"},
		"in a resolve's reason": {"POST", "/v1/attention/att-1/resolve", operator, `{"resolution":"retry","reason":"` + card + `"}`, "/reason"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.call("POST", "/v1/orders", shopUS, orderJSON("WEB-10001", "WEB-1")).is(http.StatusAccepted)
			answer := a.call(test.method, test.path, test.caller, test.body,
				header("X-Request-Id", card)).refused(http.StatusUnprocessableEntity, "card-data").names(test.pointer, "card_number")
			require.NoError(t, a.store.Close())
			for place, text := range map[string]string{"answer": answer.Body.String(), "log": a.logs.String(), "headers": fmt.Sprint(answer.Header()), "database": a.files()} {
				for _, form := range []string{card, "4111-1111-1111-1111", "111111111111111"} {
					require.NotContains(t, text, form, place)
				}
			}
			require.Empty(t, a.engine.updates)
			require.Len(t, a.engine.started(), 1)
		})
	}
}

// files is everything that the database has written.
func (a *api) files() string {
	var all bytes.Buffer
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(a.journal + suffix)
		if err == nil {
			all.Write(content)
		}
	}
	require.NotZero(a.t, all.Len())
	return all.String()
}

func TestShopsSeeTheirOwnOrdersOnly(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	a.call("POST", "/v1/orders", shopEU, orderJSON("WEB-10001", "WEB-EU-1", "web-us", "web-eu")).is(http.StatusAccepted)

	a.call("GET", "/v1/orders/WEB-10001", shopUS, "").is(http.StatusOK)
	a.call("GET", "/v1/orders/WEB-10001", operator, "").is(http.StatusOK)
	a.call("GET", "/v1/orders/WEB-10001", analyst, "").is(http.StatusOK)
	a.call("GET", "/v1/orders/WEB-10001", finance, "").is(http.StatusOK)
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/v1/orders/WEB-10001", ""},
		{"POST", "/v1/orders/WEB-10001/cancel", ""},
		{"POST", "/v1/orders/WEB-10001/payment", `{"token":{"type":"transient","value":"` + browserToken + `"}}`},
	} {
		foreign := a.call(call.method, call.path, shopEU, call.body).refused(http.StatusNotFound, "not-found")
		absent := a.call(call.method, strings.Replace(call.path, "WEB-10001", "WEB-NONE", 1), shopEU, call.body).refused(http.StatusNotFound, "not-found")
		require.Equal(t, absent.json()["detail"], foreign.json()["detail"], "a foreign order looks like none")
	}
	require.Empty(t, a.engine.updates)

	ids := func(r answer) (list []string) {
		for _, order := range r.is(http.StatusOK).json()["orders"].([]any) {
			list = append(list, order.(map[string]any)["orderId"].(string))
		}
		return list
	}
	require.Equal(t, []string{"WEB-10001"}, ids(a.call("GET", "/v1/orders", shopUS, "")))
	require.Equal(t, []string{"WEB-EU-1"}, ids(a.call("GET", "/v1/orders?status=received&limit=10", shopEU, "")))
	require.ElementsMatch(t, []string{"WEB-10001", "WEB-EU-1"}, ids(a.call("GET", "/v1/orders", operator, "")))
	require.Equal(t, []string{"WEB-EU-1"}, ids(a.call("GET", "/v1/orders?channel=web-eu&needsAttention=false", operator, "")))
	a.call("GET", "/v1/orders?channel=web-us", shopEU, "").refused(http.StatusForbidden, "forbidden")
	a.call("GET", "/v1/orders?status=lost", shopEU, "").refused(http.StatusBadRequest, "invalid").names("status", "enum")
	a.call("GET", "/v1/orders?limit=0", shopEU, "").refused(http.StatusBadRequest, "invalid").names("limit", "maximum")
	a.call("GET", "/v1/orders?cursor=%2B", shopEU, "").refused(http.StatusBadRequest, "invalid").names("cursor", "pattern")
	a.call("GET", "/v1/orders?needsAttention=perhaps", shopEU, "").refused(http.StatusBadRequest, "invalid").names("needsAttention", "type")
}

func TestListsGoOnWhereTheyEnded(t *testing.T) {
	a := newAPI(t)
	for i := range 3 {
		a.call("POST", "/v1/orders", shopUS, orderJSON("WEB-10001", fmt.Sprintf("WEB-%d", i))).is(http.StatusAccepted)
		a.clock.advance(1)
	}
	first := a.call("GET", "/v1/orders?limit=2", shopUS, "").is(http.StatusOK).json()
	require.Len(t, first["orders"], 2)
	rest := a.call("GET", "/v1/orders?limit=2&cursor="+first["next"].(string), shopUS, "").is(http.StatusOK).json()
	require.Len(t, rest["orders"], 1)
	require.NotContains(t, rest, "next")
}

func TestShowOrderTellsItsStory(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	number := "SO-1"
	require.NoError(t, a.store.RecordProgress(t.Context(), journal.Progress{
		OrderID: "WEB-10001", Seq: 1, Status: canonical.OrderBooking, ErpOrderNumber: &number,
		Events: []journal.Event{{Key: "a", At: a.clock.Now(), Kind: "sales-order", Summary: "Sales order SO-1 in the ERP", Detail: map[string]string{"salesOrder": "SO-1"}}},
	}))
	shown := a.call("GET", "/v1/orders/WEB-10001", shopUS, "").is(http.StatusOK).json()
	require.Equal(t, "booking", shown["status"])
	require.Equal(t, "SO-1", shown["erpOrderNumber"])
	require.Len(t, shown["timeline"], 1)
	require.Equal(t, "/v1/orders/WEB-10001/cancel", shown["links"].(map[string]any)["cancel"])
}

func TestNewPaymentAndCancel(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	token := `{"token":{"type":"transient","value":"` + browserToken + `"}}`
	digits := `{"token":{"type":"instrumentIdentifier","value":"7010000000016241111"}}`

	a.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		switch o.UpdateName {
		case workflows.UpdateNewToken:
			require.Equal(t, shopUS, o.Args[0].(workflows.NewToken).Actor)
			return workflows.NewTokenAnswer{Attempt: 2}, nil
		case workflows.UpdateCancel:
			require.Equal(t, workflows.CancelRequest{Actor: operator, Reason: "changed my mind"}, o.Args[0])
			return workflows.CancelAnswer{Status: canonical.OrderBooking}, nil
		default:
			return nil, fmt.Errorf("unexpected update %s", o.UpdateName)
		}
	}
	require.InDelta(t, 2, a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, token).is(http.StatusAccepted).json()["attempt"], 0)
	a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, token).is(http.StatusAccepted)
	require.Equal(t, a.engine.updates[0].UpdateID, a.engine.updates[1].UpdateID, "the same token is the same update")
	require.NotContains(t, a.engine.updates[0].UpdateID, browserToken)
	a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, `{"token":{"type":"transient","value":"x"}}`).
		refused(http.StatusUnprocessableEntity, "invalid").names("/token/value", "token_shape")
	a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, `{"token":{"type":"transient"},"orderId":"x"}`).
		refused(http.StatusUnprocessableEntity, "invalid").names("", "unknown_field")
	a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, `{"token":5}`).
		refused(http.StatusUnprocessableEntity, "invalid").names("/token", "type")
	a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, `{"token":{}`).refused(http.StatusBadRequest, "malformed").names("", "malformed_json")
	require.NotEqual(t, http.StatusInternalServerError, a.call("POST", "/v1/orders/WEB-10001/payment", shopUS, digits).Code)

	require.Equal(t, "booking", a.call("POST", "/v1/orders/WEB-10001/cancel", operator, `{"reason":"changed my mind"}`).is(http.StatusAccepted).json()["status"])
	a.call("POST", "/v1/orders/WEB-10001/cancel", shopUS, `{"reason":"`+strings.Repeat("x", 501)+`"}`).
		refused(http.StatusUnprocessableEntity, "invalid").names("/reason", "max_length")
}

func TestRefusalsOfAProcessAreExplained(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		status int
		kind   string
	}{
		{"too late", temporal.NewNonRetryableApplicationError("the order has ended: confirmed", workflows.RefusedTooLate, nil), http.StatusConflict, "too-late"},
		{"not now", temporal.NewNonRetryableApplicationError("does not wait", workflows.RefusedNotNow, nil), http.StatusConflict, "not-now"},
		{"conflict", temporal.NewNonRetryableApplicationError("decided otherwise", workflows.RefusedConflict, nil), http.StatusConflict, "conflict"},
		{"invalid", temporal.NewNonRetryableApplicationError("wrong", workflows.RefusedInvalid, nil), http.StatusUnprocessableEntity, "invalid"},
		{"unknown", temporal.NewNonRetryableApplicationError("no such thing", workflows.RefusedUnknown, nil), http.StatusConflict, "too-late"},
		{"ended meanwhile", serviceerror.NewNotFound("workflow execution already completed"), http.StatusConflict, "too-late"},
		{"away", serviceerror.NewUnavailable("away"), http.StatusServiceUnavailable, "unavailable"},
		{"slow", client.NewWorkflowUpdateServiceTimeoutOrCanceledError(nil), http.StatusServiceUnavailable, "unavailable"},
		{"unforeseen", temporal.NewNonRetryableApplicationError("secret detail", "PanicError", nil), http.StatusInternalServerError, "internal"},
		{"broken", serviceerror.NewInternal("secret detail"), http.StatusInternalServerError, "internal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPI(t)
			a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
			a.engine.onUpdate = func(client.UpdateWorkflowOptions) (any, error) { return nil, test.err }
			answer := a.call("POST", "/v1/orders/WEB-10001/cancel", shopUS, "").refused(test.status, test.kind)
			require.NotContains(t, answer.Body.String(), "secret detail")
			if test.status == http.StatusServiceUnavailable {
				require.NotEmpty(t, answer.Header().Get("Retry-After"))
			}
		})
	}
}

func TestRoles(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/v1/orders", shopUS, orderJSON()).is(http.StatusAccepted)
	everybody := []string{shopUS, analyst, operator, finance}
	for _, test := range []struct {
		method, path, body string
		may                []string
	}{
		{"POST", "/v1/orders", orderJSON(), []string{shopUS}},
		{"GET", "/v1/orders", "", everybody},
		{"GET", "/v1/orders/WEB-10001", "", everybody},
		{"POST", "/v1/orders/WEB-10001/payment", `{"token":{"type":"transient","value":"` + browserToken + `"}}`, []string{shopUS}},
		{"POST", "/v1/orders/WEB-10001/cancel", "", []string{shopUS, operator}},
		{"POST", "/v1/orders/WEB-10001/refunds", `{"refundId":"R-1"}`, []string{shopUS, operator, finance}},
		{"GET", "/v1/orders/WEB-10001/refunds", "", everybody},
		{"GET", "/v1/orders/WEB-10001/refunds/R-1", "", everybody},
		{"GET", "/v1/orders/WEB-10001/audit", "", []string{analyst, operator, finance}},
		{"GET", "/v1/fraud-reviews", "", []string{analyst, operator}},
		{"GET", "/v1/fraud-reviews/WEB-10001", "", []string{analyst, operator}},
		{"POST", "/v1/fraud-reviews/WEB-10001/decision", `{"decision":"accept"}`, []string{analyst}},
		{"GET", "/v1/attention", "", []string{operator, finance}},
		{"GET", "/v1/attention/att-1", "", []string{operator, finance}},
		{"POST", "/v1/attention/att-1/resolve", `{"resolution":"retry"}`, []string{operator, finance}},
		{"POST", "/v1/attention/att-1/resolve", `{"resolution":"approve"}`, []string{finance}},
		{"POST", "/v1/attention/retry", `{"class":"connection"}`, []string{operator}},
		{"GET", "/v1/inbox", "", []string{operator}},
		{"POST", "/v1/inbox/e-1/replay", "", []string{operator}},
		{"POST", "/v1/inbox/e-1/dismiss", "", []string{operator}},
		{"GET", "/v1/settlements", "", []string{operator, finance}},
		{"GET", "/v1/settlements/2026-11-19", "", []string{operator, finance}},
		{"POST", "/v1/settlements/2026-11-19/run", "", []string{operator, finance}},
		{"POST", "/v1/settlements/backfill", `{"from":"2026-11-18","to":"2026-11-19"}`, []string{operator, finance}},
		{"GET", "/v1/settlements/2026-11-19/discrepancies", "", []string{operator, finance}},
		{"POST", "/v1/settlements/2026-11-19/approve", "", []string{finance}},
		{"GET", "/v1/payments", "", []string{operator, finance}},
		{"GET", "/v1/cash", "", []string{operator, finance}},
		{"GET", "/v1/chargebacks", "", []string{analyst, operator, finance}},
		{"POST", "/v1/chargebacks", `{"caseId":"CB-1","orderId":"WEB-10001","amount":"1.00"}`, []string{finance}},
		{"GET", "/v1/chargebacks/CB-1", "", []string{analyst, operator, finance}},
		{"POST", "/v1/chargebacks/CB-1/outcome", `{"outcome":"won"}`, []string{finance}},
		{"GET", "/v1/stock", "", everybody},
		{"POST", "/codec/decode", `{"payloads":[]}`, []string{operator}},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			a.t = t
			for _, caller := range everybody {
				code := a.call(test.method, test.path, caller, test.body).Code
				if slices.Contains(test.may, caller) {
					require.NotContains(t, []int{http.StatusForbidden, http.StatusUnauthorized}, code, caller)
				} else {
					require.Equal(t, http.StatusForbidden, code, caller)
				}
			}
			unknown := a.call(test.method, test.path, nobody, test.body).refused(http.StatusUnauthorized, "unauthorized")
			require.Contains(t, unknown.Header().Get("WWW-Authenticate"), "Bearer")
			a.call(test.method, test.path, "guess", test.body).refused(http.StatusUnauthorized, "unauthorized")
			a.call(test.method, test.path, nobody, test.body, header("Authorization", "Basic "+shopUS)).refused(http.StatusUnauthorized, "unauthorized")
		})
	}
}

func TestRateLimit(t *testing.T) {
	a := newAPI(t, func(_ *webhook.Deps, c *config.Config) { c.HTTP.Rate, c.HTTP.Burst = 1, 2 })
	for range 2 {
		a.call("GET", "/v1/orders", shopUS, "").is(http.StatusOK)
	}
	limited := a.call("GET", "/v1/orders", shopUS, "").refused(http.StatusTooManyRequests, "rate-limit")
	require.Equal(t, "1", limited.Header().Get("Retry-After"))
	a.call("GET", "/v1/orders", shopEU, "").is(http.StatusOK)
	a.clock.advance(1_000_000_000)
	a.call("GET", "/v1/orders", shopUS, "").is(http.StatusOK)

	for range 2 {
		a.call("GET", "/v1/orders", "guess", "").is(http.StatusUnauthorized)
	}
	a.call("GET", "/v1/orders", "another guess", "").refused(http.StatusTooManyRequests, "rate-limit")
}

func TestWhatEveryAnswerCarries(t *testing.T) {
	a := newAPI(t)
	answer := a.call("GET", "/v1/orders?cursor=whatever-somebody-pasted", nobody, "", header("X-Request-Id", "shop-7")).is(http.StatusUnauthorized)
	require.Equal(t, "shop-7", answer.Header().Get("X-Request-Id"))
	require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
	require.NotContains(t, a.logs.String(), "pasted")
	a.call("GET", "/pasted/path", nobody, "").refused(http.StatusNotFound, "not-found")
	require.NotContains(t, a.logs.String(), "pasted")
	require.Contains(t, a.logs.String(), `"route":"/v1/orders"`)
	a.call("DELETE", "/v1/orders", shopUS, "").refused(http.StatusMethodNotAllowed, "method-not-allowed")
	require.NotEqual(t, "bad id with spaces", a.call("GET", "/healthz", nobody, "", header("X-Request-Id", "bad id with spaces")).Header().Get("X-Request-Id"))
	a.call("POST", "/v1/orders", shopUS, orderJSON(), header("Content-Type", "text/plain")).refused(http.StatusUnsupportedMediaType, "unsupported-media-type")
	a.call("POST", "/v1/orders", shopUS, orderJSON(), header("Content-Encoding", "gzip")).refused(http.StatusUnsupportedMediaType, "unsupported-media-type")
}
