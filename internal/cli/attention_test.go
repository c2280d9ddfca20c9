package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

func TestOperatorsResolve(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "attention", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ID      ORDER      STEP            CLASS          SYSTEM      STATE  SINCE                 DEADLINE              SUMMARY
0f3c9a  WEB-10007  create invoice  closed_period  erp-syspro  open   2026-11-20 14:03:22Z  2026-11-20 18:03:22Z  the posting period is closed
`}, got)

	got = execute(t, a.as(operatorKey), "", "attention", "show", "0f3c9a")
	require.Equal(t, ran{code: ExitOK, stdout: `ID            0f3c9a
ORDER         WEB-10007
STATE         open
STEP          create invoice
CLASS         closed_period
SYSTEM        erp-syspro
SUMMARY       the posting period is closed
SUGGESTION    open the period, then retry
RESOLVE WITH  retry, retry_with, compensate
SINCE         2026-11-20 14:03:22Z
DEADLINE      2026-11-20 18:03:22Z
WORKFLOW      order/WEB-10007

What may mend it
1     Post into December
seen  period 2026-12 is open
take  tenderline attention resolve 0f3c9a --with retry_with --date 2026-12-01 --reason ...
2     Book A200 instead
take  tenderline attention resolve 0f3c9a --with retry_with --set '/lines/0/sku=A 200' --set-document /Lines/0/Open:=true --reason ...
3     Ask finance to open November

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

func TestOperatorsCorrect(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want *activities.Correction
	}{
		"the order": {
			[]string{"--with", "retry_with", "--set", "/lines/0/sku=A=B", "--set", "/customer/erpCode="},
			&activities.Correction{Order: map[string]any{"/lines/0/sku": "A=B", "/customer/erpCode": ""}, Document: map[string]any{}},
		},
		"the document, with JSON": {
			[]string{"--with", "retry_with", "--set-document", "/Lines/0/Open:=true", "--set-document", "/Note=x"},
			&activities.Correction{Order: map[string]any{}, Document: map[string]any{"/Lines/0/Open": true, "/Note": "x"}},
		},
		"the date":         {[]string{"--with", "retry_with", "--date", "2026-12-01"}, &activities.Correction{Date: "2026-12-01"}},
		"as suggested":     {[]string{"--fix", "1"}, &activities.Correction{Date: "2026-12-01"}},
		"article number":   {[]string{"--with", "retry_with", "--set", "/lines/0/sku=4012345678901"}, &activities.Correction{Order: map[string]any{"/lines/0/sku": "4012345678901"}}},
		"second suggested": {[]string{"--fix", "2"}, &activities.Correction{Order: map[string]any{"/lines/0/sku": "A 200"}, Document: map[string]any{"/Lines/0/Open": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			got := execute(t, a.as(operatorKey), "", append([]string{"attention", "resolve", "0f3c9a", "--reason", "agreed"}, test.args...)...)
			require.Equal(t, ran{code: ExitOK, stdout: "ID      RESOLUTION\n0f3c9a  retry_with\n"}, got)
			require.Len(t, a.resolved, 1)
			require.Equal(t, "agreed", a.resolved[0].Reason)
			want, err := json.Marshal(test.want)
			require.NoError(t, err)
			sent, err := json.Marshal(a.resolved[0].Correction)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(sent))
		})
	}
}

func TestOperatorsSayAsWhatTheyBookByHand(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "attention", "resolve", "0f3c9a", "--with", "skip", "--reference", "M-17", "--reason", "closed")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Equal(t, []workflows.Resolution{{ID: "0f3c9a", Kind: workflows.ResolveSkip, Actor: "otto", Reason: "closed", Reference: "M-17"}}, a.resolved)
	for _, args := range [][]string{{"--with", "retry"}, {"--fix", "1"}} {
		got := execute(t, a.as(operatorKey), "", append([]string{"attention", "resolve", "0f3c9a", "--reference", "M-17"}, args...)...)
		require.Equal(t, ExitUsage, got.code)
		require.Contains(t, got.stderr, "--reference")
	}
}

func TestOperatorsPayAStoppedOrderBack(t *testing.T) {
	for want, outcome := range map[string]workflows.ResolutionAnswer{
		"ID      RESOLUTION  REFUND\n0f3c9a  compensate  erp-0123\n":              {RefundID: "erp-0123"},
		"ID      RESOLUTION  WHY\n0f3c9a  compensate  not paid back: 0.00 left\n": {Why: "not paid back: 0.00 left"},
	} {
		a := newAPI(t)
		a.outcome = outcome
		got := execute(t, a.as(operatorKey), "", "attention", "resolve", "0f3c9a", "--with", "compensate", "--reason", "the buyer called")
		require.Equal(t, ran{code: ExitOK, stdout: want}, got)
	}
}

func TestASuggestionThatIsNotThereIsNotTaken(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "attention", "resolve", "0f3c9a", "--fix", "4")
	require.Equal(t, ran{code: ExitRefused, stderr: "tenderline: there is no suggestion 4: the item has 3\n"}, got)
	got = execute(t, a.as(operatorKey), "", "attention", "resolve", "0f3c9a", "--fix", "3")
	require.Equal(t, ran{code: ExitRefused, stderr: "tenderline: suggestion 3 is something to do outside: Ask finance to open November\n"}, got)
	require.Empty(t, a.resolved)
}

func TestManyAreRetriedAtOnce(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "attention", "retry", "--class", "connection", "--system", "erp-syspro", "--reason", "back", "--limit", "2")
	require.Equal(t, ran{code: ExitOK, stdout: `ID      ORDER      STEP     RETRIED  WHY NOT
0f3c9a  WEB-10007  invoice  yes
0f3c9b  WEB-10008  invoice  no       already resolved with "compensate" by olga
`, stderr: "1 retried, 1 refused; there are more: repeat the command\n"}, got)
	require.Equal(t, []starter.BulkRetry{{Class: fault.Connection, System: "erp-syspro", Actor: "otto", Reason: "back", Limit: 2}}, a.bulks)
}

func TestEventsAreReplayedAndDismissed(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "inbox", "list")
	require.Equal(t, ran{code: ExitOK, stdout: `ID    ORDER    EVENT                                STATE      TRIES  RECEIVED              WHY
9f2c  WEB-404  risk.casemanagement.decision.accept  attention  20     2026-11-20 14:03:22Z  there is no such order
`}, got)
	got = execute(t, a.as(operatorKey), "", "inbox", "replay", "9f2c", "--reason", "taken meanwhile")
	require.Equal(t, ran{code: ExitOK, stdout: "ID              RESOLUTION\natt-inbox-9f2c  retry\n"}, got)
	require.Equal(t, ExitOK, execute(t, a.as(operatorKey), "", "inbox", "dismiss", "9f2c").code)
	require.Equal(t, []workflows.Resolution{
		{ID: "att-inbox-9f2c", Kind: workflows.ResolveRetry, Actor: "otto", Reason: "taken meanwhile"},
		{ID: "att-inbox-9f2c", Kind: workflows.ResolveSkip, Actor: "otto"},
	}, a.events)
	require.Equal(t, ExitRefused, execute(t, a.as(analystKey), "", "inbox", "list").code)
}
