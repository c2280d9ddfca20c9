package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/workflows"
)

func TestAnalystsDecide(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(analystKey), "", "fraud", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ORDER      TOTAL      ATTENTION  RECEIVED              CHANNEL  REASON
WEB-10004  48.19 USD  yes        2026-11-20 14:03:22Z  web-us   held by Decision Manager
`}, got)

	got = execute(t, a.as(analystKey), "", "fraud", "accept", "WEB-10004", "--comment", "called the customer")
	require.Equal(t, ran{code: ExitOK, stdout: "ORDER      DECISION  BY   DECIDED BEFORE\nWEB-10004  accept    ann  no\n"}, got)
	got = execute(t, a.as(analystKey), "", "fraud", "reject", "WEB-10004", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.JSONEq(t, `{"orderId":"WEB-10004","decision":"reject","actor":"ann","late":false}`, got.stdout)
	require.Equal(t, []workflows.Decision{
		{Decision: canonical.FraudAccept, Comment: "called the customer", Actor: "ann", Source: workflows.SourceAPI},
		{Decision: canonical.FraudReject, Actor: "ann", Source: workflows.SourceAPI},
	}, a.decisions, "who decided comes from the key")
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

func TestOperatorsResolve(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "attention", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ID      ORDER      STEP            CLASS          STATE  SINCE                 DEADLINE              SUMMARY
0f3c9a  WEB-10007  create invoice  closed_period  open   2026-11-20 14:03:22Z  2026-11-20 18:03:22Z  the posting period is closed
`}, got)

	got = execute(t, a.as(operatorKey), "", "attention", "show", "0f3c9a")
	require.Equal(t, ran{code: ExitOK, stdout: `ID            0f3c9a
ORDER         WEB-10007
STATE         open
STEP          create invoice
CLASS         closed_period
SUMMARY       the posting period is closed
SUGGESTION    open the period, then retry
RESOLVE WITH  retry, compensate
SINCE         2026-11-20 14:03:22Z
DEADLINE      2026-11-20 18:03:22Z
WORKFLOW      order/WEB-10007

Sent
{
  "Reference": "WEB-10007"
}

Answer
"PERIOD_CLOSED"
`}, got)

	got = execute(t, a.as(operatorKey), "", "attention", "resolve", "0f3c9a", "--with", "retry", "--reason", "period opened")
	require.Equal(t, ran{code: ExitOK, stdout: "ID      RESOLUTION\n0f3c9a  retry\n"}, got)
	require.Equal(t, []workflows.Resolution{{ID: "0f3c9a", Kind: workflows.ResolveRetry, Actor: "otto", Reason: "period opened"}}, a.resolved)
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
		{"attention", "resolve", "X", "--with", "skip"},
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
