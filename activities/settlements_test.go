package activities_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// aFullDay has a row of every category, and gives the order and transaction that are disputed.
func aFullDay(t *testing.T, s *settling) (orderID, transaction string) {
	t.Helper()
	orderID, transaction = s.sell(t, "100.00", "USD")
	returned, _ := s.sell(t, "250.00", "USD")
	s.giveBack(t, returned, "R-1", "35.50", "USD")
	undone, _ := s.sell(t, "80.00", "USD")
	s.giveBack(t, undone, "R-2", "80.00", "USD") // voided: it never settles
	s.settle(t, s.today(), nil)
	s.dispute(t, map[string]any{"id": transaction, "amount": "20.00", "fee": "15.00"})
	s.dispute(t, map[string]any{"id": transaction, "kind": "retrieval", "amount": "5.00"})
	s.dispute(t, map[string]any{"id": transaction, "action": "won"})
	s.settle(t, s.today(), nil)
	return orderID, transaction
}

// fees of the full day, by the rules of the stand-in: 1.51 % and 0.20 % of each sale and 15 cents, 5 cents for the refund.
const fullDayFees = "6.34" // 1.51+0.20+0.15, 3.78+0.50+0.15 and 0.05

func TestACleanDayEqualsTheLedger(t *testing.T) {
	s := newSettling(t)
	orderID, transaction := aFullDay(t, s)
	date := s.today()
	day := s.reconcile(t, date)
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	require.Empty(t, s.differences(t, date))
	require.Zero(t, day.Differences)
	require.Empty(t, day.Drift)
	require.Empty(t, day.Waiting)
	require.Len(t, day.Plans, 1)
	require.Equal(t, "CYB"+strings.ReplaceAll(date, "-", "")+"USD", day.Plans[0].Journal.Reference)
	s.post(t, date, day)
	require.Equal(t, map[string]string{
		"USD 1050": "-334.50", // 350.00 of captures less 35.50, as the receipts have it, and the 20.00 that the won dispute brings back there
		"USD 1210": "20.00",   // which stay disputed until the process of the dispute books its end
		"USD 6100": fullDayFees, "USD 6120": "15.00",
		"USD 1010": "293.16", // what the acquirer owes for the day is in the bank at once, so that nothing is in transit
	}, s.books(t, date))

	record, err := s.store.SettlementDay(t.Context(), merchant, date)
	require.NoError(t, err)
	var document activities.SettlementDocument
	require.NoError(t, json.Unmarshal(record.Result, &document))
	usd := document.Currencies[0]
	require.True(t, usd.Net.Equal(usd.Deposited), "the gateway's own deposit is the net of the day: %s, %s", usd.Net, usd.Deposited)
	require.Len(t, document.Reports, 5, "batch, fees, disputes, the deposit, and the totals")
	require.NotEmpty(t, document.Reports[0].SHA256)
	page := s.file(t, date, "html")
	require.Contains(t, page, "every row has its operation")
	require.Contains(t, page, "posted as JN-CYB")
	require.NotContains(t, page, "not posted yet")
	require.Empty(t, s.notices(t), "nobody is told of a day that matches")

	payment, err := s.store.Payment(t.Context(), orderID)
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentSettled, payment.Status)
	paid, err := s.steps.SettledOrders(t.Context(), activities.SettledPageInput{Merchant: merchant, Date: date, Limit: 10})
	require.NoError(t, err)
	require.Len(t, paid.Orders, 1, "the order with a refund is not paid")
	require.Equal(t, transaction, paid.Orders[0].TransactionID)
}

func TestTheSameDayAgainPlansNothing(t *testing.T) {
	s := newSettling(t)
	aFullDay(t, s)
	date := s.today()
	first := s.settled(t, date)
	before := s.books(t, date)
	for range 2 {
		again := s.settled(t, date)
		require.Empty(t, again.Plans)
		require.Equal(t, first.Rows, again.Rows)
		require.Equal(t, first.Matched, again.Matched)
	}
	require.Equal(t, before, s.books(t, date))
	record, err := s.store.SettlementDay(t.Context(), merchant, date)
	require.NoError(t, err)
	require.Equal(t, 3, record.Runs)

	// The next day's reports show none of it again.
	s.clock.Advance(24 * time.Hour)
	s.settle(t, s.today(), nil)
	next := s.reconcile(t, s.today())
	require.True(t, next.NoData, next.Why)
	require.Empty(t, next.Plans)
}

func TestDisputesReachTheInboxOnce(t *testing.T) {
	for _, byFile := range []bool{true, false} {
		s := newSettling(t)
		_, transaction := aFullDay(t, s)
		if !byFile {
			s.steps.Wanted = s.steps.Wanted[:2]
		}
		s.reconcile(t, s.today())
		s.reconcile(t, s.today())
		items := s.inbox(t)
		require.Len(t, items, 3, "a chargeback, its end, and a request for documents")
		byOutcome := map[activities.ChargebackOutcome]activities.Dispute{}
		retrievals := 0
		for _, item := range items {
			stored, err := s.store.Event(t.Context(), item.ID)
			require.NoError(t, err)
			require.Equal(t, activities.DisputeEventType, stored.EventType)
			var dispute activities.Dispute
			require.NoError(t, json.Unmarshal(stored.Body, &dispute))
			require.Equal(t, dispute.Case.ID, stored.ResourceID)
			require.Equal(t, transaction, dispute.Case.TransactionID)
			require.Equal(t, "WEB-1", dispute.Case.Reference)
			if dispute.Case.Retrieval {
				retrievals++
				continue
			}
			byOutcome[dispute.Outcome] = dispute
		}
		require.Equal(t, 1, retrievals)
		require.Equal(t, "20.00", byOutcome[activities.ChargebackOpen].Case.Amount.Amount.StringFixed(2))
		require.False(t, byOutcome[activities.ChargebackOpen].Case.RespondBy.IsZero())
		require.True(t, byOutcome[activities.ChargebackOpen].Case.Taken)
		require.False(t, byOutcome[activities.ChargebackWon].Case.Taken, "it came back")
		require.Equal(t, byOutcome[activities.ChargebackOpen].Case.ID, byOutcome[activities.ChargebackWon].Case.ID)
		if byFile {
			require.Equal(t, "15.00", byOutcome[activities.ChargebackOpen].Case.Fee.Amount.StringFixed(2))
			require.Zero(t, s.asked(t, "/reporting/v3/chargeback-details"), "what a file tells is not asked for")
		}
	}
}

// fourDifferences is a day with one row of each kind that is wrong, and gives what its report has to name.
func fourDifferences(t *testing.T, s *settling) []string {
	t.Helper()
	ids := make([]string, 5)
	for i, amount := range []string{"11.00", "22.00", "33.00", "44.00", "55.00"} {
		_, ids[i] = s.sell(t, amount, "USD")
	}
	s.settle(t, s.today(), map[string]any{
		"missing": []string{ids[0]}, "extra": 1, "amountOff": []any{map[string]any{"id": ids[1], "by": "-2.00"}}, "duplicate": []string{ids[2]},
	})
	return []string{"amount_differs " + ids[1], "duplicate " + ids[2], "missing_row " + ids[0], "unknown_row 9"}
}

func TestTheReportNamesExactlyWhatIsWrong(t *testing.T) {
	s := newSettling(t)
	want := fourDifferences(t, s)
	date := s.today()
	day := s.reconcile(t, date)
	require.Equal(t, settlement.Parked, day.Outcome)
	require.Equal(t, 4, day.Differences)
	require.Empty(t, day.Plans, "nothing is posted until somebody decides")
	require.Equal(t, "12.00 USD unexplained, 1 missing row, 1 unknown row, 1 amount differs, 1 duplicate", day.Why)
	found := s.differences(t, date)
	require.Len(t, found, 4)
	for i, name := range want {
		require.True(t, strings.HasPrefix(found[i], name), "%s, %s", found[i], name)
	}
	s.record(t, date, activities.SettlementMismatch, day.Why)
	page := s.file(t, date, "html")
	for _, name := range want[:3] {
		_, id, _ := strings.Cut(name, " ")
		require.Equal(t, 1, strings.Count(page, "<code>"+id+"</code>"), name)
	}
	require.Contains(t, page, "Status: <strong>mismatch: 12.00 USD unexplained")
	require.Contains(t, page, ">WEB-2<")
	require.Empty(t, s.notices(t), "the parked step tells of a mismatch")
}

// A parked day keeps what it takes, and what a person decides against is not posted; a later run posts all of it, once.
func TestAParkedDayIsPostedByALaterRun(t *testing.T) {
	s := newSettling(t)
	fourDifferences(t, s)
	date := s.today()
	s.reconcile(t, date)
	s.record(t, date, activities.SettlementUnposted, "Not posted: the bank looks into it")
	require.Empty(t, s.books(t, date))
	require.Contains(t, s.file(t, date, "html"), "unposted: Not posted")
	notices := s.notices(t)
	require.Len(t, notices, 1)
	require.Equal(t, journal.AudienceFinance, notices[0].Audience)
	require.Equal(t, activities.NoticeSettlementReport, notices[0].Kind)
	require.Contains(t, notices[0].Text, "4 differences")
	require.Equal(t, "/v1/settlements/"+date+"/discrepancies?merchant="+merchant, notices[0].Link)

	s.policy.Mismatch = settlement.PolicySuspense
	day := s.settled(t, date)
	require.Equal(t, settlement.Suspended, day.Outcome)
	require.Equal(t, 0, day.Plans[0].Sequence)
	books := s.books(t, date)
	require.Equal(t, "-154.00", books["USD 1050"], "165.00 less the row that is missing")
	require.Equal(t, "-8.00", books["USD 1999"], "10.00 too much, 2.00 too little")
	require.Empty(t, s.settled(t, date).Plans)
	require.Len(t, s.notices(t), 1, "of the posted day, once")
}

func TestLateRowsMakeACorrection(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	_, left := s.sell(t, "22.00", "USD")
	date := s.today()
	s.settle(t, date, map[string]any{"missing": []string{left}})
	first := s.settled(t, date)
	require.Equal(t, 1, first.Differences)
	require.Equal(t, "-11.00", s.books(t, date)["USD 1050"])

	s.settle(t, date, nil) // the report is made anew, and whole
	second := s.settled(t, date)
	require.Zero(t, second.Differences)
	require.Len(t, second.Plans, 1)
	require.Equal(t, 1, second.Plans[0].Sequence)
	require.Equal(t, first.Plans[0].Journal.Reference+"-1", second.Plans[0].Journal.Reference)
	require.Equal(t, "-33.00", s.books(t, date)["USD 1050"])
	require.Empty(t, s.settled(t, date).Plans)
	page := s.file(t, date, "html")
	require.Contains(t, page, "posted as JN-"+first.Plans[0].Journal.Reference+"-1")
}

func TestARowOfTheDayBeforeIsLate(t *testing.T) {
	s := newSettling(t)
	_, left := s.sell(t, "22.00", "USD")
	s.sell(t, "11.00", "USD")
	before := s.today()
	s.settle(t, before, map[string]any{"missing": []string{left}})
	s.settled(t, before)
	s.clock.Advance(24 * time.Hour)
	s.sell(t, "5.00", "USD")
	s.settle(t, s.today(), map[string]any{"late": []string{left}})
	day := s.settled(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome)
	require.Equal(t, []string{"late " + left}, s.differences(t, s.today()))
	require.Equal(t, "-27.00", s.books(t, s.today())["USD 1050"])
	again := s.reconcile(t, before)
	require.Empty(t, again.Plans, "the day before stays as it was posted")
	require.Zero(t, again.Differences, "its row has come since")
}

// A report that is made anew without a row that was posted takes nothing back by itself: no other day would post the row again.
func TestARowThatVanishesIsADifference(t *testing.T) {
	s := newSettling(t)
	_, gone := s.sell(t, "22.00", "USD")
	s.sell(t, "11.00", "USD")
	date := s.today()
	s.settle(t, date, nil)
	s.steps.Wanted = s.steps.Wanted[:1]
	s.settled(t, date)
	s.settle(t, date, map[string]any{"missing": []string{gone}})
	day := s.reconcile(t, date)
	require.Equal(t, settlement.Parked, day.Outcome)
	require.Equal(t, []string{"missing_row " + gone}, s.differences(t, date))
	require.Empty(t, day.Plans)
	s.policy.Mismatch = settlement.PolicySuspense
	s.settled(t, date)
	require.Equal(t, map[string]string{"USD 1050": "-33.00", "USD 1999": "22.00", "USD 1051": "11.00"}, s.books(t, date))
}

// A currency whose rows were all fees, and are gone, is corrected to nothing.
func TestACurrencyThatVanishesIsCorrected(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	s.settle(t, s.today(), nil)
	header := "demo_mid,FeeDetailReport_Daily,FeeDetail,1\nRequestID,TotalFeeAmount,TotalFeeCurrency\n7,1.00,USD\n"
	fees := header + "8,2.00,EUR\n"
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{feeFile: func(string) string { return fees }}}
	s.settled(t, s.today())
	require.Equal(t, "2.00", s.books(t, s.today())["EUR 6100"])
	fees = header
	day := s.settled(t, s.today())
	require.Len(t, day.Plans, 1)
	require.Equal(t, "EUR", day.Plans[0].Currency)
	require.NotContains(t, s.books(t, s.today()), "EUR 6100")
	require.Empty(t, s.settled(t, s.today()).Plans)
}

func TestFeesAsAnInvoiceOfTheProcessor(t *testing.T) {
	s := newSettling(t)
	aFullDay(t, s)
	date := s.today()
	s.policy.Fees = settlement.FeesAsInvoice
	day := s.settled(t, date)
	invoice := day.Plans[0].Invoice
	require.Equal(t, "CYBFEE"+strings.ReplaceAll(date, "-", "")+"USD", invoice.Number)
	require.Equal(t, "CYBSRC", invoice.Supplier)
	require.Equal(t, "21.34", invoice.Amount.Amount.StringFixed(2), "fees and those of the dispute")
	require.Contains(t, string(invoice.Document.Body), `"InvoiceTotal":21.34`)
	books := s.books(t, date)
	require.Equal(t, "21.34", books["USD 1055"])
	require.NotContains(t, books, "USD 6100")
	require.Equal(t, "293.16", books["USD 1010"])
	require.Contains(t, s.file(t, date, "html"), "AP-"+invoice.Number)
	require.Empty(t, s.settled(t, date).Plans)

	// A fee that comes later is invoiced by itself, and the journal follows.
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{feeFile: func(file string) string {
		lines := strings.SplitAfter(strings.TrimRight(file, "\r\n"), "\n")
		last := lines[len(lines)-1]
		return file + strings.Replace(last, strings.Split(last, ",")[1], "7999999999999999999999", 1) + "\n"
	}}}
	later := s.settled(t, date)
	require.Len(t, later.Plans, 1)
	require.Equal(t, invoice.Number+"-1", later.Plans[0].Invoice.Number)
	require.Equal(t, 1, later.Plans[0].Sequence)
	require.NotNil(t, later.Plans[0].Journal)
	require.Contains(t, string(later.Plans[0].Invoice.Document.Body), `"TransactionCode":"I"`)
	require.Empty(t, s.settled(t, date).Plans)

	// Without invoices from now on, they are credited and the journal books the fees.
	s.policy.Fees = settlement.FeesInJournal
	back := s.settled(t, date)
	require.Contains(t, string(back.Plans[0].Invoice.Document.Body), `"TransactionCode":"C"`)
	require.Equal(t, invoice.Number+"-2", back.Plans[0].Invoice.Number)
	require.NotContains(t, s.books(t, date), "USD 1055")
	require.Empty(t, s.settled(t, date).Plans)
}

func TestCurrenciesAndNegativeDays(t *testing.T) {
	s := newSettling(t)
	yen, _ := s.sell(t, "5000", "JPY")
	s.sell(t, "20.00", "EUR")
	s.sell(t, "10.00", "USD")
	s.settle(t, s.today(), nil)
	day := s.settled(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	require.Len(t, day.Plans, 3, "one journal for each currency")
	books := s.books(t, s.today())
	require.Equal(t, []string{"-5000", "-20.00", "-10.00"}, []string{books["JPY 1050"], books["EUR 1050"], books["USD 1050"]})

	s.clock.Advance(24 * time.Hour)
	s.giveBack(t, yen, "R-1", "3000", "JPY")
	s.settle(t, s.today(), nil)
	day = s.settled(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	books = s.books(t, s.today())
	require.Equal(t, "3000", books["JPY 1050"])
	require.True(t, strings.HasPrefix(books["JPY 1010"], "-"), "the acquirer takes it from the bank: %s", books["JPY 1010"])
}

// A day of as much money in as out has no journal, and needs none.
func TestADayThatAddsUpToNothing(t *testing.T) {
	s := newSettling(t)
	s.steps.Wanted = s.steps.Wanted[:1]
	_, _ = s.sell(t, "30.00", "USD")
	sold, _ := s.sell(t, "30.00", "USD")
	s.settle(t, s.today(), nil)
	s.settled(t, s.today())
	s.clock.Advance(24 * time.Hour)
	s.sell(t, "12.00", "USD")
	s.giveBack(t, sold, "R-1", "12.00", "USD")
	s.settle(t, s.today(), nil)
	day := s.reconcile(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome)
	require.Equal(t, 2, day.Matched)
	require.Empty(t, day.Plans)
}

func TestADayWaitsForItsReports(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	_, err := s.try(s.today())
	failure := requireFault(t, err, fault.Busy, false)
	require.Equal(t, reportPause, failure.NextRetryDelay())
	require.Contains(t, failure.Message(), batchFile)

	s.settle(t, s.today(), map[string]any{"lateReport": map[string]any{"delayMs": time.Hour.Milliseconds()}})
	_, err = s.try(s.today())
	require.Equal(t, cybersource.CodeReportNotReady, code(t, err))
	day := s.reconcile(t, s.today())
	require.Equal(t, 3, day.Matched, "the sale, its fee and the deposit")
	require.Empty(t, day.Waiting)
}

func TestADayGoesOnWithoutWhatDoesNotCome(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	date := s.today()
	s.policy.Patience = 60 * time.Hour // the steps' clock is at noon, Temporal's is not
	s.settle(t, date, map[string]any{"lateReport": map[string]any{"delayMs": (96 * time.Hour).Milliseconds(), "reports": []string{feeFile}}})
	_, err := s.try(date)
	require.Equal(t, cybersource.CodeReportNotReady, code(t, err))
	require.Zero(t, s.asked(t, "/reporting/v3/report-downloads?reportName="+batchFile), "nothing large is read in vain")
	day := s.settled(t, date)
	require.Equal(t, []string{feeFile + " was not there in time"}, day.Waiting)
	require.NotContains(t, s.books(t, date), "USD 6100")
	require.Contains(t, s.file(t, date, "html"), feeFile+" was not there in time")
	notices := s.notices(t)
	require.Len(t, notices, 1)
	require.Contains(t, notices[0].Text, feeFile)

	s.clock.Advance(96 * time.Hour)
	day = s.settled(t, date)
	require.Empty(t, day.Waiting)
	require.Equal(t, "0.34", s.books(t, date)["USD 6100"], "a correction brings the fees")

	// What was read once is never left out again, or it would be taken back.
	s.settle(t, date, map[string]any{"failedReports": []string{feeFile}})
	_, err = s.try(date)
	requireFault(t, err, fault.Conflict, true)
	require.Contains(t, err.Error(), feeFile)
}

func TestWhatTheGatewayCouldNotMake(t *testing.T) {
	s := newSettling(t)
	aFullDay(t, s)
	date := s.today()
	s.settle(t, date, map[string]any{"failedReports": []string{batchFile, chargebackFile, "DepositDetailReport_Daily"}})
	_, err := s.try(date)
	requireFault(t, err, fault.Conflict, true)
	require.Contains(t, err.Error(), batchFile, "there is no day without transactions")

	s.steps.Query = true
	day := s.settled(t, date)
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	require.ElementsMatch(t, []string{
		batchFile + " could not be made by the gateway, and was asked for as a query",
		chargebackFile + " could not be made by the gateway, and was asked for as a query",
	}, day.Waiting, "the funding tells what the deposit does not")
	books := s.books(t, date)
	require.Equal(t, "-334.50", books["USD 1050"])
	require.Equal(t, fullDayFees, books["USD 6100"], "by the file, not by the query again")
	require.Empty(t, s.differences(t, date))
}

func TestEveryFormOfTheBatchReport(t *testing.T) {
	s := newSettling(t)
	aFullDay(t, s)
	for _, wanted := range []activities.WantedReport{
		{Name: batchFile, Kind: report.PaymentBatches, Format: report.CSV},
		{Name: batchFile + "_XML", Kind: report.PaymentBatches, Format: report.XML},
		{Name: batchFile + "_Classic", Kind: report.PaymentBatches, Format: report.CSV},
	} {
		s.steps.Wanted = append([]activities.WantedReport{wanted}, accountReports()[1:]...)
		day := s.settled(t, s.today())
		require.Equal(t, settlement.Clean, day.Outcome, wanted.Name)
		require.Equal(t, "-334.50", s.books(t, s.today())["USD 1050"], wanted.Name)
	}
	postings, err := s.store.Postings(t.Context(), merchant, s.today())
	require.NoError(t, err)
	require.Len(t, postings, 1, "the other forms tell nothing new")
}

func TestReportsThatCannotBeRead(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	date := s.today()
	s.settle(t, date, map[string]any{"truncate": true})
	_, err := s.try(date)
	requireFault(t, err, fault.Value, true)
	require.Equal(t, "REPORT_TRUNCATED", code(t, err))
	require.Contains(t, err.Error(), "report ")

	s.settle(t, date, nil)
	honest := s.steps.Reports
	edit := func(name string, change func(string) string) {
		s.steps.Reports = rewriting{honest, map[string]func(string) string{name: change}}
	}
	edit(batchFile, func(file string) string { return strings.Replace(file, "CurrencyCode", "Curr", 1) })
	_, err = s.try(date)
	failure := requireFault(t, err, fault.Value, true)
	var detail activities.FaultDetail
	require.NoError(t, failure.Details(&detail))
	require.Equal(t, "REPORT_MISSING_COLUMN", detail.Code)
	require.Contains(t, detail.Fields[0].Path, "Currency")

	edit(batchFile, func(file string) string { return strings.Replace(file, "11.00", "11.001", 1) })
	_, err = s.try(date)
	require.Equal(t, "REPORT_MINOR_UNITS", code(t, err))
	require.NotContains(t, err.Error(), "11.001", "never what stands there")

	s.policy.GroupBy = []string{"merchantDefinedData.1"}
	edit(feeFile, func(file string) string {
		return file + file[strings.Index(file, "\n")+1:] // a second header is no row
	})
	_, err = s.try(date)
	requireFault(t, err, fault.Value, true)
	require.Contains(t, err.Error(), feeFile)

	_, err = s.store.SettlementDay(t.Context(), merchant, date)
	require.ErrorIs(t, err, journal.ErrNotFound, "a day that could not be read left nothing")
	edit(batchFile, func(file string) string {
		lines := strings.Split(strings.TrimRight(file, "\r\n"), "\n")
		for i := range lines {
			if end := strings.TrimRight(lines[i], "\r"); i == len(lines)-1 {
				lines[i] = end + ",1"
			} else if strings.Contains(end, "RequestID") {
				lines[i] = end + ",Novelty"
			}
		}
		return strings.Join(lines, "\n") + "\n"
	})
	day := s.settled(t, date)
	require.Equal(t, []string{"payment_batch_detail: Novelty"}, day.Drift)
	require.Contains(t, s.file(t, date, "html"), "Novelty")
	require.Contains(t, s.notices(t)[0].Text, "Novelty", "a person looks at what nobody knows")
}

func TestADryRunWritesTheReportAlone(t *testing.T) {
	s := newSettling(t)
	aFullDay(t, s)
	date := s.today()
	in := s.input(date)
	in.DryRun = true
	day := must(t, s.bank, s.steps.ReconcileDay, in)
	require.Len(t, day.Plans, 1, "what would be posted")
	require.Contains(t, s.file(t, date, "html"), "dry run, nothing is posted")
	require.Contains(t, s.file(t, date, "html"), "not posted yet")
	require.Empty(t, s.differences(t, date))
	_, err := s.store.SettlementDay(t.Context(), merchant, date)
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.Empty(t, s.inbox(t))
	payment, err := s.store.Payment(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentCaptured, payment.Status)
	figures, err := s.store.DayFigures(t.Context(), merchant, "USD", date, "9999-12-31")
	require.NoError(t, err)
	require.Empty(t, figures)
	settled := s.settled(t, date)
	require.Equal(t, day.Plans[0].Journal, settled.Plans[0].Journal)
}

// A worker that dies after it has written down what the day takes leaves a day that the next try works out the same.
func TestADayThatWasCutOffIsTheSameAgain(t *testing.T) {
	whole := newSettling(t)
	aFullDay(t, whole)
	want := whole.reconcile(t, whole.today())

	s := newSettling(t)
	aFullDay(t, s)
	set := s.steps.Mappings
	s.steps.Mappings = nil // it dies behind the marks
	_, err := s.try(s.today())
	require.Error(t, err)
	s.steps.Mappings = set
	payment, err := s.store.Payment(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.PaymentSettled, payment.Status, "the marks were written")
	got := s.reconcile(t, s.today())
	require.Equal(t, want, got)
	require.Len(t, s.inbox(t), 3)
}

func TestSettingsThatADayRefuses(t *testing.T) {
	s := newSettling(t)
	for field, change := range map[string]func(*activities.ReconcileDayInput){
		"timeZone": func(in *activities.ReconcileDayInput) { in.Policy.TimeZone = "Nowhere" },
		"cutoff":   func(in *activities.ReconcileDayInput) { in.Policy.Cutoff = "noon" },
		"date":     func(in *activities.ReconcileDayInput) { in.Date = "28.07.2026" },
	} {
		in := s.input(s.today())
		change(&in)
		_, err := try(s.bank, s.steps.ReconcileDay, in)
		requireFault(t, err, fault.Value, true)
		require.Contains(t, err.Error(), field)
	}
}

// Who is told of a settlement day that waits: finance, and of an outage those who mend it.
func TestFinanceIsToldOfADayThatWaits(t *testing.T) {
	s := newSettling(t)
	ledger := &activities.Ledger{Journal: s.store}
	park := func(id string, class fault.Kind, system string) []string {
		require.NoError(t, ledger.ParkStep(t.Context(), activities.ParkInput{
			ID: id, WorkflowID: "settlement/" + merchant + "/2026-07-28", Step: "mismatch", Class: class, Summary: "the day does not match",
			Answer: &activities.FaultDetail{System: system}, Since: s.clock.Now(),
		}))
		var audiences []string
		for _, notice := range s.notices(t) {
			require.Contains(t, notice.Subject, "settlement/"+merchant+"/2026-07-28 waits")
			audiences = append(audiences, notice.Audience)
		}
		return audiences
	}
	require.Equal(t, []string{journal.AudienceFinance}, park("1", fault.DeclinedByPolicy, "settlement"))
	require.ElementsMatch(t, []string{journal.AudienceIT, journal.AudienceOperator, journal.AudienceFinance}, park("2", fault.Busy, "cybersource"))
	require.ElementsMatch(t, []string{journal.AudienceOperator, journal.AudienceFinance}, park("3", fault.ClosedPeriod, "erp-syspro"))
}

// A ledger of one currency takes days in others at the rates of the day; a rate that nobody has told stops the day, and no money is made up.
func TestOtherCurrenciesReachTheLedgerAtTheirRates(t *testing.T) {
	s := newSettling(t)
	rates := settlement.FixedRates{"JPY/USD": dec("0.0065")}
	s.steps.Rates = func() (settlement.RateSource, error) { return rates, nil }
	s.policy.Ledger = "USD"
	s.sell(t, "5000", "JPY")
	s.sell(t, "20.00", "EUR")
	s.sell(t, "10.00", "USD")
	s.settle(t, s.today(), nil)
	_, err := s.try(s.today())
	refused := requireFault(t, err, fault.MissingReference, true)
	require.ErrorContains(t, refused, "EUR/USD")

	rates["EUR/USD"] = dec("1.0812")
	day := s.reconcile(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	require.Len(t, day.Plans, 3, "one journal for each currency that was settled")
	for _, plan := range day.Plans {
		require.Equal(t, "USD", plan.Journal.Currency)
		require.True(t, plan.Journal.Balanced())
		require.Contains(t, plan.Journal.Reference, plan.Currency)
	}
	s.post(t, s.today(), day)
	require.Equal(t, "-64.12", s.books(t, s.today())["USD 1050"], "5000 JPY are 32.50, 20.00 EUR are 21.62")
	require.Empty(t, s.settled(t, s.today()).Plans, "the day again posts nothing")

	rates["EUR/USD"] = dec("1.09")
	corrected := s.settled(t, s.today())
	require.Len(t, corrected.Plans, 1, "another rate corrects what it changes")
	require.Equal(t, "-64.30", s.books(t, s.today())["USD 1050"])
}
