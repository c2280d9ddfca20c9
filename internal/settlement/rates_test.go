package settlement_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
)

func TestConvertRoundsToTheCurrency(t *testing.T) {
	rates := settlement.FixedRates{"EUR/USD": amount("1.0835"), "USD/JPY": amount("151.237"), "USD/KWD": amount("0.30715")}
	for _, c := range []struct{ from, to, want string }{
		{"10.00 EUR", "USD", "10.84 USD"}, {"-10.00 EUR", "USD", "-10.84 USD"}, {"0.01 USD", "JPY", "2 JPY"}, {"1.00 USD", "KWD", "0.307 KWD"}, {"5.00 USD", "USD", "5.00 USD"},
	} {
		value, code, _ := strings.Cut(c.from, " ")
		got, err := settlement.Convert(money(value, code), c.to, today, rates)
		require.NoError(t, err)
		require.Equal(t, c.want, got.String())
	}
	_, err := settlement.Convert(money("1", "USD"), "EUR", today, rates)
	require.ErrorIs(t, err, settlement.ErrNoRate, "no rate is made up by inverting another")
	_, err = settlement.Convert(money("1", "USD"), "XXY", today, rates)
	require.Error(t, err)
}

func TestDatedRates(t *testing.T) {
	rates, err := settlement.ReadRates(strings.NewReader("date,from,to,rate\n2026-07-27,EUR,USD,1.09\n2026-07-20,EUR,USD,1.08\n2026-07-28,USD,JPY,151.2\n"))
	require.NoError(t, err)
	for date, want := range map[string]string{"2026-07-20": "1.08", "2026-07-26": "1.08", "2026-07-27": "1.09", "2026-08-03": "1.09", "2026-08-04": "", "2026-07-19": "", "no date": ""} {
		rate, err := rates.Rate("EUR", "USD", date)
		if want == "" {
			require.Error(t, err, date)
			continue
		}
		require.NoError(t, err, date)
		require.Equal(t, want, rate.String(), date)
	}
	same, err := rates.Rate("CHF", "CHF", today)
	require.NoError(t, err)
	require.Equal(t, "1", same.String())
	_, err = rates.Rate("CHF", "USD", today)
	require.ErrorIs(t, err, settlement.ErrNoRate)
	for want, body := range map[string]string{
		"first line":      "from,to,rate,date\n",
		"line 2: the dat": "date,from,to,rate\n28.7.2026,EUR,USD,1\n",
		"currency":        "date,from,to,rate\n2026-07-28,EURO,USD,1\n",
		"above zero":      "date,from,to,rate\n2026-07-28,EUR,USD,-1\n",
		"decimal number":  "date,from,to,rate\n2026-07-28,EUR,USD,1e9\n",
		"has two on":      "date,from,to,rate\n2026-07-28,EUR,USD,1\n2026-07-28,EUR,USD,2\n",
		"wrong number":    "date,from,to,rate\n2026-07-28,EUR,USD\n",
	} {
		_, err := settlement.ReadRates(strings.NewReader(body))
		require.ErrorContains(t, err, want)
	}
}

func TestQuotedRatesFollowTheRulesOfAFile(t *testing.T) {
	quoted := func(from, date, rate string) settlement.QuotedRate {
		return settlement.QuotedRate{From: from, To: "USD", Date: date, Rate: amount(rate)}
	}
	rates, err := settlement.QuotedRates([]settlement.QuotedRate{quoted("EUR", "2026-07-27", "1.09"), quoted("JPY", "2026-01-02", "0.0065")})
	require.NoError(t, err)
	rate, err := rates.Rate("EUR", "USD", "2026-08-03")
	require.NoError(t, err)
	require.Equal(t, "1.09", rate.String())
	for pair, date := range map[string]string{"EUR": "2026-08-04", "JPY": "2026-07-27", "GBP": "2026-07-27"} {
		_, err = rates.Rate(pair, "USD", date)
		require.ErrorIs(t, err, settlement.ErrNoRate, pair)
	}
	for want, bad := range map[string][]settlement.QuotedRate{
		"EUR/USD: the rate has to be a decimal number above zero": {quoted("EUR", "2026-07-27", "0")},
		"EUR/USD: the date has to be YYYY-MM-DD":                  {quoted("EUR", "", "1")},
		"EUR/USD has two on 2026-07-27":                           {quoted("EUR", "2026-07-27", "1"), quoted("EUR", "2026-07-27", "2")},
	} {
		_, err := settlement.QuotedRates(bad)
		require.ErrorContains(t, err, want)
	}
	none, err := settlement.QuotedRates(nil)
	require.NoError(t, err)
	_, err = none.Rate("EUR", "USD", "2026-07-27")
	require.ErrorIs(t, err, settlement.ErrNoRate)
}

// Whatever is converted: the lines and the exchange line add up to what was paid, or to the converted net.
func TestConvertedSettlementsAddUp(t *testing.T) {
	categories := []canonical.SettlementCategory{canonical.SettlementSale, canonical.SettlementRefund, canonical.SettlementFee, canonical.SettlementChargebackReversal, canonical.SettlementDeposit}
	rapid.Check(t, func(t *rapid.T) {
		s := canonical.Settlement{Date: today, Currency: "EUR"}
		net := decimal.Zero
		for range rapid.IntRange(0, 8).Draw(t, "lines") {
			line := canonical.SettlementLine{Category: rapid.SampledFrom(categories).Draw(t, "category"), Amount: decimal.New(rapid.Int64Range(0, 99_999).Draw(t, "amount"), -2)}
			s.Lines = append(s.Lines, line)
			switch settlement.WayOf(line.Category) {
			case settlement.Income:
				net = net.Add(line.Amount)
			case settlement.Expense:
				net = net.Sub(line.Amount)
			default:
			}
		}
		to := rapid.SampledFrom([]string{"USD", "JPY", "KWD"}).Draw(t, "to")
		rates := settlement.FixedRates{"EUR/" + to: decimal.New(rapid.Int64Range(1, 2_000_000).Draw(t, "rate"), -4)}
		wanted, err := settlement.Convert(canonical.NewMoney(net, "EUR"), to, today, rates)
		require.NoError(t, err)
		paid := canonical.Money{}
		if rapid.Bool().Draw(t, "paid") {
			wanted.Amount = wanted.Amount.Add(decimal.New(rapid.Int64Range(-500, 500).Draw(t, "spread"), -places(to)))
			paid = wanted
		}
		converted, err := settlement.ConvertSettlement(s, to, paid, rates)
		require.NoError(t, err)
		sum := decimal.Zero
		for _, line := range converted.Lines {
			require.False(t, line.Amount.IsNegative())
			require.True(t, line.Amount.Equal(canonical.RoundAmount(line.Amount, to)))
			switch settlement.WayOf(line.Category) {
			case settlement.Income:
				sum = sum.Add(line.Amount)
			case settlement.Expense:
				sum = sum.Sub(line.Amount)
			default:
			}
		}
		require.True(t, sum.Equal(wanted.Amount), "%s, want %s", sum, wanted)
		require.Equal(t, to, converted.Currency)
	})
	_, err := settlement.ConvertSettlement(canonical.Settlement{Currency: "EUR"}, "USD", money("1", "EUR"), settlement.FixedRates{})
	require.ErrorContains(t, err, "another currency")
	_, err = settlement.ConvertSettlement(canonical.Settlement{Currency: "EUR", Lines: []canonical.SettlementLine{{Category: canonical.SettlementSale}}}, "USD", canonical.Money{}, settlement.FixedRates{})
	require.ErrorIs(t, err, settlement.ErrNoRate)
}
