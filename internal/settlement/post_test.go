package settlement_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// exampleDay is the day of the reference: 48 captures of 12,480.00, 3 refunds of 635.50, a chargeback of 210.00 with a fee of 25.00,
// processing fees of 362.18.
func exampleDay() (*books, []source) {
	journal := &books{}
	var rows []line
	add := func(op settlement.Operation) {
		journal.operations = append(journal.operations, op)
		rows = append(rows, rowOf(op))
	}
	for i := range 48 {
		add(capture(fmt.Sprintf("70000000000000000001%02d", i), fmt.Sprintf("WEB-%d", i), "260.00", "USD"))
	}
	for i, value := range []string{"600.00", "30.00", "5.50"} {
		add(refund(fmt.Sprintf("70000000000000000002%02d", i), fmt.Sprintf("RMA-%d", i), value, "USD"))
	}
	return journal, []source{
		batches(rows...),
		{report.Fees, report.CSV, "m,F,FeeDetail,1\nRequestID,TotalFeeAmount,TotalFeeCurrency\n7000000000000000000100,362.18,USD\n"},
		{report.Chargebacks, report.CSV, "m,C,C,1\nRequestID,CaseNumber,CaseType,ChargebackAmount,ChargebackCurrency,ChargebackTime,FinancialImpact,FinancialImpactType,FeeAmount,FeeCurrency\n" +
			"7000000000000000000101,CB-1,Chargeback,210.00,USD,2026-07-28T00:00:00Z,Y,debit,25.00,USD\n"},
	}
}

func sides(entry canonical.JournalEntry) map[string]string {
	list := map[string]string{}
	for _, line := range entry.Lines {
		if line.Debit.IsZero() {
			list[line.Account] = "C " + canonical.FormatAmount(line.Credit, entry.Currency)
		} else {
			list[line.Account] = "D " + canonical.FormatAmount(line.Debit, entry.Currency)
		}
	}
	return list
}

func TestTheReferencesExample(t *testing.T) {
	set := loadMappings(t)
	site := map[string]string{"inTransitAccount": "1010"}
	cases := map[string]struct {
		mode    settlement.Mode
		fees    settlement.FeePolicy
		want    map[string]string
		invoice string
	}{
		"detail":  {settlement.ModeDetail, "", map[string]string{"1010": "D 11247.32", "6100": "D 362.18", "6120": "D 25.00", "1210": "D 210.00", "1050": "C 11844.50"}, ""},
		"summary": {settlement.ModeSummary, "", map[string]string{"1010": "D 11247.32", "6100": "D 362.18", "6120": "D 25.00", "1210": "D 210.00", "4900": "D 635.50", "4000": "C 12480.00"}, ""},
		"fees as an invoice": {settlement.ModeDetail, settlement.FeesAsInvoice, map[string]string{"1010": "D 11247.32", "1055": "D 387.18", "1210": "D 210.00", "1050": "C 11844.50"},
			"CYBFEE20260728USD 387.18: chargeback_fee 25, fee 362.18"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			journal, sources := exampleDay()
			config := defaults()
			config.Fees = c.fees
			out := work(t, config, journal, sources...)
			require.Empty(t, out.differences)
			usd := currencyOf(t, out.result, "USD")
			require.Equal(t, "11247.32", usd.Net.String())
			require.Equal(t, 48, total(t, usd, canonical.SettlementSale).Reported.Count)
			require.Equal(t, "12480", total(t, usd, canonical.SettlementSale).Expected.Amount.String())
			entry, posted := mapped(t, set, c.mode, out.result.Settlements()[0], site)
			require.True(t, posted)
			require.Equal(t, "CYB20260728USD", entry.Reference)
			require.Equal(t, today, entry.Date)
			require.Equal(t, c.want, sides(entry))

			invoice, needed, err := out.result.FeeInvoice(&usd, "")
			require.NoError(t, err)
			require.Equal(t, c.invoice != "", needed)
			if needed {
				var parts []string
				for _, line := range invoice.Distribution {
					parts = append(parts, string(line.Category)+" "+line.Amount.String())
				}
				require.Equal(t, c.invoice, invoice.Number+" "+invoice.Total.String()+": "+strings.Join(parts, ", "))
				require.True(t, invoice.Total.IsPositive())
			}
		})
	}
}

func TestFeesGivenBackAreACredit(t *testing.T) {
	config := defaults()
	config.Fees = settlement.FeesAsInvoice
	out := work(t, config, &books{}, source{report.Fees, report.CSV, "m,F,FeeDetail,1\nRequestID,TotalFeeAmount,TotalFeeCurrency\n7,1.00,USD\n8,-3.00,USD\n"})
	usd := currencyOf(t, out.result, "USD")
	require.Equal(t, settlement.FeeReturned, usd.Lines[0].Category)
	require.Equal(t, "2", usd.Lines[0].Amount.String())
	invoice, needed, err := out.result.FeeInvoice(&usd, "EU")
	require.NoError(t, err)
	require.True(t, needed)
	require.Equal(t, "CYBFEE20260728USD-EU", invoice.Number)
	require.Equal(t, "-2", invoice.Total.String(), "a credit")
	require.Equal(t, []canonical.SettlementLine{
		{Category: canonical.SettlementFee, Amount: amount("1.00")}, {Category: settlement.FeeReversal, Amount: amount("-3.00")},
	}, invoice.Distribution)
}

// What was invoiced is invoiced once: a further invoice holds what changed since, by category.
func TestFeesThatChangeAreInvoicedByTheDifference(t *testing.T) {
	line := func(category canonical.SettlementCategory, value string) canonical.SettlementLine {
		return canonical.SettlementLine{Category: category, Amount: amount(value)}
	}
	day := settlement.CurrencyResult{Currency: "USD", Fees: []settlement.Line{
		{SettlementLine: line(settlement.FeeInterchange, "5.00")}, {SettlementLine: line(canonical.SettlementChargebackFee, "15.00")},
		{SettlementLine: line(settlement.FeeReversal, "1.00")},
	}}
	result := settlement.Result{Date: today}
	first, needed, err := result.FeeInvoice(&day, "")
	require.NoError(t, err)
	require.True(t, needed)
	require.Equal(t, "19.00", first.Total.StringFixed(2))
	_, needed, err = result.FeeInvoice(&day, "", first.Distribution)
	require.NoError(t, err)
	require.False(t, needed, "all of it is invoiced")

	day.Fees[0].Amount = amount("2.00")
	second, needed, err := result.FeeInvoice(&day, "", first.Distribution)
	require.NoError(t, err)
	require.True(t, needed)
	require.Equal(t, "CYBFEE20260728USD-1", second.Number)
	require.Equal(t, []canonical.SettlementLine{line(settlement.FeeInterchange, "-3.00")}, second.Distribution)
	_, needed, err = result.FeeInvoice(&day, "", first.Distribution, second.Distribution)
	require.NoError(t, err)
	require.False(t, needed)
	day.Outcome = settlement.Parked
	_, needed, err = result.FeeInvoice(&day, "")
	require.NoError(t, err)
	require.False(t, needed, "a parked day waits for a person")
}

func TestResultsCrossAsJSON(t *testing.T) {
	journal, sources := exampleDay()
	out := work(t, defaults(), journal, sources...)
	body, err := json.Marshal(out.result)
	require.NoError(t, err)
	var back settlement.Result
	require.NoError(t, json.Unmarshal(body, &back))
	again, err := json.Marshal(&back)
	require.NoError(t, err)
	require.Equal(t, string(body), string(again))
	require.Equal(t, fmt.Sprint(out.result.Settlements()), fmt.Sprint(back.Settlements()))
}

func TestReferences(t *testing.T) {
	cases := []struct {
		date, currency, merchant string
		correction               int
		want, wrong              string
	}{
		{today, "USD", "", 0, "CYB20260728USD", ""},
		{today, "JPY", "", 2, "CYB20260728JPY-2", ""},
		{today, "USD", "EU", 0, "CYB20260728USD-EU", ""},
		{today, "USD", "EUROPE123456", 12, "CYB20260728USD-EUROPE123456-12", ""},
		{today, "USD", "EUROPE123456", 123, "", "more than 30"},
		{"28.07.2026", "USD", "", 0, "", "date"},
		{today, "usd", "", 0, "", "currency"},
		{today, "USD", "2", 0, "", "suffix"},
		{today, "USD", "eu", 0, "", "suffix"},
		{today, "USD", "", -1, "", "count from 1"},
	}
	for _, c := range cases {
		got, err := settlement.Reference(c.date, c.currency, c.merchant, c.correction)
		if c.wrong != "" {
			require.ErrorContains(t, err, c.wrong)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
		require.LessOrEqual(t, len(got), 30)
	}
}

func TestWhatEntryRefuses(t *testing.T) {
	document := func(reference, currency, lines string) string {
		return `{"Reference":"` + reference + `","JournalDate":"2026-07-28","Currency":"` + currency + `","Description":"x","Lines":[` + lines + `]}`
	}
	debit, credit := `{"AccountCode":"1010","Debit":1.10,"Credit":0}`, `{"AccountCode":"1050","Debit":0,"Credit":1.10}`
	entry, err := settlement.Entry([]byte(document("CYB1", "USD", debit+","+credit)), "CYB2")
	require.NoError(t, err)
	require.Equal(t, "CYB2", entry.Reference)
	require.Equal(t, map[string]string{"1010": "D 1.10", "1050": "C 1.10"}, sides(entry))
	for want, body := range map[string]string{
		"debits and credits differ":   document("R", "USD", debit+`,{"AccountCode":"1050","Credit":1.11}`),
		"less than two lines":         document("R", "USD", debit),
		"has no account":              document("R", "USD", credit+`,{"Debit":1.10}`),
		"line 2: has to have a debit": document("R", "USD", debit+`,{"AccountCode":"1050","Debit":1,"Credit":1}`),
		"line 1: has to have a debit": document("R", "USD", `{"AccountCode":"1050"},`+debit),
		"a debit or a credit":         document("R", "USD", debit+`,{"AccountCode":"1050","Debit":-1.10}`),
		"finer":                       document("R", "JPY", debit+","+credit),
		"1 to 30":                     document(strings.Repeat("R", 31), "USD", debit+","+credit),
		"currency":                    document("R", "", debit+","+credit),
		"shape":                       `{"Lines":"none"}`,
	} {
		_, err := settlement.Entry([]byte(body), "")
		require.ErrorContains(t, err, want)
	}
}

func TestCorrectionsStayInTheirCurrency(t *testing.T) {
	_, _, err := settlement.Correction(canonical.JournalEntry{Currency: "USD"}, []canonical.JournalEntry{{Currency: "EUR"}}, "R")
	require.ErrorContains(t, err, "another currency")
}

// Whatever suffix the settings take: invoices have numbers of their own that payables keep.
func TestFeeReferencesFitAndDiffer(t *testing.T) {
	for want, of := range map[string]struct {
		merchant   string
		correction int
	}{
		"CYBFEE20260728USD": {"", 0}, "CYBFEE20260728USD-12": {"", 12}, "CYBFEE20260728USD-EU": {"EU", 0},
		"CF260728USD-EU-1": {"EU", 1}, "CF260728USD-E-1": {"E", 1}, "CF260728USD-EUROPE": {"EUROPE", 0}, "CF260728USD-EUROPE-9": {"EUROPE", 9},
	} {
		got, err := settlement.FeeReference(today, "USD", of.merchant, of.correction)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (string, string) {
			merchant := rapid.StringMatching(`([A-Z][A-Z0-9]{0,5})?`).Draw(t, name)
			date := rapid.SampledFrom([]string{today, yesterday, "2026-08-27"}).Draw(t, name+" date")
			correction := rapid.IntRange(0, 9).Draw(t, name+" correction")
			got, err := settlement.FeeReference(date, "USD", merchant, correction)
			require.NoError(t, err)
			require.LessOrEqual(t, len(got), 20)
			return fmt.Sprint(date, merchant, "/", correction), got
		}
		one, name := draw("one")
		other, otherName := draw("other")
		require.Equal(t, one == other, name == otherName)
	})
}
