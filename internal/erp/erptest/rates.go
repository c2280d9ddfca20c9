package erptest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func (s *stage) testExchangeRates(t *testing.T) {
	rates, has := s.Port.(erp.RatePort)
	if !has {
		t.Skip("this adapter has no exchange rates")
	}
	require.NotNil(t, s.SetRate)
	// Long before anything else, so that a company in use is none the wiser.
	s.SetRate(t, "CHF", "2001-03-01", "0.5981")
	s.SetRate(t, "CHF", "2001-03-10", "0.6012")
	ctx := s.ctx(t)
	for date, want := range map[string][2]string{
		"2001-02-28": {},
		"2001-03-01": {"2001-03-01", "0.5981"},
		"2001-03-09": {"2001-03-01", "0.5981"},
		"2001-03-10": {"2001-03-10", "0.6012"},
		"2001-05-01": {"2001-03-10", "0.6012"},
	} {
		found, err := rates.ExchangeRates(ctx, s.Company.Currency, date)
		require.NoError(t, err)
		var got [2]string
		for i, rate := range found {
			require.Equal(t, s.Company.Currency, rate.To)
			require.NotEqual(t, rate.To, rate.From)
			require.True(t, rate.Rate.IsPositive())
			require.LessOrEqual(t, rate.Date, date)
			require.False(t, slices.ContainsFunc(found[:i], func(other erp.Rate) bool { return other.From == rate.From }), "one of each currency")
			if rate.From == "CHF" {
				got = [2]string{rate.Date, rate.Rate.String()}
			}
		}
		require.Equal(t, want, got, date)
	}
	_, err := rates.ExchangeRates(ctx, s.Company.Currency, "today")
	requireKind(t, err, fault.Value)
	unreachable, has := s.Unreachable.(erp.RatePort)
	require.True(t, has)
	_, err = unreachable.ExchangeRates(ctx, s.Company.Currency, s.Company.Today)
	requireKind(t, err, fault.Connection)
}
