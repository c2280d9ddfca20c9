package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func (p *processes) RunSettlement(_ context.Context, run starter.SettlementRun) (starter.StartedDay, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.runs = append(p.runs, run)
	return starter.StartedDay{Merchant: "acme_us", Date: run.Date, WorkflowID: "settlement/acme_us/" + run.Date, DryRun: run.DryRun}, p.refuse
}

func (p *processes) Backfill(_ context.Context, from, to string, run starter.SettlementRun) ([]starter.StartedDay, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.runs = append(p.runs, run)
	return []starter.StartedDay{
		{Merchant: "acme_us", Date: from, WorkflowID: "settlement/acme_us/" + from},
		{Merchant: "acme_us", Date: to, WorkflowID: "settlement/acme_us/" + to, Err: refusal(starter.Conflict, "the day is being settled already")},
	}, p.refuse
}

func (p *processes) ApproveSettlement(_ context.Context, _, date, actor, reason string) (workflows.ResolutionAnswer, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.resolved = append(p.resolved, workflows.Resolution{ID: "att-" + date, Kind: workflows.ResolveApprove, Actor: actor, Reason: reason})
	return workflows.ResolutionAnswer{ID: "att-" + date, Kind: workflows.ResolveApprove}, p.refuse
}

func (p *processes) OpenChargeback(_ context.Context, opened starter.OpenedCase) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.opened = append(p.opened, opened)
	return p.refuse
}

func (p *processes) EndChargeback(_ context.Context, ended starter.EndedCase) (journal.ChargebackRecord, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.outcomes = append(p.outcomes, ended)
	return dispute(), p.refuse
}

// settledDay is a day whose second look shows it posted.
func (p *processes) settledDay() journal.SettlementRecord {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.looks++
	result, _ := json.Marshal(settlement.Result{
		Rows: 3, Differences: 1, States: map[settlement.State]int{settlement.Matched: 2},
		Currencies: []settlement.CurrencyResult{{
			Currency: "USD", Outcome: settlement.Rounded, Net: amount("48.14"), Difference: amount("-0.05"),
			Categories: []settlement.CategoryTotal{{
				Category: canonical.SettlementSale, Reported: settlement.Sum{Count: 2, Amount: amount("48.14")}, Expected: settlement.Sum{Count: 2, Amount: amount("48.19")},
				Posted: settlement.Sum{Count: 2, Amount: amount("48.19")},
			}},
		}},
	})
	record := journal.SettlementRecord{
		Merchant: "acme_us", Date: "2026-11-19", State: "waiting", Runs: 1, CreatedAt: placed, UpdatedAt: placed,
		Files: []journal.SettlementFileInfo{{Kind: "csv", Size: 20, WrittenAt: placed}},
	}
	if p.looks > 2 {
		record.Posted, record.Runs, record.State, record.Why, record.Result = true, 2, "posted", "3 rows, 2 matched, 1 differences; CYB20261119USD", result
	}
	return record
}

func (p *processes) SettlementDay(context.Context, string, string) (journal.SettlementRecord, error) {
	return p.settledDay(), nil
}

func (p *processes) CheckedDays(_ context.Context, merchant, date string) ([]journal.SettlementRecord, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if date != "2026-11-01" || len(p.runs) == 0 {
		return nil, nil
	}
	p.looks++
	made := placed.Add(time.Duration(p.looks) * time.Second)
	return []journal.SettlementRecord{{
		Merchant: "acme_us", Date: date, State: "checked", Why: "a dry run", CreatedAt: made, UpdatedAt: made,
		Files: []journal.SettlementFileInfo{{Kind: "csv", Size: 20, WrittenAt: made}, {Kind: "html", Size: 20, WrittenAt: made}},
	}}, nil
}

func (p *processes) SettlementDays(_ context.Context, filter journal.SettlementFilter) ([]journal.SettlementRecord, string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.days = append(p.days, filter)
	if filter.From == "2026-11-01" && filter.To == "2026-11-01" {
		return nil, "", nil
	}
	return []journal.SettlementRecord{{Merchant: "acme_us", Date: "2026-11-19", State: "posted", Why: "all matched", Runs: 1, Posted: true, CreatedAt: placed, UpdatedAt: placed}}, "", nil
}

func (p *processes) SettlementFile(_ context.Context, _, _, kind string) (io.ReadCloser, error) {
	if kind == "html" {
		return nil, journal.ErrNotFound
	}
	return io.NopCloser(strings.NewReader("state,orderId\n")), nil
}

func (p *processes) Postings(context.Context, string, string) ([]journal.Posting, error) {
	return []journal.Posting{{Currency: "USD", Entry: &canonical.JournalEntry{Reference: "CYB20261119USD"}, Number: "4711", PostedAt: placed}, {
		Currency: "USD", Sequence: 1, Entry: &canonical.JournalEntry{Reference: "CYB20261119USD-1"}, PostedAt: placed,
		ByHand: &settlement.HandBooking{Actor: "fay", Reason: "the period is closed", Reference: "M-17", At: placed},
		Invoice: &journal.PostedInvoice{
			Number: "CYBFEE20261119USD", Warning: "posted on 2026-11-20", Document: "V1",
			ByHand: &settlement.HandBooking{Actor: "fay", Reason: "the period is closed", At: placed},
		},
	}}, nil
}

func (p *processes) Payments(_ context.Context, filter journal.PaymentFilter) ([]journal.Payment, string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.payments = append(p.payments, filter)
	return []journal.Payment{{
		Payment:    canonical.Payment{OrderID: "WEB-10001", Status: canonical.PaymentSettled, Currency: "USD", Captured: amount("48.19")},
		Refundable: amount("48.19"), SettledOn: "2026-11-19", BatchID: "B-1", CreatedAt: placed,
	}}, "more", nil
}

func (p *processes) CashPosition(context.Context, string, string, *time.Location) ([]journal.CashDay, error) {
	return []journal.CashDay{{Date: "2026-11-20", Currency: "JPY", Authorized: amount("900"), Captured: amount("900"), Due: amount("900")}}, nil
}

func dispute() journal.ChargebackRecord {
	return journal.ChargebackRecord{
		CaseID: "CB-1", OrderID: "WEB-10001", Amount: canonical.NewMoney(amount("48.19"), "USD"), Fee: canonical.NewMoney(amount("25"), "USD"), Reason: "10.4",
		Cycle: 2, OpenedAt: placed, RespondBy: placed.Add(20 * 24 * time.Hour), Notes: []journal.ChargebackNote{{At: placed, Note: "opened", Actor: "fay"}},
	}
}

func (p *processes) Chargeback(_ context.Context, caseID string) (journal.ChargebackRecord, error) {
	if caseID != "CB-1" {
		return journal.ChargebackRecord{}, journal.ErrNotFound
	}
	return dispute(), nil
}

func (p *processes) Chargebacks(_ context.Context, filter journal.ChargebackFilter) ([]journal.ChargebackRecord, string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.disputes = append(p.disputes, filter)
	return []journal.ChargebackRecord{dispute()}, "", nil
}

func (p *processes) Stock(_ context.Context, codes ...string) ([]journal.StockLevel, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.stockCodes = codes
	return []journal.StockLevel{{Erp: "syspro", Code: "A100", Warehouse: "E", Available: amount("7"), At: placed}}, nil
}

const shownDay = `DATE         2026-11-19
MERCHANT     acme_us
STATE        posted
WHY          3 rows, 2 matched, 1 differences; CYB20261119USD
IN LEDGER    yes
RUNS         2
ROWS         3
DIFFERENCES  1
UPDATED      2026-11-20 14:03:22Z

USD: rounded, net 48.14, deposited 0.00, difference -0.05
CATEGORY  REPORTED   EXPECTED   POSTED
sale      48.14 (2)  48.19 (2)  48.19 (2)

In the general ledger
CURRENCY  N  REFERENCE         JOURNAL              FEE INVOICE        DOCUMENT        POSTED                NOTE
USD       0  CYB20261119USD    4711                 -                  -               2026-11-20 14:03:22Z
USD       1  CYB20261119USD-1  M-17 (by hand, fay)  CYBFEE20261119USD  (by hand, fay)  2026-11-20 14:03:22Z  posted on 2026-11-20; the period is closed
`

func TestADayIsSettledAndWaitedFor(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(financeKey), "", "settlement", "run", "--date", "2026-11-19", "--dry-run")
	require.Equal(t, ran{code: ExitOK, stdout: `DATE        MERCHANT  STARTED  DRY RUN  WORKFLOW                       WHY NOT
2026-11-19  acme_us   yes      yes      settlement/acme_us/2026-11-19
`}, got)
	require.Equal(t, []starter.SettlementRun{{Date: "2026-11-19", DryRun: true, Actor: "fay"}}, a.runs)

	file := filepath.Join(t.TempDir(), "day.csv")
	got = execute(t, a.as(financeKey), "", "settlement", "run", "--date", "2026-11-19", "--wait", "20s", "--report", file)
	require.Equal(t, ran{code: ExitOK, stdout: shownDay}, got)
	saved, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "state,orderId\n", string(saved))

	a.refuse = refusal(starter.Conflict, "the day is being settled already")
	require.Equal(t, ExitRefused, execute(t, a.as(financeKey), "", "settlement", "run", "--date", "2026-11-19").code)
}

// A dry run is waited for by its report: it leaves the day's record alone, or has none.
func TestADryRunIsWaitedFor(t *testing.T) {
	a := newAPI(t)
	for range 2 {
		file := filepath.Join(t.TempDir(), "day.csv")
		got := execute(t, a.as(financeKey), "", "settlement", "run", "--date", "2026-11-01", "--dry-run", "--wait", "20s", "--report", file)
		require.Equal(t, ExitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "STATE      checked")
		require.NotContains(t, got.stdout, "ROWS", "they are in the report")
		require.FileExists(t, file)
	}
}

func TestADayThatTakesLongIsNotWaitedForForEver(t *testing.T) {
	a := newAPI(t)
	a.looks = -1 << 30
	got := execute(t, a.as(financeKey), "", "settlement", "run", "--date", "2026-11-19", "--wait", "1s")
	require.Equal(t, ExitUnavailable, got.code)
	require.Contains(t, got.stderr, "has not come to an end yet")
}

func TestSettlementDaysAreShown(t *testing.T) {
	a := newAPI(t)
	a.looks = 2
	require.Equal(t, ran{code: ExitOK, stdout: shownDay}, execute(t, a.as(financeKey), "", "settlement", "show", "--date", "2026-11-19", "--merchant", "acme_us"))
	require.Contains(t, execute(t, a.as(operatorKey), "", "settlement", "show", "--date", "2026-11-19", "--json").stdout, `"outcome": "rounded"`)
	list := execute(t, a.as(financeKey), "", "settlement", "list", "--state", "posted", "--from", "2026-11-01", "--limit", "5")
	require.Equal(t, `DATE        MERCHANT  STATE   IN LEDGER  ROWS  DIFFERENCES  RUNS  UPDATED               WHY
2026-11-19  acme_us   posted  yes        0     0            1     2026-11-20 14:03:22Z  all matched
`, list.stdout)
	require.Equal(t, journal.SettlementFilter{State: "posted", From: "2026-11-01", Limit: 5}, a.days[len(a.days)-1])

	file := filepath.Join(t.TempDir(), "day.html")
	got := execute(t, a.as(financeKey), "", "settlement", "show", "--date", "2026-11-19", "--report", file)
	require.Equal(t, ExitRefused, got.code)
	require.NoFileExists(t, file, "a report that is not there leaves no file")
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, ExitRefused, execute(t, a.as(financeKey), "", "settlement", "show", "--date", "2026-11-01").code)
	require.Equal(t, ExitRefused, execute(t, a.as(shopKey), "", "settlement", "list").code)
}

func TestDaysAreBackfilledAndApproved(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(financeKey), "", "settlement", "backfill", "--from", "2026-11-18", "--to", "2026-11-19", "--dry-run")
	require.Equal(t, ran{code: ExitOK, stdout: `DATE        MERCHANT  STARTED  DRY RUN  WORKFLOW                       WHY NOT
2026-11-18  acme_us   yes      no       settlement/acme_us/2026-11-18
2026-11-19  acme_us   no       no       settlement/acme_us/2026-11-19  the day is being settled already
`}, got)
	require.True(t, a.runs[0].DryRun)
	got = execute(t, a.as(financeKey), "", "settlement", "approve", "--date", "2026-11-19", "--reason", "agrees with the bank")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Equal(t, []workflows.Resolution{{ID: "att-2026-11-19", Kind: workflows.ResolveApprove, Actor: "fay", Reason: "agrees with the bank"}}, a.resolved)
	require.Equal(t, ExitRefused, execute(t, a.as(operatorKey), "", "settlement", "approve", "--date", "2026-11-19").code)
}

func TestPaymentsCashAndStock(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(financeKey), "", "payments", "list", "--status", "settled", "--settled-on", "2026-11-19", "--from", "2026-11-01")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Equal(t, `ORDER      STATUS   CURRENCY  CAPTURED  REFUNDED  CHARGED BACK  REFUNDABLE  OPEN  SETTLED     BATCH  CREATED
WEB-10001  settled  USD       48.19     0.00      0.00          48.19       no    2026-11-19  B-1    2026-11-20 14:03:22Z
`, got.stdout)
	require.Equal(t, "more: add --cursor more\n", got.stderr)
	require.Equal(t, "2026-11-19", a.processes.payments[0].SettledOn)

	file := filepath.Join(t.TempDir(), "cash.csv")
	got = execute(t, a.as(financeKey), "", "cash", "--from", "2026-11-20", "--to", "2026-11-20", "--report", file)
	require.Equal(t, ran{code: ExitOK, stdout: `DATE        CURRENCY  AUTHORIZED  CAPTURED  REFUNDED  SETTLED  CHARGED BACK  DUE
2026-11-20  JPY       900         900       0         0        0             900
`}, got)
	saved, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(saved), "2026-11-20,JPY,900,900,0,0,0,900\n")

	got = execute(t, a.as(shopKey), "", "stock", "A100", "B200")
	require.Equal(t, `STOCK CODE  ERP     WAREHOUSE  AVAILABLE  AT
A100        syspro  E          7          2026-11-20 14:03:22Z
`, got.stdout)
	require.Equal(t, []string{"A100", "B200"}, a.stockCodes)
}

func TestDisputes(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(financeKey), "", "chargeback", "open", "CB-1", "--order", "WEB-10001", "--amount", "48.19", "--fee", "25", "--reason", "10.4",
		"--respond-by", "2026-12-10")
	require.Equal(t, ran{code: ExitOK, stdout: "OPENED  CB-1\n"}, got)
	opened := a.opened[0]
	require.Equal(t, []any{"CB-1", "WEB-10001", "48.19", "25", "10.4", "fay", time.Date(2026, 12, 10, 23, 59, 59, 0, time.UTC)}, []any{
		opened.Case.ID, opened.OrderID, opened.Case.Amount.Amount.String(), opened.Case.Fee.Amount.String(), opened.Case.Reason, opened.Actor, opened.Case.RespondBy,
	})
	require.Equal(t, ran{code: ExitOK, stdout: "CB-1  lost\n"}, execute(t, a.as(financeKey), "", "chargeback", "outcome", "CB-1", "lost", "--reason", "no proof"))
	require.Equal(t, ExitOK, execute(t, a.as(financeKey), "", "chargeback", "outcome", "CB-1", "won", "--again").code)
	require.Equal(t, []starter.EndedCase{
		{CaseID: "CB-1", Outcome: activities.ChargebackLost, Actor: "fay", Reason: "no proof"},
		{CaseID: "CB-1", Outcome: activities.ChargebackWon, Actor: "fay", Again: true},
	}, a.outcomes)
	require.Equal(t, `CASE        CB-1
ORDER       WEB-10001
STATE       open
CYCLE       2
AMOUNT      48.19 USD
FEE         25.00
REASON      10.4
OPENED      2026-11-20 14:03:22Z
RESPOND BY  2026-12-10 14:03:22Z

What happened
AT                    WHAT    BY
2026-11-20 14:03:22Z  opened  fay
`, execute(t, a.as(analystKey), "", "chargeback", "show", "CB-1").stdout)
	require.Contains(t, execute(t, a.as(financeKey), "", "chargeback", "list", "--state", "open", "--order", "WEB-10001").stdout, "CB-1  WEB-10001  open   48.19 USD  10.4")
	require.Equal(t, journal.ChargebackOpen, *a.disputes[0].Outcome)
	require.Equal(t, ExitRefused, execute(t, a.as(operatorKey), "", "chargeback", "outcome", "CB-1", "won").code)
	require.Equal(t, ExitRefused, execute(t, a.as(financeKey), "", "chargeback", "show", "CB-2").code)
}

func TestWrongUseOfTheBooksCommands(t *testing.T) {
	a := newAPI(t)
	for _, line := range []string{
		"settlement run", "settlement run --date yesterday", "settlement run --date 2026-11-19 --report day.csv", "settlement run --date 2026-11-19 --wait 2h",
		"settlement run --date 2026-11-19 --wait 1s --report day.pdf", "settlement show", "settlement show --date 2026-11-19 --report day",
		"settlement backfill --from 2026-11-01", "settlement approve", "cash --report cash.html", "chargeback open CB-1", "chargeback open CB-1 --order A --amount 1 --respond-by soon",
		"chargeback outcome CB-1 open", "payments list --limit 0",
	} {
		got := execute(t, a.as(financeKey), "", strings.Fields(line)...)
		require.Equal(t, ExitUsage, got.code, line)
	}
	require.Zero(t, a.requests())
	require.Equal(t, ExitRefused, execute(t, a.as(financeKey), "", "chargeback", "show", "4111111111111111").code)
	require.Zero(t, a.requests())
}
