package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

func TestAnalystsDecide(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(analystKey), "", "fraud", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ORDER      TOTAL      SCORE  STATE  SINCE                 DEADLINE              THEN    ESCALATED  DECISION  BY
WEB-10004  48.19 USD  84     open   2026-11-20 14:03:22Z  2026-11-22 14:03:22Z  reject  yes        -
`}, got)
	got = execute(t, a.as(analystKey), "", "fraud", "list", "--state", "all", "--escalated", "--limit", "7")
	require.Equal(t, ExitOK, got.code, got.stderr)
	yes := true
	require.Equal(t, []journal.ReviewFilter{{State: journal.ReviewOpen, Limit: 50}, {Escalated: &yes, Limit: 7}}, a.reviews)

	got = execute(t, a.as(analystKey), "", "fraud", "accept", "WEB-10004", "--comment", "called the customer")
	require.Equal(t, ran{code: ExitOK, stdout: "ORDER      DECISION  BY   DECIDED BEFORE\nWEB-10004  accept    ann  no\n"}, got)
	got = execute(t, a.as(analystKey), "", "fraud", "reject", "WEB-10004", "--mark-customer", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.JSONEq(t, `{"orderId":"WEB-10004","decision":"reject","actor":"ann","late":false,"lateReject":false}`, got.stdout)
	require.Equal(t, []workflows.Decision{
		{Decision: canonical.FraudAccept, Comment: "called the customer", Actor: "ann", Source: workflows.SourceAPI},
		{Decision: canonical.FraudReject, Actor: "ann", Source: workflows.SourceAPI, Mark: true},
	}, a.decisions, "who decided comes from the key")
}

func TestALateRejectSaysWhatBecomesOfIt(t *testing.T) {
	a := newAPI(t)
	a.late = true
	got := execute(t, a.as(analystKey), "", "fraud", "reject", "WEB-10001")
	require.Equal(t, "ORDER      DECISION  BY   DECIDED BEFORE\nWEB-10001  accept    bea  yes\n", got.stdout)
	require.Contains(t, got.stderr, "its refund waits for an operator")
}

func TestACaseIsReadAtAGlance(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(analystKey), "", "fraud", "show", "WEB-10004")
	require.Equal(t, ran{code: ExitOK, stdout: `ORDER      WEB-10004, in_review
TOTAL      48.19 USD
STATE      open
SINCE      2026-11-20 14:03:22Z
REMINDED   2026-11-20 18:03:22Z
ESCALATED  2026-11-21 14:03:22Z
DEADLINE   2026-11-22 14:03:22Z, then reject
CHANNEL    web-us
PAYMENT    7031234567890123456701

Risk
SCORE     84
FACTORS   F, Z
RULE      high amount: REVIEW
VELOCITY  VELV-EM
PHONE     RISK-PH
AVS       N
CVN       M
PROFILE   web, night

Order
PLACED     2026-11-20 14:03:22Z
CUSTOMER   C-2001, Ada Park
EMAIL      ada@example.com
PHONE      +1 415 555 0100
BILL TO    Ada Park, 1 Market St, 94105 San Francisco, CA US
SHIP TO    Ada Park, 1 Market St, 94105 San Francisco, CA US
ADDRESSES  the same

Lines
LINE  SKU   QUANTITY  PRICE  DESCRIPTION
1     A100  2         19.95  Widget

Customer's other orders
ORDERS     3 since 2026-10-21 14:03:22Z: 2 confirmed, 0 declined, 0 rejected, 0 refunded, 1 charged back
SPENT      96.38 USD
WEB-10001  confirmed, payment captured, 48.19 USD, 2026-11-20 14:03:22Z

What happened
AT                    WHAT       DECISION  BY   VIA  WHY
2026-11-21 14:03:22Z  escalated  -         -    -
2026-11-21 15:03:22Z  opposed    reject    bea  api  no; the first valid decision holds
`}, got)
	require.Equal(t, ExitRefused, execute(t, a.as(shopKey), "", "fraud", "show", "WEB-10004").code, "it holds personal data")
	require.Equal(t, ExitRefused, execute(t, a.as(analystKey), "", "fraud", "show", "WEB-10001").code, "it was never under review")
}

func TestRolesHold(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), "", "fraud", "accept", "WEB-10004")
	require.Equal(t, ran{code: ExitRefused, stderr: "tenderline: The API key does not allow this (403): this needs one of the roles analyst\n"}, got)
	require.Empty(t, a.decisions)
	got = execute(t, a.as("wrong"), "", "fraud", "list")
	require.Equal(t, ExitRefused, got.code)
	require.Contains(t, got.stderr, "(401)")
}

func TestUsageErrorsSendNothing(t *testing.T) {
	a := newAPI(t)
	for _, args := range [][]string{
		{"order"}, // help
		{"order", "sumbit"},
		{"order", "submit"},
		{"order", "submit", "a", "b"},
		{"order", "submit", "/no/such/file"},
		{"order", "submit", "-", "--wait", "2h"},
		{"order", "status", "X", "-o", "xml"},
		{"order", "status", "X", "--nonsense"},
		{"order", "list", "--limit", "0"},
		{"order", "payment", "X"},
		{"attention", "resolve", "X", "--with", "forget"},
		{"attention", "resolve", "X", "--with", "retry_with"},
		{"attention", "resolve", "X", "--with", "retry", "--set", "/lines/0/sku=A"},
		{"attention", "resolve", "X", "--with", "retry_with", "--set", "lines=A"},
		{"attention", "resolve", "X", "--with", "retry_with", "--set", "/a=1", "--set", "/a=2"},
		{"attention", "resolve", "X", "--with", "retry_with", "--set-document", "/a:={"},
		{"attention", "resolve", "X", "--fix", "1", "--with", "retry"},
		{"attention", "resolve", "X", "--fix", "-1"},
		{"attention", "retry", "--reason", "x"},
		{"attention", "retry", "--step", "invoice", "--limit", "501"},
		{"refund", "create", "WEB-1"},
		{"refund", "create", "WEB-1", "R-1", "--line", "1"},
		{"refund", "create", "WEB-1", "R-1", "--line", "0=1"},
		{"refund", "create", "WEB-1", "R-1", "--line", "1=1e9"},
		{"refund", "create", "WEB-1", "R-1", "--line", "1=1", "--amount", "5"},
		{"inbox", "replay"},
		{"order", "status", "X", "--api", "ftp://x"},
		{"order", "status", "X", "--api", "http://user:secret@x"},
	} {
		got := execute(t, a.as(operatorKey), "", args...)
		if len(args) == 1 {
			require.Equal(t, ExitOK, got.code)
			require.Contains(t, got.stdout, "Available Commands")
			continue
		}
		require.Equal(t, ExitUsage, got.code, "%q: %s", args, got.stderr)
		require.Regexp(t, `^tenderline: .+\n$`, got.stderr, "%q", args)
		require.NotContains(t, got.stderr, "secret")
	}
	require.Zero(t, a.requests())
	require.Contains(t, execute(t, nil, "", "help", "fraud", "accept").stdout, "tenderline fraud accept WEB-10004")
	require.Contains(t, execute(t, nil, "", "completion", "bash").stdout, "__start_tenderline")
	require.Contains(t, execute(t, nil, "", "order", "sumbit").stderr, "did you mean submit?")
}
