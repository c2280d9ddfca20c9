package settlement_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

func TestStates(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	changed := func(change func(*settlement.Operation)) settlement.Operation {
		other := op
		change(&other)
		return other
	}
	row := rowOf(op)
	cases := map[string]struct {
		operations []settlement.Operation
		rows       []line
		want       []string
		marked     bool
		difference string
	}{
		"matched":           {[]settlement.Operation{op}, []line{row}, nil, true, "0"},
		"amount differs":    {[]settlement.Operation{changed(func(o *settlement.Operation) { o.Amount.Amount = amount("9.00") })}, []line{row}, []string{"amount_differs " + row.id}, true, "1"},
		"currency differs":  {[]settlement.Operation{changed(func(o *settlement.Operation) { o.Amount.Currency = "EUR" })}, []line{row}, []string{"currency_differs " + row.id}, false, "10"},
		"direction differs": {[]settlement.Operation{changed(func(o *settlement.Operation) { o.Kind = settlement.Refund })}, []line{row}, []string{"direction_differs " + row.id}, false, "10"},
		"unknown":           {nil, []line{row}, []string{"unknown_row " + row.id}, false, "10"},
		"duplicate":         {[]settlement.Operation{op}, []line{row, row}, []string{"duplicate " + row.id}, true, "0"},
		"settled before":    {[]settlement.Operation{changed(func(o *settlement.Operation) { o.SettledOn = yesterday })}, []line{row}, []string{"duplicate " + row.id}, false, "0"},
		"settled today":     {[]settlement.Operation{changed(func(o *settlement.Operation) { o.SettledOn = today })}, []line{row}, nil, true, "0"},
		"late":              {[]settlement.Operation{changed(func(o *settlement.Operation) { o.At = during(yesterday) })}, []line{row}, []string{"late " + row.id}, true, "0"},
		"by reference":      {[]settlement.Operation{changed(func(o *settlement.Operation) { o.TransactionID = "" })}, []line{row}, nil, true, "0"},
		"reference without the amount": {[]settlement.Operation{changed(func(o *settlement.Operation) { o.TransactionID = ""; o.Amount.Amount = amount("9.00") })}, []line{row},
			[]string{"missing_row ", "unknown_row " + row.id}, false, "10"},
		"charged twice":      {[]settlement.Operation{op}, []line{row, {id: "7000000000000000000009", reference: row.reference, amount: "10.00", currency: "USD", applications: "ics_bill"}}, []string{"unknown_row 7000000000000000000009"}, true, "10"},
		"missing":            {[]settlement.Operation{op}, nil, []string{"missing_row " + row.id}, false, ""},
		"overdue":            {[]settlement.Operation{changed(func(o *settlement.Operation) { o.At = during("2026-07-01") })}, nil, []string{"missing_row " + row.id}, false, ""},
		"not due":            {[]settlement.Operation{changed(func(o *settlement.Operation) { o.At = during("2026-07-29") })}, nil, nil, false, ""},
		"gone from a report": {[]settlement.Operation{changed(func(o *settlement.Operation) { o.SettledOn = today })}, nil, []string{"missing_row " + row.id}, false, "-10"},
		"failed at the bank": {[]settlement.Operation{op}, []line{{id: row.id, reference: row.reference, amount: "10.00", currency: "USD", applications: "ics_void"}}, []string{"missing_row " + row.id}, false, "0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out := work(t, defaults(), &books{operations: c.operations}, batches(c.rows...))
			require.Equal(t, c.want, states(out.differences))
			require.Equal(t, c.marked, slices.ContainsFunc(out.marks, func(m settlement.Mark) bool { return m.Operation == op.Key }))
			if c.difference != "" {
				require.Equal(t, c.difference, currencyOf(t, out.result, "USD").Difference.String())
			}
			for _, d := range out.differences {
				require.NotEmpty(t, d.Cause())
				require.NotEmpty(t, d.Advice())
				require.NotEmpty(t, d.Currency())
			}
		})
	}
}

// Of repeated rows the one that agrees with the operation counts, wherever it stands.
func TestTheRowThatAgreesIsTheRow(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	right, wrong := rowOf(op), rowOf(op)
	wrong.amount = "99.00"
	for _, rows := range [][]line{{right, wrong}, {wrong, right}, {wrong, right, wrong}} {
		out := work(t, defaults(), &books{operations: []settlement.Operation{op}}, batches(rows...))
		c := currencyOf(t, out.result, "USD")
		require.Equal(t, settlement.Clean, c.Outcome)
		require.Equal(t, "10", c.Net.String())
		require.Equal(t, len(rows)-1, out.result.States[settlement.Duplicate])
		require.Equal(t, "99.00 USD", out.differences[0].Reported.String())
	}
}

// A row that went to suspense does not go there again where another day's report shows it, too.
func TestSuspendedRowsCountOnce(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	for name, change := range map[string]func(*settlement.Operation){
		"unknown":   func(o *settlement.Operation) { o.TransactionID, o.Reference = "1", "other" },
		"currency":  func(o *settlement.Operation) { o.Amount.Currency = "EUR" },
		"direction": func(o *settlement.Operation) { o.Kind = settlement.Refund },
	} {
		other := op
		change(&other)
		journal := &books{operations: []settlement.Operation{other}}
		first := work(t, defaults(), journal, batches(rowOf(op)))
		require.Equal(t, "10", currencyOf(t, first.result, "USD").Difference.String(), name)
		journal.take(first.marks)
		same := work(t, defaults(), journal, batches(rowOf(op)))
		require.Equal(t, "10", currencyOf(t, same.result, "USD").Difference.String(), name)
		config := defaults()
		config.Date = "2026-07-29"
		next := work(t, config, journal, batches(rowOf(op)))
		require.Equal(t, "0", currencyOf(t, next.result, "USD").Difference.String(), name)
		require.Equal(t, 1, next.result.States[settlement.Duplicate], name)
	}
}

// A row that was matched by its reference is known to no operation by its transaction: another day's report that shows it, too, has to find it taken.
func TestRowsMatchedByReferenceCountOnce(t *testing.T) {
	op := capture("5000000000000000000001", "WEB-1", "10.00", "USD")
	row := rowOf(op)
	row.id = "7000000000000000000001"
	journal := &books{operations: []settlement.Operation{op}}
	first := work(t, defaults(), journal, batches(row))
	require.Equal(t, 1, first.result.ByReference)
	journal.take(first.marks)
	same := work(t, defaults(), journal, batches(row))
	require.Equal(t, 1, same.result.ByReference, "it stays with its day")
	config := defaults()
	config.Date = "2026-07-29"
	next := work(t, config, journal, batches(row))
	require.Equal(t, []string{"duplicate " + row.id}, states(next.differences))
	require.Equal(t, today, next.differences[0].SettledOn)
	require.Empty(t, next.result.Settlements())
}

// A row that is in suspense on one day, and whose operation became known since, is in the ledger: the day that shows it again does not take it,
// the one that has it does.
func TestSuspendedRowsWhoseOperationBecameKnownCountOnce(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	journal := &books{}
	first := work(t, defaults(), journal, batches(rowOf(op)))
	require.Equal(t, 1, first.result.States[settlement.UnknownRow])
	journal.take(first.marks)
	journal.operations = []settlement.Operation{op}
	config := defaults()
	config.Date = "2026-07-29"
	next := work(t, config, journal, batches(rowOf(op)))
	require.Contains(t, states(next.differences), "duplicate "+op.TransactionID)
	require.Empty(t, next.result.Settlements())
	require.Empty(t, next.marks)
	again := work(t, defaults(), journal, batches(rowOf(op)))
	require.Equal(t, 1, again.result.States[settlement.Matched])
}

func TestMarksNameWhatIsSettled(t *testing.T) {
	op := capture("", "WEB-1", "10.00", "USD")
	out := work(t, defaults(), &books{operations: []settlement.Operation{op}}, batches(line{id: "7000000000000000000001", reference: "WEB-1", amount: "10.00", currency: "USD", applications: "ics_bill"}),
		source{report.Deposits, report.CSV, "m,D,D,1\nAmount,Currency,Identifier,Time,Status\n10.00,USD,DEP-1,2026-07-28,S\n"})
	require.Len(t, out.marks, 3)
	require.Equal(t, settlement.Mark{Operation: op.Key, OrderID: "WEB-1", TransactionID: "7000000000000000000001", Date: today, BatchID: "BATCH77",
		BatchDate: time.Date(2026, 7, 28, 4, 15, 21, 0, time.UTC), Category: canonical.SettlementSale, Amount: out.marks[0].Amount}, out.marks[0])
	require.Equal(t, "10.00 USD", out.marks[0].Amount.String())
	require.Equal(t, "row/7000000000000000000001", out.marks[1].Entry, "no operation is found by its transaction")
	require.Equal(t, "payout/DEP-1/2026-07-28T00:00:00Z/10.00 USD", out.marks[2].Entry)
	require.Equal(t, 1, out.result.ByReference)
	require.Equal(t, "BATCH77", currencyOf(t, out.result, "USD").BatchID)
}

func TestTotalsOfTheGateway(t *testing.T) {
	ops := []settlement.Operation{capture("7000000000000000000001", "WEB-1", "10.00", "USD"), refund("7000000000000000000002", "RMA-1", "3.00", "USD")}
	summary := func(sales, salesAmount, credits, creditAmount string) source {
		return source{report.BatchSummaries, report.JSON, `{"paymentBatchSummaries":[{"currencyCode":"USD","salesCount":` + sales + `,"salesAmount":"` + salesAmount + `","creditCount":` + credits + `,"creditAmount":"` + creditAmount + `"}]}`}
	}
	cases := map[string]struct {
		stated source
		want   int
	}{
		"agree":         {summary("1", "10.00", "1", "3.00"), 0},
		"amount":        {summary("1", "11.00", "1", "3.00"), 1},
		"count":         {summary("2", "10.00", "1", "3.00"), 1},
		"both":          {summary("2", "11.00", "2", "4.00"), 2},
		"net funding":   {source{report.NetFundings, report.JSON, `{"netFundingSummaries":[{"type":"PURCHASES","conveyedCount":1,"conveyedAmount":"10.00","currencyCode":"USD"},{"type":"FEES","conveyedAmount":"1.00","currencyCode":"USD"}]}`}, 1},
		"other":         {source{report.NetFundings, report.JSON, `{"netFundingSummaries":[{"type":"PURCHASES","conveyedCount":1,"conveyedAmount":"5.00","currencyCode":"EUR"}]}`}, 2},
		"nothing there": {source{report.NetFundings, report.JSON, `{"netFundingSummaries":[]}`}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rows := []line{rowOf(ops[0]), rowOf(ops[1]), rowOf(ops[1])}
			out := work(t, defaults(), &books{operations: ops}, batches(rows...), c.stated)
			require.Equal(t, c.want, out.result.States[settlement.TotalDiffers], "%v", out.differences)
			require.Equal(t, 1, out.result.States[settlement.Duplicate], "a row that is repeated is not in the gateway's total")
		})
	}
}

func TestToleranceAndPolicy(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	other := refund("7000000000000000000002", "RMA-2", "5.00", "USD")
	off := func(op settlement.Operation, by string) line {
		op.Amount.Amount = op.Amount.Amount.Add(amount(by))
		return rowOf(op)
	}
	cases := map[string]struct {
		rows      []line
		policy    settlement.Policy
		tolerance map[string]decimal.Decimal
		want      settlement.Outcome
		lines     string
	}{
		"clean":                {[]line{rowOf(op), rowOf(other)}, settlement.PolicyPark, nil, settlement.Clean, "refund 5, sale 10"},
		"within the tolerance": {[]line{off(op, "0.05"), rowOf(other)}, settlement.PolicyPark, map[string]decimal.Decimal{"*": amount("0.05")}, settlement.Rounded, "refund 5, rounding_credit 0.05, sale 10"},
		"to our cost":          {[]line{off(op, "-0.05"), rowOf(other)}, settlement.PolicyPark, map[string]decimal.Decimal{"USD": amount("0.05")}, settlement.Rounded, "refund 5, rounding 0.05, sale 10"},
		"other currency's":     {[]line{off(op, "-0.05"), rowOf(other)}, settlement.PolicyPark, map[string]decimal.Decimal{"EUR": amount("1")}, settlement.Parked, ""},
		"beyond it":            {[]line{off(op, "0.06"), rowOf(other)}, settlement.PolicyPark, map[string]decimal.Decimal{"*": amount("0.05")}, settlement.Parked, ""},
		"suspense":             {[]line{off(op, "0.06"), rowOf(other)}, settlement.PolicySuspense, map[string]decimal.Decimal{"*": amount("0.05")}, settlement.Suspended, "refund 5, sale 10, suspense_credit 0.06"},
		"more was given back":  {[]line{rowOf(op), off(other, "2.00")}, settlement.PolicySuspense, nil, settlement.Suspended, "refund 5, sale 10, suspense 2"},
		"two that cancel out":  {[]line{off(op, "2.00"), off(other, "2.00")}, settlement.PolicyPark, map[string]decimal.Decimal{"*": amount("0.05")}, settlement.Parked, ""},
		"suspense of nothing":  {[]line{off(op, "2.00"), off(other, "2.00")}, settlement.PolicySuspense, nil, settlement.Suspended, "refund 5, sale 10"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := defaults()
			config.Policy, config.Tolerance = c.policy, c.tolerance
			out := work(t, config, &books{operations: []settlement.Operation{op, other}}, batches(c.rows...))
			require.Equal(t, c.want, currencyOf(t, out.result, "USD").Outcome)
			require.Equal(t, c.want == settlement.Parked, out.result.Parked())
			var lines []string
			for _, s := range out.result.Settlements() {
				for _, line := range s.Lines {
					lines = append(lines, string(line.Category)+" "+line.Amount.String())
				}
			}
			require.Equal(t, c.lines, strings.Join(lines, ", "))
		})
	}
}

func TestLinesKeepWhatTheyAreGroupedBy(t *testing.T) {
	ops := []settlement.Operation{
		capture("7000000000000000000001", "WEB-1", "10.00", "USD"), capture("7000000000000000000002", "WEB-2", "20.00", "USD"), capture("7000000000000000000003", "WEB-3", "30.00", "USD"),
	}
	rows := []line{rowOf(ops[0]), rowOf(ops[1]), rowOf(ops[2])}
	rows[1].card = "MasterCard"
	config := defaults()
	config.GroupBy = []string{settlement.ByCardType, settlement.ByMerchant, "merchantDefinedData.1", "merchantDefinedData.2"}
	out := work(t, config, &books{operations: ops}, batches(rows...))
	lines := currencyOf(t, out.result, "USD").Lines
	require.Len(t, lines, 2)
	require.Equal(t, map[string]string{"cardType": "001", "merchantId": merchant, "merchantDefinedData.1": "web"}, lines[0].Keys)
	require.Equal(t, "001", lines[0].CardType)
	require.Equal(t, "40", lines[0].Amount.String())
	require.Equal(t, 2, lines[0].Count)
	require.Equal(t, "002", lines[1].CardType)
}

func TestFeesByKindAndFromPayouts(t *testing.T) {
	fees := source{report.Fees, report.CSV, "m,F,FeeDetail,1\nRequestID,InterchangeAmount,DiscountAmount,TotalFeeAmount,TotalFeeCurrency\n7,1.50,0.50,2.00,USD\n8,1.00,,2.00,USD\n"}
	categories := func(out outcome) (list []string) {
		for _, line := range currencyOf(t, out.result, "USD").Lines {
			list = append(list, string(line.Category)+" "+line.Amount.String())
		}
		return list
	}
	config := defaults()
	require.Equal(t, []string{"fee 4"}, categories(work(t, config, &books{}, fees)))
	config.FeeKinds = true
	require.Equal(t, []string{"fee 2", "fee_discount 0.5", "fee_interchange 1.5"}, categories(work(t, config, &books{}, fees)), "parts that do not add up are not believed")

	funding := source{report.Fundings, report.CSV, "m,F,FundingDetail,1\nFundingAmount,FundingCurrency,FundingDate,FeeAmount,AdjustmentAmount,Status,FundingIdentificationNumber\n100.00,USD,2026-07-28,1.00,2.00,S,F1\n50.00,USD,2026-07-28,1.00,-3.00,P,F2\n"}
	require.Equal(t, []string{"deposit 100"}, categories(work(t, defaults(), &books{}, funding)))
	config = defaults()
	config.FundFees = true
	require.Equal(t, []string{"adjustment_credit 2", "deposit 100", "fee 1"}, categories(work(t, config, &books{}, funding)))
}

func TestCasesAreToldOf(t *testing.T) {
	_, sources := exampleDay()
	config := defaults()
	var cases []string
	config.Cases = func(row report.Row) error {
		cases = append(cases, row.Case.Number+" "+row.RequestID)
		return nil
	}
	work(t, config, &books{booked: map[string]string{"dispute/CB-1//2026-07-28T00:00:00Z": yesterday}}, sources[2])
	require.Equal(t, []string{"CB-1 7000000000000000000101"}, cases)
	config.Cases = func(report.Row) error { return errors.New("no more") }
	_, err := try(config, &books{}, sources[2])
	require.ErrorContains(t, err, "line 3: no more")
}

func TestRowsOfOtherMerchantsAreLeftOut(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	config := defaults()
	config.Merchants = []string{"other_mid"}
	out := work(t, config, &books{}, batches(rowOf(op)))
	require.Equal(t, 1, out.result.Foreign)
	require.Zero(t, out.result.Rows)
	config.Merchants = []string{"other_mid", merchant}
	require.Equal(t, 1, work(t, config, &books{}, batches(rowOf(op))).result.Rows)
}

func TestWhatADayRefuses(t *testing.T) {
	configs := map[string]func(*settlement.Config){
		"settlement date":    func(c *settlement.Config) { c.Date = "28.07.2026" },
		"neither park":       func(c *settlement.Config) { c.Policy = "" },
		"neither journal":    func(c *settlement.Config) { c.Fees = "later" },
		"no time of a day":   func(c *settlement.Config) { c.Cutoff.Hour = 25 },
		`no field "orderId"`: func(c *settlement.Config) { c.GroupBy = []string{"orderId"} },
		"is named twice":     func(c *settlement.Config) { c.GroupBy = []string{settlement.ByBatch, settlement.ByBatch} },
	}
	for want, change := range configs {
		config := defaults()
		change(&config)
		_, err := settlement.NewDay(config)
		require.ErrorContains(t, err, want)
	}
	_, err := try(defaults(), &books{}, batches(), source{report.PurchasesRefunds, report.JSON, `{"settlements":[{"requestId":"7","transactionType":"Purchase","amount":"1","currencyCode":"USD"}]}`},
		batches(rowOf(capture("7", "A", "1.00", "USD"))))
	require.ErrorContains(t, err, "rows of type transaction already come from purchase-refund-details")

	rows := make([]line, 10_001)
	for i := range rows {
		rows[i] = rowOf(capture("7", "A", "1.00", "USD"))
		rows[i].card = "card " + strings.Repeat("x", i%100) + string(rune('a'+i/100%26)) + string(rune('a'+i/2600))
	}
	config := defaults()
	config.GroupBy = []string{settlement.ByPaymentType}
	_, err = try(config, &books{}, batches(rows...))
	require.ErrorContains(t, err, "gives more than 10000 lines")
}

// unordered gives what a journal must not.
type fake struct {
	books
	list []settlement.Operation
	err  error
}

func (f *fake) Operations(context.Context, string, string) (settlement.Operations, error) {
	return &stream{f.list}, f.err
}

func TestWhatTheJournalMustNotGive(t *testing.T) {
	a, b := capture("7000000000000000000001", "A", "1.00", "USD"), capture("7000000000000000000002", "B", "1.00", "USD")
	fine := b
	fine.Amount.Amount = amount("1.001")
	odd := b
	odd.Kind = "void"
	lost := errors.New("database is gone")
	for want, journal := range map[string]*fake{
		"not ordered":             {list: []settlement.Operation{b, a}},
		"the same transaction id": {list: []settlement.Operation{a, a}},
		"finer than its currency": {list: []settlement.Operation{a, fine}},
		"do not settle":           {list: []settlement.Operation{a, odd}},
		"database is gone":        {err: lost},
	} {
		_, err := try(defaults(), journal, batches())
		require.ErrorContains(t, err, want)
	}
}

func TestADayEndsWhenItsCallerDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	config := defaults()
	seen := 0
	config.Progress = func(rows int) { seen = rows; cancel() }
	day, err := settlement.NewDay(config)
	require.NoError(t, err)
	rows := make([]line, 20_000)
	for i := range rows {
		rows[i] = rowOf(capture("7", "A", "1.00", "USD"))
	}
	r, err := report.Open(strings.NewReader(batchReport(rows)), report.PaymentBatches, report.CSV)
	require.NoError(t, err)
	require.ErrorIs(t, day.Add(ctx, r), context.Canceled)
	require.Equal(t, 10_000, seen)
	require.NoError(t, day.Close())
	require.ErrorContains(t, day.Add(ctx, r), "closed")
}

func TestSpooledRowsAreRemoved(t *testing.T) {
	config := defaults()
	config.Dir, config.Memory = t.TempDir(), 100
	var ops []settlement.Operation
	var rows []line
	for _, id := range []string{"3", "1", "2", "5", "4"} {
		ops = append(ops, capture("7"+id, "WEB-"+id, "1.00", "USD"))
		rows = append(rows, rowOf(ops[len(ops)-1]))
	}
	out := work(t, config, &books{operations: ops}, batches(rows...))
	require.Equal(t, settlement.Clean, currencyOf(t, out.result, "USD").Outcome)
	left, err := os.ReadDir(config.Dir)
	require.NoError(t, err)
	require.Empty(t, left)
	config.Dir += "/nowhere"
	_, err = try(config, &books{operations: ops}, batches(rows...))
	require.ErrorContains(t, err, "spool rows")
}

func TestManyDifferencesAreListedUpToTheBound(t *testing.T) {
	config := defaults()
	config.Listed = 3
	var rows []line
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		rows = append(rows, rowOf(capture("7"+id, "WEB-"+id, "1.00", "USD")))
	}
	out := work(t, config, &books{}, batches(rows...))
	require.Len(t, out.result.Listed, 3)
	require.Equal(t, 5, out.result.Differences)
	require.Len(t, out.differences, 5)
}

// Rows that the stream of open operations does not know are looked up by page, not one by one.
func TestUnknownRowsAreLookedUpByPage(t *testing.T) {
	var rows []line
	for i := range 1200 {
		rows = append(rows, rowOf(capture("7"+strings.Repeat("0", 3)+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)), "WEB", "1.00", "USD")))
	}
	journal := &books{}
	require.Len(t, work(t, defaults(), journal, batches(rows...)).differences, 1200)
	require.Equal(t, 3, journal.finds)
}

func TestDueDates(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return when
	}
	cases := []struct {
		cutoff settlement.Cutoff
		at     string
		want   string
	}{
		{settlement.Cutoff{Hour: 24}, "2026-07-28T23:59:59Z", "2026-07-28"},
		{settlement.Cutoff{}, "2026-07-28T00:00:00Z", "2026-07-29"},
		{settlement.Cutoff{Hour: 7}, "2026-07-28T06:59:59Z", "2026-07-28"},
		{settlement.Cutoff{Hour: 7}, "2026-07-28T07:00:00Z", "2026-07-29"},
		{settlement.Cutoff{Hour: 7, Minute: 30, Days: 1}, "2026-12-31T07:29:00Z", "2027-01-01"},
		{settlement.Cutoff{Hour: 20, Zone: newYork}, "2026-07-29T00:00:00Z", "2026-07-29"}, // 20:00 of the 28th there
		{settlement.Cutoff{Hour: 20, Zone: newYork}, "2026-07-28T23:59:00Z", "2026-07-28"},
		{settlement.Cutoff{Hour: 2, Minute: 30, Zone: newYork}, "2026-03-08T07:00:00Z", "2026-03-09"}, // the clock jumps from 2 to 3
		{settlement.Cutoff{Hour: 1, Minute: 30, Zone: newYork}, "2026-11-01T05:45:00Z", "2026-11-02"}, // 1:45 comes twice
	}
	for _, c := range cases {
		require.Equal(t, c.want, c.cutoff.Due(at(c.at)), c.at)
	}
}

func TestMarksComeInPages(t *testing.T) {
	var pages []int
	marks := settlement.Marks{Size: 2, Write: func(page []settlement.Mark) error { pages = append(pages, len(page)); return nil }}
	for range 5 {
		require.NoError(t, marks.Mark(settlement.Mark{}))
	}
	require.NoError(t, marks.Flush())
	require.NoError(t, marks.Flush())
	require.Equal(t, []int{2, 2, 1}, pages)
}

func TestCategories(t *testing.T) {
	row := func(kind report.Type, way report.Direction, applications report.Applications) *report.Row {
		r := &report.Row{Type: kind, Direction: way, Applications: applications}
		if kind == report.Dispute {
			r.Case = &report.Case{Retrieval: applications != 0}
		}
		return r
	}
	cases := []struct {
		row  *report.Row
		want canonical.SettlementCategory
		way  settlement.Way
	}{
		{row(report.Transaction, report.In, report.Bill|report.Auth), canonical.SettlementSale, settlement.Income},
		{row(report.Transaction, report.Out, report.Credit), canonical.SettlementRefund, settlement.Expense},
		{row(report.Transaction, report.Out, report.Bill), settlement.Other, settlement.Expense},
		{row(report.Transaction, report.In, report.OtherApplication), settlement.OtherCredit, settlement.Income},
		{row(report.Transaction, report.In, 0), canonical.SettlementSale, settlement.Income},
		{row(report.Transaction, report.Neither, report.Void), settlement.Void, settlement.Nowhere},
		{row(report.Transaction, report.Neither, report.Bill), settlement.Unsettled, settlement.Nowhere},
		{row(report.FeeCharge, report.Out, 0), canonical.SettlementFee, settlement.Expense},
		{row(report.FeeCharge, report.In, 0), settlement.FeeReversal, settlement.Income},
		{row(report.Dispute, report.Out, 0), canonical.SettlementChargeback, settlement.Expense},
		{row(report.Dispute, report.In, 0), canonical.SettlementChargebackReversal, settlement.Income},
		{row(report.Dispute, report.Neither, 0), settlement.Unsettled, settlement.Nowhere},
		{row(report.Dispute, report.Neither, 1), settlement.Retrieval, settlement.Nowhere},
		{row(report.Deposit, report.In, 0), canonical.SettlementDeposit, settlement.Elsewhere},
		{row(report.Deposit, report.Out, 0), settlement.DepositDebit, settlement.Elsewhere},
		{row(report.Deposit, report.Neither, 0), settlement.Unsettled, settlement.Nowhere},
		{row(report.Total, report.Neither, 0), settlement.Unsettled, settlement.Nowhere},
	}
	for _, c := range cases {
		got := settlement.Categorize(c.row)
		require.Equal(t, c.want, got)
		require.Equal(t, c.way, settlement.WayOf(got), got)
	}
}

// A row that an earlier delivery of the day showed stays posted, as no other day would take it; that its money lacks now is a difference.
func TestARowThatIsGoneFromANewDeliveryStaysPosted(t *testing.T) {
	op := capture("7000000000000000000001", "WEB-1", "10.00", "USD")
	op.SettledOn = today
	out := work(t, defaults(), &books{operations: []settlement.Operation{op}}, batches())
	usd := currencyOf(t, out.result, "USD")
	require.Equal(t, settlement.Suspended, usd.Outcome)
	require.Equal(t, "0", usd.Net.String(), "nothing is owed for it")
	require.Equal(t, []settlement.Line{
		{SettlementLine: canonical.SettlementLine{Category: canonical.SettlementSale, Amount: amount("10.00")}, Count: 1},
		{SettlementLine: canonical.SettlementLine{Category: settlement.Suspense, Amount: amount("10.00")}, Count: 1},
	}, usd.Lines)
}

// Queries of disputes reach back some days, since their rows come late: what an earlier day took is neither taken again nor a difference.
func TestDisputesThatAnEarlierDayTookAreNoDifference(t *testing.T) {
	element := func(number string) string {
		return `{"amount":"20.00","sign":"-","action":"Open","natureOfDispute":"Chargeback","trackingNumber":"` + number + `","currencyCode":"USD","requestId":"7` + number + `","time":"2026-07-26T00:00:00Z"}`
	}
	asked := source{report.ChargebackCases, report.JSON, `{"chargebackDetails":[` + element("1") + `,` + element("2") + `]}`}
	out := work(t, defaults(), &books{booked: map[string]string{"dispute/1/Open/2026-07-26T00:00:00Z": yesterday}}, asked)
	require.Empty(t, out.differences)
	require.Len(t, out.marks, 1)
	chargebacks := total(t, currencyOf(t, out.result, "USD"), canonical.SettlementChargeback)
	require.Equal(t, 1, chargebacks.Reported.Count)
	require.Equal(t, chargebacks.Reported, chargebacks.Posted)
}

// A payout or a dispute may be told before its money moves, and told again, under the same name and time, when it has moved, or has come back:
// that is no row that was told before.
func TestMoneyThatMovesIsNoRepetition(t *testing.T) {
	deposits := func(rows ...string) source {
		return source{report.Deposits, report.CSV, "m,D,Deposit,1\nAmount,Currency,Identifier,Time,Status\n" + strings.Join(rows, "\n") + "\n"}
	}
	disputes := func(rows ...string) source {
		return source{report.Chargebacks, report.CSV, "m,C,ChargebackAndRetrieval,1\nRequestID,CaseNumber,CaseType,FinancialImpact,FinancialImpactType,ChargebackTime,ChargebackAmount,ChargebackCurrency\n" +
			strings.Join(rows, "\n") + "\n"}
	}
	cases := map[string]struct {
		of            func(...string) source
		before, after string
		category      canonical.SettlementCategory
	}{
		"paid out":     {deposits, "10.00,USD,D-1,2026-07-28,P", "10.00,USD,D-1,2026-07-28,S", canonical.SettlementDeposit},
		"taken back":   {deposits, "10.00,USD,D-1,2026-07-28,S", "-10.00,USD,D-1,2026-07-28,S", settlement.DepositDebit},
		"charged back": {disputes, "7,CB-1,Chargeback,N,none,2026-07-28,10.00,USD", "7,CB-1,Chargeback,Y,debit,2026-07-28,10.00,USD", canonical.SettlementChargeback},
		"won":          {disputes, "7,CB-1,Chargeback,Y,debit,2026-07-28,10.00,USD", "7,CB-1,Chargeback,Y,credit,2026-07-28,10.00,USD", canonical.SettlementChargebackReversal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			journal := &books{}
			journal.take(work(t, defaults(), journal, c.of(c.before)).marks)
			config := defaults()
			config.Date = "2026-07-29"
			next := work(t, config, journal, c.of(c.after))
			require.Empty(t, next.differences)
			require.Equal(t, "10", total(t, currencyOf(t, next.result, "USD"), c.category).Posted.Amount.String())
			journal.take(next.marks)
			config.Date = "2026-07-30"
			again := work(t, config, journal, c.of(c.after))
			require.Equal(t, 1, again.result.States[settlement.Duplicate], "once")
			both := work(t, defaults(), &books{}, c.of(c.before, c.after, c.after))
			require.Equal(t, 1, both.result.States[settlement.Duplicate])
			require.Equal(t, "10", total(t, currencyOf(t, both.result, "USD"), c.category).Posted.Amount.String())
		})
	}
}

// What a day can't take is told by its place, and only the types that are asked for are taken.
func TestRowsThatADayRefuses(t *testing.T) {
	add := func(day *settlement.Day, kind report.Kind, format report.Format, body string, types ...report.Type) error {
		r, err := report.Open(strings.NewReader(body), kind, format)
		require.NoError(t, err)
		return day.Add(t.Context(), r, types...)
	}
	day, err := settlement.NewDay(defaults())
	require.NoError(t, err)
	defer func() { require.NoError(t, day.Close()) }()
	require.NoError(t, add(day, report.Deposits, report.CSV, "m,D,Deposit,1\nAmount,Currency,Identifier,Time,Status\n5.00,USD,A,2026-07-28T09:00:00Z,S\n"))
	err = add(day, report.Fundings, report.CSV, "m,F,Funding,1\nFundingAmount,FundingCurrency,FundingDate,Status\n5.00,USD,2026-07-28T09:00:00Z,S\n")
	var refused *settlement.RowError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, settlement.RowError{Kind: report.Fundings, Line: 3, Rule: "rows of type deposit already come from deposit_detail"}, *refused)
	require.NoError(t, add(day, report.Fundings, report.CSV, "m,F,Funding,1\nFundingAmount,FundingCurrency,FundingDate,Status\n5.00,USD,2026-07-28T09:00:00Z,S\n", report.Transaction))
}
