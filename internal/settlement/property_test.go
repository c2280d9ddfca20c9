package settlement_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// world is a generated day, and what has to come of it, computed the simple way.
type world struct {
	books       books
	lines       []line
	fees        []string
	disputes    []string
	payouts     []string
	differences []string                   // "state id"
	ledger      map[string]decimal.Decimal // by currency: what the receipts of today's settled operations, and disputes that were won, put into the clearing account
	cash        map[string]decimal.Decimal // by currency: what the acquirer owes for today
	suspense    map[string]decimal.Decimal // by currency: cash that the ledger does not know
	other       map[string]decimal.Decimal // by account and currency: fees and chargebacks
	deposits    map[string]decimal.Decimal
	marks       int
	next        int
}

var dayCurrencies = []string{"USD", "EUR", "JPY", "KWD"}

func places(currency string) int32 {
	scale, err := canonical.MinorUnits(currency)
	if err != nil {
		panic(err)
	}
	return scale
}

func (w *world) id() string {
	w.next++
	return fmt.Sprintf("7%021d", w.next*7919%1_000_003)
}

func drawAmount(t *rapid.T, currency string) decimal.Decimal {
	return decimal.New(rapid.Int64Range(1, 500_000).Draw(t, "units"), -places(currency))
}

func (w *world) add(m map[string]decimal.Decimal, key string, value decimal.Decimal) {
	m[key] = m[key].Add(value)
}

// signed is the amount of an operation as the merchant's money.
func signedAmount(op settlement.Operation) decimal.Decimal {
	if op.Kind == settlement.Refund {
		return op.Amount.Amount.Neg()
	}
	return op.Amount.Amount
}

func drawWorld(t *rapid.T) *world {
	w := &world{
		ledger: map[string]decimal.Decimal{}, cash: map[string]decimal.Decimal{}, suspense: map[string]decimal.Decimal{}, other: map[string]decimal.Decimal{},
		deposits: map[string]decimal.Decimal{},
	}
	w.books.booked = map[string]string{}
	for range rapid.IntRange(0, 40).Draw(t, "operations") {
		w.operation(t)
	}
	for range rapid.IntRange(0, 6).Draw(t, "fees") {
		w.fee(t)
	}
	for range rapid.IntRange(0, 4).Draw(t, "disputes") {
		w.dispute(t)
	}
	for range rapid.IntRange(0, 2).Draw(t, "payouts") {
		w.payout(t)
	}
	w.lines = rapid.Permutation(w.lines).Draw(t, "order")
	slices.Sort(w.differences)
	return w
}

// operation draws one operation or row of every sort there is.
func (w *world) operation(t *rapid.T) {
	currency := rapid.SampledFrom(dayCurrencies).Draw(t, "currency")
	kind := rapid.SampledFrom([]settlement.OperationKind{settlement.Capture, settlement.Capture, settlement.Refund}).Draw(t, "kind")
	id := w.id()
	reference := "WEB-" + strconv.Itoa(w.next)
	op := settlement.Operation{Key: "op:" + reference, OrderID: reference, TransactionID: id, Reference: reference, Kind: kind, Amount: canonical.NewMoney(drawAmount(t, currency), currency), At: during(today)}
	row := rowOf(op)
	settled := func() {
		w.add(w.ledger, currency, signedAmount(op))
		w.add(w.cash, currency, signedAmount(op))
		w.marks++
	}
	differ := func(state settlement.State) { w.differences = append(w.differences, string(state)+" "+id) }
	flip := func(kind settlement.OperationKind) settlement.OperationKind {
		if kind == settlement.Capture {
			return settlement.Refund
		}
		return settlement.Capture
	}
	switch rapid.SampledFrom([]string{"plain", "plain", "plain", "missing", "extra", "amount", "currency", "direction", "duplicate", "earlier", "late", "known since", "reference", "unnamed", "not due", "overdue", "void", "extra before"}).Draw(t, "sort") {
	case "plain":
		settled()
		w.lines = append(w.lines, row)
	case "missing":
		differ(settlement.MissingRow)
	case "overdue":
		op.At = during("2026-07-20")
		differ(settlement.MissingRow)
	case "not due":
		op.At = during("2026-07-29")
	case "extra before":
		w.lines = append(w.lines, row)
		w.books.booked["row/"+id] = yesterday
		differ(settlement.Duplicate)
		return
	case "extra":
		w.marks++
		w.lines = append(w.lines, row)
		differ(settlement.UnknownRow)
		w.add(w.cash, currency, signedAmount(op))
		w.add(w.suspense, currency, signedAmount(op))
		return
	case "void":
		row.applications = "ics_void"
		w.lines = append(w.lines, row)
		return
	case "amount":
		off := op
		off.Amount.Amount = op.Amount.Amount.Add(drawAmount(t, currency))
		w.lines = append(w.lines, rowOf(off))
		differ(settlement.AmountDiffers)
		w.add(w.ledger, currency, signedAmount(op))
		w.add(w.cash, currency, signedAmount(off))
		w.add(w.suspense, currency, signedAmount(off).Sub(signedAmount(op)))
		w.marks++
	case "currency":
		off := op
		off.Amount.Currency = "CHF"
		off.Amount.Amount = decimal.New(rapid.Int64Range(1, 10_000).Draw(t, "francs"), -2)
		w.lines = append(w.lines, rowOf(off))
		differ(settlement.CurrencyDiffers)
		w.marks++
		w.add(w.cash, "CHF", signedAmount(off))
		w.add(w.suspense, "CHF", signedAmount(off))
	case "direction":
		off := op
		off.Kind = flip(op.Kind)
		w.lines = append(w.lines, rowOf(off))
		differ(settlement.DirectionDiffers)
		w.marks++
		w.add(w.cash, currency, signedAmount(off))
		w.add(w.suspense, currency, signedAmount(off))
	case "duplicate":
		settled()
		w.lines = append(w.lines, row)
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			again := row
			if rapid.Bool().Draw(t, "other amount") {
				again.amount = canonical.FormatAmount(op.Amount.Amount.Add(decimal.New(1, -places(currency))), currency)
			}
			w.lines = append(w.lines, again)
			differ(settlement.Duplicate)
		}
	case "earlier":
		op.SettledOn = yesterday
		w.lines = append(w.lines, row)
		differ(settlement.Duplicate)
	case "late":
		settled()
		op.At = during("2026-07-25")
		w.lines = append(w.lines, row)
		differ(settlement.Late)
	case "known since": // it went to suspense on another day
		op.At = during("2026-07-25")
		w.lines = append(w.lines, row)
		w.books.booked["row/"+id] = yesterday
		differ(settlement.Duplicate)
	case "reference":
		settled()
		w.marks++                 // of the row, too
		op.TransactionID = w.id() // the authorization's, where the report has the capture's
		w.lines = append(w.lines, row)
	case "unnamed":
		settled()
		w.marks++
		op.TransactionID = ""
		w.lines = append(w.lines, row)
	}
	w.books.operations = append(w.books.operations, op)
}

func (w *world) fee(t *rapid.T) {
	currency := rapid.SampledFrom(dayCurrencies).Draw(t, "currency")
	value, id := drawAmount(t, currency), w.id()
	given := rapid.Bool().Draw(t, "given back")
	text, cost := canonical.FormatAmount(value, currency), value
	if given {
		text, cost = "-"+text, value.Neg()
	}
	w.fees = append(w.fees, strings.Join([]string{id, text, currency}, ","))
	switch rapid.SampledFrom([]string{"new", "new", "again", "earlier"}).Draw(t, "sort") {
	case "again":
		w.fees = append(w.fees, strings.Join([]string{id, text, currency}, ","))
		w.differences = append(w.differences, "duplicate "+id)
	case "earlier":
		way := report.Out
		if given {
			way = report.In
		}
		w.books.booked["fee/"+id+"//"+string(way)+"/"+canonical.NewMoney(value, currency).String()] = yesterday
		w.differences = append(w.differences, "duplicate "+id)
		return
	}
	w.marks++
	w.add(w.other, "6100 "+currency, cost)
	w.add(w.cash, currency, cost.Neg())
}

func (w *world) dispute(t *rapid.T) {
	currency := rapid.SampledFrom(dayCurrencies).Draw(t, "currency")
	value, fee, id := drawAmount(t, currency), drawAmount(t, currency), w.id()
	impact := rapid.SampledFrom([]string{"debit", "credit", "none"}).Draw(t, "impact")
	w.disputes = append(w.disputes, strings.Join([]string{
		id, "CB-" + id, "Chargeback", canonical.FormatAmount(value, currency), currency, "2026-07-28T00:00:00Z", "Y", impact, "First", canonical.FormatAmount(fee, currency), currency}, ","))
	w.marks++
	w.add(w.other, "6120 "+currency, fee)
	w.add(w.cash, currency, fee.Neg())
	switch impact {
	case "debit":
		w.add(w.other, "1210 "+currency, value)
		w.add(w.cash, currency, value.Neg())
	case "credit":
		w.add(w.ledger, currency, value) // the dispute that was won put it there
		w.add(w.cash, currency, value)
	}
}

func (w *world) payout(t *rapid.T) {
	currency := rapid.SampledFrom(dayCurrencies).Draw(t, "currency")
	value, id := drawAmount(t, currency), w.id()
	w.payouts = append(w.payouts, strings.Join([]string{canonical.FormatAmount(value, currency), currency, "DEP-" + id, "2026-07-28T09:00:00Z", "S"}, ","))
	w.add(w.deposits, currency, value)
	w.marks++
}

func (w *world) sources() []source {
	return []source{
		batches(w.lines...),
		{report.Fees, report.CSV, "m,F,FeeDetail,1\nRequestID,TotalFeeAmount,TotalFeeCurrency\n" + strings.Join(w.fees, "\n") + "\n"},
		{report.Chargebacks, report.CSV, "m,C,Chargeback,1\nRequestID,CaseNumber,CaseType,ChargebackAmount,ChargebackCurrency,ChargebackTime,FinancialImpact,FinancialImpactType,TransactionType,FeeAmount,FeeCurrency\n" + strings.Join(w.disputes, "\n") + "\n"},
		{report.Deposits, report.CSV, "m,D,Deposit,1\nAmount,Currency,Identifier,Time,Status\n" + strings.Join(w.payouts, "\n") + "\n"},
	}
}

// Whatever the day: the report names exactly what was planted, the totals are the ledger's, and the journal balances.
func TestAnyDayBalancesAndIsExplained(t *testing.T) {
	set := loadMappings(t)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		config := defaults()
		config.Dir, config.GroupBy = dir, []string{settlement.ByCardType, "merchantDefinedData.1"}
		out := work(t, config, &w.books, w.sources()...)
		require.Equal(t, w.differences, states(out.differences))
		require.Len(t, out.marks, w.marks)
		require.Equal(t, len(w.differences), out.result.Differences)

		explained := map[string]decimal.Decimal{}
		for _, d := range out.differences {
			if d.State != settlement.MissingRow {
				w.add(explained, d.Currency(), d.Amount())
			}
		}
		for _, c := range out.result.Currencies {
			require.True(t, c.Difference.Equal(explained[c.Currency]), "the list adds up to the difference")
			require.True(t, c.Net.Equal(w.cash[c.Currency]), "%s: net %s, cash %s", c.Currency, c.Net, w.cash[c.Currency])
			require.True(t, c.Difference.Equal(w.suspense[c.Currency]), "%s: difference %s, planted %s", c.Currency, c.Difference, w.suspense[c.Currency])
			require.True(t, c.Deposited.Equal(w.deposits[c.Currency]))
		}
		for _, s := range out.result.Settlements() {
			for _, line := range s.Lines {
				require.False(t, line.Amount.IsNegative())
			}
			entry, posted := mapped(t, set, settlement.ModeDetail, s, nil)
			if !posted {
				continue
			}
			require.True(t, account(entry, "1050").Equal(w.ledger[s.Currency].Neg()), "clearing is emptied of what receipts and won disputes put there")
			require.True(t, account(entry, "1010").Equal(w.deposits[s.Currency]), "the bank has what was paid out")
			require.True(t, account(entry, "1051").Equal(w.cash[s.Currency].Sub(w.deposits[s.Currency])), "in transit is what the acquirer owes")
			require.True(t, account(entry, "1999").Equal(w.suspense[s.Currency].Neg()), "suspense is what nobody explains")
			for _, code := range []string{"6100", "6120", "1210"} {
				require.True(t, account(entry, code).Equal(w.other[code+" "+s.Currency]), code)
			}
		}

		// The same day in next to no memory, spilled and merged from files, is the same day.
		config.Memory = 300
		spilled := work(t, config, &w.books, w.sources()...)
		requireSame(t, out, spilled)

		// And so is the same day again, after the journal took its marks.
		w.books.take(out.marks)
		again := work(t, config, &w.books, w.sources()...)
		require.Equal(t, w.differences, states(again.differences))
		require.Len(t, again.marks, len(out.marks))
		requireSame(t, outcome{result: &settlement.Result{Currencies: out.result.Currencies}}, outcome{result: &settlement.Result{Currencies: again.result.Currencies}})
	})
}

func requireSame(t require.TestingT, want, got outcome) {
	wantBody, err := json.Marshal([]any{want.result, want.differences, want.marks})
	require.NoError(t, err)
	gotBody, err := json.Marshal([]any{got.result, got.differences, got.marks})
	require.NoError(t, err)
	require.Equal(t, string(wantBody), string(gotBody))
}

// A correction takes what was posted to what should be, whatever both are.
func TestCorrectionsLeadToWhatShouldBe(t *testing.T) {
	accounts := []string{"1010", "1050", "6100", "7090"}
	draw := func(t *rapid.T, name string) canonical.JournalEntry {
		entry := canonical.JournalEntry{Reference: "CYB20260728USD", Date: today, Currency: "USD"}
		sum := decimal.Zero
		for range rapid.IntRange(1, 5).Draw(t, name) {
			value := decimal.New(rapid.Int64Range(1, 9999).Draw(t, "value"), -2)
			line := canonical.JournalLine{Account: rapid.SampledFrom(accounts).Draw(t, "account"), Debit: value}
			if rapid.Bool().Draw(t, "credit") {
				line.Debit, line.Credit = decimal.Zero, value
			}
			sum = sum.Add(line.Debit).Sub(line.Credit)
			entry.Lines = append(entry.Lines, line)
		}
		if sum.IsPositive() {
			entry.Lines = append(entry.Lines, canonical.JournalLine{Account: "1051", Credit: sum})
		} else if sum.IsNegative() {
			entry.Lines = append(entry.Lines, canonical.JournalLine{Account: "1051", Debit: sum.Neg()})
		}
		return entry
	}
	rapid.Check(t, func(t *rapid.T) {
		wanted, posted := draw(t, "wanted"), []canonical.JournalEntry{draw(t, "posted")}
		if rapid.Bool().Draw(t, "corrected before") {
			posted = append(posted, draw(t, "correction"))
		}
		correction, needed, err := settlement.Correction(wanted, posted, "CYB20260728USD-1")
		require.NoError(t, err)
		if needed {
			require.True(t, correction.Balanced())
			posted = append(posted, correction)
		}
		for _, code := range append(accounts, "1051") {
			sum := decimal.Zero
			for _, entry := range posted {
				sum = sum.Add(account(entry, code))
			}
			require.True(t, sum.Equal(account(wanted, code)), code)
		}
		_, again, err := settlement.Correction(wanted, posted, "CYB20260728USD-2")
		require.NoError(t, err)
		require.False(t, again, "a corrected day needs no correction")
	})
}
