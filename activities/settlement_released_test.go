package activities_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/settlement"
)

// byHandRows are the rows of the stored list that tell of what people booked: document and cause.
func (s *settling) byHandRows(t *testing.T, date string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(s.file(t, date, "csv"))).ReadAll()
	require.NoError(t, err)
	var list [][]string
	for _, row := range rows[1:] {
		if row[2] == "booked_by_hand" {
			list = append(list, []string{row[3], row[4], row[6], row[9], row[11], row[17]})
		}
	}
	return list
}

// What finance booked by hand is in the books: shown so everywhere, never posted again, and corrected where rows come late.
func TestWhatFinanceBookedByHandIsNeverPostedAgain(t *testing.T) {
	s := newSettling(t)
	_, left := s.sell(t, "22.00", "USD")
	s.sell(t, "11.00", "USD")
	date := s.today()
	s.settle(t, date, map[string]any{"missing": []string{left}})
	s.policy.Fees = settlement.FeesAsInvoice
	day := s.reconcile(t, date)
	require.Len(t, day.Plans, 1)
	require.False(t, day.Posted)
	plan := day.Plans[0]
	by := settlement.HandBooking{Actor: "fiona", Reason: "the period is closed", Reference: "M-17", At: s.clock.Now()}
	unnumbered := by
	unnumbered.Reference = ""
	in := activities.RecordPostingInput{Merchant: merchant, Date: date, Plan: plan, JournalByHand: &by}
	for range 2 { // the local activity is repeated
		require.NoError(t, s.steps.RecordPosting(t.Context(), in))
		in.InvoiceByHand = &unnumbered
	}
	s.record(t, date, activities.SettlementPosted, "booked by hand")

	journalRow := []string{"journal", "USD", "11.00", plan.Journal.Reference, "M-17", by.String()}
	invoiceRow := []string{"fee_invoice", "USD", plan.Invoice.Amount.Amount.StringFixed(2), plan.Invoice.Number, "", unnumbered.String()}
	require.Equal(t, [][]string{journalRow, invoiceRow}, s.byHandRows(t, date))
	page := s.file(t, date, "html")
	require.Contains(t, page, "<strong>booked by hand by fiona on "+date+" as M-17: the period is closed</strong>")
	require.Contains(t, page, "<strong>"+unnumbered.String()+"</strong>")
	require.NotContains(t, page, "not posted yet")
	audit, err := s.store.Audit(t.Context(), "")
	require.NoError(t, err)
	var booked []string
	for _, entry := range audit {
		if done := entry.Action; done != nil && done.Action == "settlement.booked_by_hand" {
			booked = append(booked, done.Actor+" "+done.Detail["document"]+" "+done.Detail["reference"])
		}
	}
	require.ElementsMatch(t, []string{"fiona " + plan.Journal.Reference + " M-17", "fiona " + plan.Invoice.Number + " "}, booked)

	again := s.settled(t, date)
	require.Empty(t, again.Plans)
	require.True(t, again.Posted)
	require.Equal(t, [][]string{journalRow, invoiceRow}, s.byHandRows(t, date), "each once, however often the day is run")

	s.settle(t, date, nil) // whole now
	late := s.settled(t, date)
	require.Len(t, late.Plans, 1)
	require.Equal(t, plan.Journal.Reference+"-1", late.Plans[0].Journal.Reference, "on top of what they booked")
	require.Equal(t, plan.Invoice.Number+"-1", late.Plans[0].Invoice.Number)
	require.Equal(t, "-33.00", s.books(t, date)["USD 1050"])
	require.Empty(t, s.settled(t, date).Plans)
}

// A rerun that is given up takes nothing out of the ledger: the day stays posted.
func TestADayThatWasPostedIsNeverShownUnposted(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	date := s.today()
	s.settle(t, date, nil)
	s.settled(t, date)
	state := func() (string, string) {
		record, err := s.store.SettlementDay(t.Context(), merchant, date)
		require.NoError(t, err)
		return record.State, record.Why
	}
	s.record(t, date, activities.SettlementWaiting, "for the reports")
	now, _ := state()
	require.Equal(t, "waiting", now, "where the run stands")
	s.record(t, date, activities.SettlementUnposted, "Not approved: too early")
	now, why := state()
	require.Equal(t, []string{"posted", "what was posted before stays; the last run posted nothing: Not approved: too early"}, []string{now, why})
	require.Contains(t, s.file(t, date, "html"), "Status: <strong>posted: what was posted before stays")
}

// feeReports has the gateway's fee file say what the test says, whatever the day.
func feeReports(s *settling) (say func(rows ...string)) {
	const header = "demo_mid,FeeDetailReport_Daily,FeeDetail,1\nRequestID,TotalFeeAmount,TotalFeeCurrency\n"
	fees := header
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{feeFile: func(string) string { return fees }}}
	return func(rows ...string) {
		fees = header + strings.Join(rows, "\n")
		if len(rows) > 0 {
			fees += "\n"
		}
	}
}

// A fee that a day marked and did not post is counted by the next day that shows it, and then by no other.
func TestAFeeOfADayThatWasGivenUpIsCountedAgain(t *testing.T) {
	s := newSettling(t)
	say := feeReports(s)
	s.sell(t, "11.00", "USD")
	given := s.today()
	s.settle(t, given, nil)
	say("7,1.00,USD")
	s.record(t, given, activities.SettlementWaiting, "")
	s.reconcile(t, given)
	s.record(t, given, activities.SettlementUnposted, "Not approved: too early")

	s.clock.Advance(24 * time.Hour)
	next := s.today()
	s.sell(t, "5.00", "USD")
	s.settle(t, next, nil)
	say("7,1.00,USD", "8,2.00,USD")
	s.record(t, next, activities.SettlementWaiting, "")
	day := s.settled(t, next)
	require.Empty(t, s.differences(t, next), day.Why)
	require.Equal(t, "3.00", s.books(t, next)["USD 6100"])

	say("7,1.00,USD")
	s.settled(t, given)
	require.Equal(t, []string{"duplicate 7"}, s.differences(t, given))
	require.NotContains(t, s.books(t, given), "USD 6100", "it is in the next day's books")
	require.Equal(t, "-11.00", s.books(t, given)["USD 1050"], "the rest of the day is its own")
}

// A fee that a report shows no more is taken out of the day's books, and counted where it went.
func TestAFeeThatMovesToAnotherDayIsCountedThere(t *testing.T) {
	s := newSettling(t)
	say := feeReports(s)
	s.sell(t, "11.00", "USD")
	first := s.today()
	s.settle(t, first, nil)
	say("7,1.00,USD")
	s.record(t, first, activities.SettlementWaiting, "")
	s.settled(t, first)
	require.Equal(t, "1.00", s.books(t, first)["USD 6100"])
	say()

	// While the rerun waits, the fee is still in the day's books: no other day takes it.
	s.record(t, first, activities.SettlementWaiting, "")
	correction := s.reconcile(t, first)
	s.record(t, first, activities.SettlementApproval, "")
	s.clock.Advance(24 * time.Hour)
	next := s.today()
	s.sell(t, "5.00", "USD")
	s.settle(t, next, nil)
	say("7,1.00,USD")
	s.record(t, next, activities.SettlementWaiting, "")
	s.reconcile(t, next)
	require.Equal(t, []string{"duplicate 7"}, s.differences(t, next))

	s.post(t, first, correction)
	require.NotContains(t, s.books(t, first), "USD 6100")
	s.settled(t, next)
	require.Empty(t, s.differences(t, next))
	require.Equal(t, "1.00", s.books(t, next)["USD 6100"])
}
