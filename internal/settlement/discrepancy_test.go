package settlement_test

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/settlement"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(name, got, 0o600))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// troubledDay has one difference of each state.
func troubledDay(t *testing.T) outcome {
	t.Helper()
	journal, sources := exampleDay()
	ops := journal.operations
	ops[0].Amount.Amount = amount("250.00")
	ops[1].Amount.Currency = "EUR"
	ops[2].Kind = settlement.Refund
	ops[3].SettledOn = yesterday
	ops[4].At = during("2026-07-25")
	journal.operations = append(journal.operations, capture("7000000000000000000900", "WEB-900", "77.70", "USD"))
	extra := capture("7000000000000000000901", `=HYPERLINK("x")<script>alert(1)</script>`, "12.34", "USD")
	sources[0].body += batchReport([]line{rowOf(extra), rowOf(ops[5])})[strings.Index(batchReport(nil), "MerchantDefinedData1\n")+len("MerchantDefinedData1\n"):]
	sources = append(sources, source{"payment-batch-summaries", "json", `{"paymentBatchSummaries":[{"currencyCode":"USD","salesCount":48,"salesAmount":"12480.00","creditCount":3,"creditAmount":"635.50"}]}`})
	return work(t, defaults(), journal, sources...)
}

func TestTheReportOfATroubledDay(t *testing.T) {
	out := troubledDay(t)
	var b bytes.Buffer
	report, err := settlement.NewDifferencesCSV(&b, today, merchant)
	require.NoError(t, err)
	for _, d := range out.differences {
		require.NoError(t, report.Difference(d))
	}
	require.NoError(t, report.Flush())
	golden(t, "differences.golden.csv", b.Bytes())
	records, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 1+len(out.differences))
	for _, record := range records[1:] {
		require.False(t, strings.HasPrefix(record[11], "="), "no formula of the outside")
	}
}

func TestThePageOfATroubledDay(t *testing.T) {
	out := troubledDay(t)
	entry, posted := mapped(t, loadMappings(t), settlement.ModeDetail, out.result.Settlements()[0], nil)
	require.True(t, posted)
	day := usual()
	day.Sales.Amount = amount("9000")
	var b bytes.Buffer
	page := settlement.Page{
		Result: out.result, Journals: []settlement.PageJournal{{JournalEntry: entry, Number: "000123"}}, Status: "posted", CSV: "/v1/settlements/2026-07-28/differences.csv",
		Invoices: []settlement.PageInvoice{{Number: "CYBFEE20260728USD", Amount: money("387.18", "USD")}},
		Notes:    []string{"FundingDetailReport_Daily was not there in time."},
		Findings: settlement.Anomalies(history(30), day, settlement.AnomalyConfig{}),
	}
	require.NoError(t, page.Write(&b))
	golden(t, "page.golden.html", b.Bytes())
	html := b.String()
	require.NotContains(t, html, "<script")
	require.NotRegexp(t, `(?i)(src|href)\s*=\s*"(https?:|//)`, html, "nothing from outside")
	require.Contains(t, html, "WEB-900")
}

func TestThePageOfACleanDay(t *testing.T) {
	journal, sources := exampleDay()
	out := work(t, defaults(), journal, sources...)
	var b bytes.Buffer
	require.NoError(t, settlement.Page{Result: out.result}.Write(&b))
	require.Contains(t, b.String(), "every row has its operation")
	require.NotContains(t, b.String(), "ERP posting")
}

func TestTheListOnThePageIsBounded(t *testing.T) {
	out := troubledDay(t)
	out.result.Listed = out.result.Listed[:2]
	var b bytes.Buffer
	require.NoError(t, settlement.Page{Result: out.result, CSV: "javascript:alert(1)"}.Write(&b))
	require.Contains(t, b.String(), "more")
	require.NotContains(t, b.String(), `href="javascript`)
}
