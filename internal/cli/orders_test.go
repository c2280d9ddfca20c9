package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

const orderDocument = `{"orderId":"WEB-20001","channel":"web-us","placedAt":"2026-11-20T14:03:22Z","currency":"USD",
 "customer":{"id":"C-2001","email":"ada@example.com","firstName":"Ada","lastName":"Park","phone":"+1 415 555 0100"},
 "billTo":{"name":"Ada Park","line1":"1 Market St","city":"San Francisco","region":"CA","postalCode":"94105","country":"US"},
 "shipTo":{"name":"Ada Park","line1":"1 Market St","city":"San Francisco","region":"CA","postalCode":"94105","country":"US"},
 "lines":[{"sku":"A100","description":"Widget","quantity":"2","unitPrice":"19.95","discount":"0.00","tax":"3.29"}],
 "shipping":"5.00","discount":"0.00","total":"48.19",
 "payment":{"token":{"type":"transient","value":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln"},"capture":"immediate"}}`

// testPAN is a well-known test number that must be refused.
const testPAN = "4111 1111 1111 1111"

func TestSubmitTakesAFileOrStandardInput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "order.json")
	require.NoError(t, os.WriteFile(file, []byte(orderDocument), 0o600))
	for name, source := range map[string]struct{ argument, stdin string }{
		"file": {file, ""}, "standard input": {"-", orderDocument},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			got := execute(t, a.as(shopKey), source.stdin, "order", "submit", source.argument)
			require.Equal(t, ran{code: ExitOK, stdout: `ORDER            WEB-20001
STATUS           received
PAYMENT          none
NEEDS ATTENTION  no
TOTAL            48.19 USD
CHANNEL          web-us
ERP              syspro
RECEIVED         2026-11-20 14:03:22Z
UPDATED          2026-11-20 14:03:25Z
`}, got)
			require.Len(t, a.submitted, 1)
			require.Equal(t, "WEB-20001", a.submitted[0].OrderID)
		})
	}
}

func TestSubmitWaitsForThePayment(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), orderDocument, "order", "submit", "-", "--wait", "1500ms", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, `"status": "booking"`)
	require.Equal(t, 2*time.Second, a.waited, "a part of a second is rounded up")
}

func TestCardNumbersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	bodies := map[string][]string{
		"order":        {"order", "submit", "-"},
		"broken order": {"order", "submit", "-"},
		"token value":  {"order", "payment", "WEB-10001", "--token-type", "transient", "--token", testPAN},
		"token stdin":  {"order", "payment", "WEB-10001", "--token-type", "transient", "--token", "-"},
		"reason":       {"order", "cancel", "WEB-10001", "--reason", "card " + testPAN},
		"comment":      {"fraud", "reject", "WEB-10001", "--comment", testPAN},
		"resolution":   {"attention", "resolve", "0f3c9a", "--with", "retry", "--reason", testPAN},
		"argument":     {"order", "status", testPAN},
		"option":       {"order", "list", "--channel", testPAN},
	}
	stdin := map[string]string{
		"order":        strings.Replace(orderDocument, "Widget", "paid with "+testPAN, 1),
		"broken order": orderDocument + testPAN,
		"token stdin":  testPAN,
	}
	for name, args := range bodies {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			got := execute(t, a.as(shopKey), stdin[name], args...)
			require.Equal(t, ExitRefused, got.code)
			require.Contains(t, got.stderr, "nothing was sent")
			require.NotContains(t, got.stderr+got.stdout, "1111", "the number itself is not repeated")
			require.Zero(t, a.requests(), "the API must see no request")
		})
	}
}

func TestTheRefusalNamesThePlaceOfACardNumber(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), strings.Replace(orderDocument, "+1 415 555 0100", testPAN, 1), "order", "submit", "-")
	require.Equal(t, `tenderline: card numbers are not taken, send a token; nothing was sent
tenderline:   /customer/phone holds what has the shape of a card number
`, got.stderr)
}

func TestTokensInTheShapeOfTheirTypeAreSent(t *testing.T) {
	for name, tc := range map[string]struct{ kind, argument, stdin, sent string }{
		"browser token by standard input":         {"transient", "-", " eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"},
		"stored token that looks like a card too": {"customer", "ABCDEFAB4111111111111111CDEFABCD", "", "ABCDEFAB4111111111111111CDEFABCD"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			got := execute(t, a.as(shopKey), tc.stdin, "order", "payment", "WEB-10001", "--token-type", tc.kind, "--token", tc.argument)
			require.Equal(t, ran{code: ExitOK, stdout: "ORDER      ATTEMPT\nWEB-10001  2\n"}, got)
			require.Equal(t, []workflows.NewToken{{Token: canonical.Token{Type: canonical.TokenType(tc.kind), Value: tc.sent}, Actor: "web-shop"}}, a.tokens)
		})
	}
}

func TestProblemsAreShownFieldByField(t *testing.T) {
	a := newAPI(t)
	wrong := strings.NewReplacer(`"48.19"`, `"48.20"`, `"USD"`, `"XXQ"`).Replace(orderDocument)
	got := execute(t, a.as(shopKey), wrong, "order", "submit", "-")
	require.Equal(t, ExitRefused, got.code)
	require.Contains(t, got.stderr, "tenderline: The request is not valid (422): see errors\n")
	require.Regexp(t, `(?m)^tenderline:   /currency .+ \(\w+\)$`, got.stderr)
	require.Empty(t, got.stdout)
	require.Empty(t, a.submitted)
}

func TestStatusShowsTheWholeOrder(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "order", "status", "WEB-10001")
	require.Equal(t, ran{code: ExitOK, stdout: `ORDER            WEB-10001
STATUS           confirmed
PAYMENT          captured
NEEDS ATTENTION  no
TOTAL            48.19 USD
CHANNEL          web-us
ERP              syspro
ERP ORDER        015562
ERP INVOICE      200069
CUSTOMER         CUST0042
RECEIVED         2026-11-20 14:03:22Z
UPDATED          2026-11-20 14:03:25Z

Payment
AUTHORIZED  48.19     7031234567890123456701
CAPTURED    48.19     7031234567890123456702
REFUNDED    0.00
CARD        type 001  ends in 1111

Refunds
REFUND  STATUS     AMOUNT     WAY     CREDIT MEMO  CREATED               BY        WHY
R-1     completed  24.10 USD  refund  300021       2026-11-20 15:03:22Z  web-shop

Timeline
AT                    EVENT     BY        WHAT
2026-11-20 14:03:22Z  received  web-shop  order taken
2026-11-20 14:03:25Z  captured  -         payment captured[31m
`}, got)
}

func TestListShowsAndFilters(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "order", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ORDER      STATUS     PAYMENT   TOTAL      ERP ORDER  ATTENTION  RECEIVED              CHANNEL
WEB-10004  in_review  held      48.19 USD  -          yes        2026-11-20 14:03:22Z  web-us
WEB-10001  confirmed  captured  48.19 USD  015562     no         2026-11-20 14:03:22Z  web-us
`}, got)

	got = execute(t, a.as(operatorKey), "", "order", "list", "--status", "confirmed", "--attention", "--limit", "7", "--cursor", "abc", "--channel", "web-us")
	require.Equal(t, ExitOK, got.code, got.stderr)
	yes := true
	require.Equal(t, journal.OrderFilter{Channels: []string{"web-us"}, Status: canonical.OrderConfirmed, NeedsAttention: &yes, Limit: 7, Cursor: "abc"}, a.filters[1])
}

func TestAPageTellsHowToGoOn(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "order", "list", "--limit", "1")
	require.Equal(t, "more: add --cursor next-page\n", got.stderr)
	got = execute(t, a.as(operatorKey), "", "order", "list", "--limit", "1", "-o", "json")
	require.Empty(t, got.stderr, "programs read next")
	require.Contains(t, got.stdout, `"next": "next-page"`)
}

func TestCancelSendsTheReason(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), "", "order", "cancel", "WEB-10001", "--reason", "customer called")
	require.Equal(t, ran{code: ExitOK, stdout: "ORDER      STATUS   RESULT\nWEB-10001  booking  cancellation recorded\n"}, got)
	require.Equal(t, []workflows.CancelRequest{{Actor: "web-shop", Reason: "customer called"}}, a.cancelled)
}

func TestJSONIsWhatTheAPISaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"orderId":"WEB-1","total":"1.00","addedLater":{"a":"<b>"}}`))
	}))
	t.Cleanup(server.Close)
	got := execute(t, map[string]string{variableAPI: server.URL, variableAPIKey: "k"}, "", "order", "status", "WEB-1", "-o", "json")
	require.Equal(t, ran{code: ExitOK, stdout: `{
  "orderId": "WEB-1",
  "total": "1.00",
  "addedLater": {
    "a": "<b>"
  }
}
`}, got)
}

func TestExitCodesTellRefusedFromNotNow(t *testing.T) {
	for name, tc := range map[string]struct {
		refuse error
		code   int
		stderr string
	}{
		"too late":    {refusal(starter.TooLate, "the order has ended: confirmed"), ExitRefused, "The request comes too late (409): the order has ended: confirmed"},
		"unavailable": {refusal(starter.Unavailable, "the process engine does not answer"), ExitUnavailable, "repeat it after 2 s; request id "},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.refuse = tc.refuse
			got := execute(t, a.as(operatorKey), "", "order", "cancel", "WEB-10001")
			require.Equal(t, tc.code, got.code)
			require.Contains(t, got.stderr, tc.stderr)
		})
	}
}

func TestForeignAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		code    int
		stderr  string
	}{
		"not an API": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ExitFailure, "can't be read"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
			ExitFailure, "redirect, which is not followed"},
		"proxy error": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "bad\x1b[31m gateway", http.StatusBadGateway)
		},
			ExitUnavailable, "the API answers 502 Bad Gateway"},
		"cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ExitUnavailable, "reach the API"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			t.Cleanup(server.Close)
			got := execute(t, nil, "", "order", "status", "WEB-1", "--api", server.URL, "--key", "the-secret-key")
			require.Equal(t, tc.code, got.code)
			require.Contains(t, got.stderr, tc.stderr)
			require.NotContains(t, got.stderr, "the-secret-key")
			require.Equal(t, 1, strings.Count(got.stderr, "\n"), "one line: %q", got.stderr)
		})
	}
}

func TestAPathSegmentStaysOne(t *testing.T) {
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	for argument, want := range map[string]string{"a/b?c=d": "/base/v1/orders/a%2Fb%3Fc=d", "..": "", "": ""} {
		path = ""
		execute(t, nil, "", "order", "status", argument, "--api", server.URL+"/base/", "--key", "k")
		require.Equal(t, want, path)
	}
}

func TestAKeyFromAFileMayEndInALineFeed(t *testing.T) {
	a := newAPI(t)
	require.Equal(t, ExitOK, execute(t, a.as(operatorKey+"\n"), "", "order", "list").code)
}

func TestAnInterruptedCommandSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	got := executeContext(ctx, map[string]string{variableAPI: server.URL, variableAPIKey: "k"}, "", "order", "list")
	require.Equal(t, ExitInterrupted, got.code)
}

func TestADocumentIsBounded(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), strings.Repeat(" ", documentLimit+1), "order", "submit", "-")
	require.Equal(t, ran{code: ExitFailure, stderr: "tenderline: read -: it has more than 16 MiB\n"}, got)
	require.Zero(t, a.requests())
}

// FuzzProblem feeds refusals of whatever answers at the API's address.
func FuzzProblem(f *testing.F) {
	f.Add(422, `{"title":"The request is not valid","detail":"see errors","errors":[{"pointer":"/total","rule":"total_mismatch","message":"is not the sum"}]}`)
	f.Add(503, `{"title":"x","requestId":"\u001b[2J"}`)
	f.Add(302, "<html>")
	f.Add(404, `{"errors":null}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 300 || status > 599 {
			t.Skip()
		}
		err := problemOf(&http.Response{StatusCode: status, Status: "an error", Header: http.Header{}}, []byte(body))
		require.Error(t, err)
		require.NotEmpty(t, strings.TrimSpace(err.Error()))
		require.Contains(t, []int{ExitFailure, ExitRefused, ExitUnavailable}, exitCode(t.Context(), err))
		for line := range strings.SplitSeq(err.Error(), "\n") {
			require.NotContains(t, printable(line), "\x1b")
		}
	})
}

func TestNobodyCallsWithoutAKey(t *testing.T) {
	got := execute(t, nil, "", "fraud", "list")
	require.Equal(t, ran{code: ExitUsage, stderr: "tenderline: an API key is needed: set TENDERLINE_API_KEY\n"}, got)
}
