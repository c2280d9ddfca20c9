package activities_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/settlement"
)

// A file has no word for what became of a case: it shows the case's row once more, with who won it.
func TestADisputeHearsOfItsEndByTheSameRow(t *testing.T) {
	s := newSettling(t)
	const header = "demo_mid,ChargebackAndRetrievalDetailReport_Daily,ChargebackAndRetrievalDetail,1\n" +
		"MerchantReferenceNumber,RequestID,CaseNumber,CaseType,TransactionType,FinancialImpact,FinancialImpactType,ChargebackTime,ChargebackAmount,ChargebackCurrency,ResolvedToIndicator\n"
	row := "WEB-1,7,CB-1,Chargeback,Chargeback,Y,debit,2026-07-28T00:00:00Z,20.00,USD,"
	resolved := ""
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{chargebackFile: func(string) string { return header + row + resolved + "\n" }}}
	for range 2 {
		aFullDay(t, s)
		s.settled(t, s.today())
		s.clock.Advance(24 * time.Hour)
		resolved = "B"
	}
	var outcomes []activities.ChargebackOutcome
	for _, item := range s.inbox(t) {
		stored, err := s.store.Event(t.Context(), item.ID)
		require.NoError(t, err)
		var dispute activities.Dispute
		require.NoError(t, json.Unmarshal(stored.Body, &dispute))
		outcomes = append(outcomes, dispute.Outcome)
	}
	require.ElementsMatch(t, []activities.ChargebackOutcome{activities.ChargebackOpen, activities.ChargebackLost}, outcomes)
	require.NotContains(t, s.books(t, s.clock.Now().AddDate(0, 0, -1).Format(time.DateOnly)), "USD 1210", "its money was taken once")
}

// Where disputes come by file, a query that stands in for the file of one day does not reach back into days whose files have told theirs: file and
// query name the actions of a case each in words of their own.
func TestAQueryInPlaceOfAFileTellsOfItsDayOnly(t *testing.T) {
	s := newSettling(t)
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{chargebackFile: func(file string) string {
		return strings.ReplaceAll(file, ",Open,", ",First Chargeback,")
	}}}
	_, before := s.sell(t, "100.00", "USD")
	_, on := s.sell(t, "50.00", "USD")
	s.settle(t, s.today(), nil)
	s.dispute(t, map[string]any{"id": before, "amount": "20.00"})
	s.settle(t, s.today(), nil)
	s.settled(t, s.today())
	require.Equal(t, "20.00", s.books(t, s.today())["USD 1210"])

	s.clock.Advance(24 * time.Hour)
	s.sell(t, "30.00", "USD")
	s.dispute(t, map[string]any{"id": on, "amount": "5.00"})
	s.settle(t, s.today(), map[string]any{"failedReports": []string{chargebackFile}})
	day := s.settled(t, s.today())
	require.Equal(t, settlement.Clean, day.Outcome, day.Why)
	require.NotZero(t, s.asked(t, "/reporting/v3/chargeback-details"))
	require.Equal(t, "5.00", s.books(t, s.today())["USD 1210"], "the other dispute is booked")
}

// A file need not have the merchant's references: the transaction tells whose payment is disputed, as it does for any other row.
func TestADisputeFindsItsOrderByTheTransaction(t *testing.T) {
	for name, column := range map[string]string{"without references": "Novelty", "with the processor's": "MerchantReferenceNumber"} {
		t.Run(name, func(t *testing.T) {
			s := newSettling(t)
			s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{chargebackFile: func(file string) string {
				return strings.ReplaceAll(strings.Replace(file, "MerchantReferenceNumber", column, 1), "WEB-", "ACQ-")
			}}}
			orderID, transaction := s.sell(t, "100.00", "USD")
			s.settle(t, s.today(), nil)
			s.dispute(t, map[string]any{"id": transaction, "amount": "20.00"})
			s.settle(t, s.today(), nil)
			s.reconcile(t, s.today())
			items := s.inbox(t)
			require.Len(t, items, 1)
			require.Equal(t, orderID, items[0].OrderID)
		})
	}
}

// Evidence is due by a date: where that can't be read, nobody is reminded of it, so that finance has to hear.
func TestADateOfEvidenceThatCannotBeReadIsTold(t *testing.T) {
	s := newSettling(t)
	due := regexp.MustCompile(`,(20\d\d)-(\d\d)-(\d\d),`)
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{chargebackFile: func(file string) string {
		return due.ReplaceAllString(file, ",$2/$3/$1,")
	}}}
	aFullDay(t, s)
	day := s.settled(t, s.today())
	require.Equal(t, []string{"chargeback_detail: RespondByDate (has dates that can't be read)"}, day.Drift)
	require.Contains(t, s.notices(t)[0].Text, "RespondByDate")
	require.Contains(t, s.file(t, s.today(), "html"), "RespondByDate")
}
