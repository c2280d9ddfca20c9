package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/settlement"
)

// setRate has the ERP's people write down what a currency costs in US dollars from a date on.
func (b *books) setRate(t *testing.T, currency, date, rate string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/rates", map[string]any{"Currency": currency, "Date": date, "Rate": rate})
}

// TestOtherCurrenciesReachTheLedgerAtTheRatesOfTheERP: the rates of the ERP's own table hold, and those of the settings do not.
func TestOtherCurrenciesReachTheLedgerAtTheRatesOfTheERP(t *testing.T) {
	s, b := newSettling(t), newSageBooks(t, "A100", "1")
	s.steps.Rates = func() (settlement.RateSource, error) {
		return settlement.FixedRates{"EUR/USD": dec("9"), "SEK/USD": dec("9")}, nil
	}
	s.policy.Ledger, s.policy.ErpRates = "USD", true
	s.sell(t, "5000", "JPY")
	s.sell(t, "20.00", "EUR")
	s.sell(t, "10.00", "USD")
	s.settle(t, s.today(), nil)
	day := s.clock.Now()
	ago := func(days int) string { return day.AddDate(0, 0, -days).Format(time.DateOnly) }
	b.setRate(t, "JPY", ago(0), "0.0065")
	b.setRate(t, "EUR", ago(1), "1.0812")
	b.setRate(t, "EUR", ago(0), "1.09")
	b.setRate(t, "EUR", ago(-1), "1.2") // not known on that day
	in := func() activities.ReconcileDayInput {
		in := s.input(s.today())
		in.Rates = must(t, b.bank, b.booking.ExchangeRates, activities.ExchangeRatesInput{Date: in.Date, To: "USD"}).Rates
		return in
	}
	reconciled := must(t, s.bank, s.steps.ReconcileDay, in())
	require.Equal(t, settlement.Clean, reconciled.Outcome, reconciled.Why)
	require.Len(t, reconciled.Plans, 3)
	s.post(t, s.today(), reconciled)
	require.Equal(t, "-64.30", s.books(t, s.today())["USD 1050"], "5000 JPY are 32.50, 20.00 EUR are 21.80")

	b.setRate(t, "EUR", ago(0), "1.0812")
	corrected := must(t, s.bank, s.steps.ReconcileDay, in())
	require.Len(t, corrected.Plans, 1, "another rate corrects what it changes")
	s.post(t, s.today(), corrected)
	require.Equal(t, "-64.12", s.books(t, s.today())["USD 1050"])
}

// TestRateThatTheERPLacksStopsTheDay: none is taken from the settings instead, and an old one does not hold for ever.
func TestRateThatTheERPLacksStopsTheDay(t *testing.T) {
	s, b := newSettling(t), newSageBooks(t, "A100", "1")
	s.steps.Rates = func() (settlement.RateSource, error) { return settlement.FixedRates{"SEK/USD": dec("0.09")}, nil }
	s.policy.Ledger, s.policy.ErpRates = "USD", true
	s.sell(t, "200.00", "SEK")
	s.settle(t, s.today(), nil)
	b.setRate(t, "SEK", s.clock.Now().AddDate(0, 0, -8).Format(time.DateOnly), "0.09")
	with := s.input(s.today())
	with.Rates = must(t, b.bank, b.booking.ExchangeRates, activities.ExchangeRatesInput{Date: s.today(), To: "USD"}).Rates
	for name, in := range map[string]activities.ReconcileDayInput{"no rates": s.input(s.today()), "an old rate": with} {
		_, err := finish(s.bank, s.steps.ReconcileDay, in)
		require.ErrorContains(t, requireFault(t, err, fault.MissingReference, true), "SEK/USD", name)
		require.Equal(t, "NO_RATE", code(t, err), name)
	}
}

func TestRatesThatTheERPDoesNotGive(t *testing.T) {
	sage := newSageBooks(t, "A100", "1")
	asked := activities.ExchangeRatesInput{Date: sage.clock.Now().Format(time.DateOnly), To: "USD"}
	inEuro := asked
	inEuro.To = "EUR"
	_, err := try(sage.bank, sage.booking.ExchangeRates, inEuro)
	requireFault(t, err, fault.Value, true)

	postJSON(t, sage.url+"/_sandbox/faults", map[string]any{"route": "* *", "mode": "busy", "times": 1})
	_, err = try(sage.bank, sage.booking.ExchangeRates, asked)
	requireFault(t, err, fault.Busy, false)
	require.NotEmpty(t, must(t, sage.bank, sage.booking.ExchangeRates, asked).Rates, "the ERP is back")

	syspro := newBooks(t, "A100", "1")
	_, err = try(syspro.bank, syspro.booking.ExchangeRates, asked)
	requireFault(t, err, fault.Bug, true)
	require.ErrorContains(t, err, "erp-syspro can't be asked for exchange rates")
}
