package settlement_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/settlement"
)

// history is n days up to today with sales about 1000.00, refunds of 5 percent, fees of 3, and a chargeback every fifth day.
func history(n int) []settlement.DayFigures {
	days := make([]settlement.DayFigures, n)
	for i := range days {
		sales := decimal.NewFromInt(int64(1000 + (i*37)%101 - 50))
		days[i] = settlement.DayFigures{
			Date: during(today).AddDate(0, 0, i-n).Format(time.DateOnly), Currency: "USD", Sales: settlement.Sum{Count: 50, Amount: sales},
			Refunds: settlement.Sum{Count: 3, Amount: sales.Mul(amount("0.05"))}, Fees: settlement.Sum{Count: 50, Amount: sales.Mul(amount("0.03"))},
			Refunded: []settlement.Refunded{{Who: "customer C-1", Sum: settlement.Sum{Count: 1, Amount: amount("10")}}},
		}
		if i%5 == 0 {
			days[i].Chargebacks = settlement.Sum{Count: 1, Amount: amount("20")}
		}
	}
	return days
}

func usual() settlement.DayFigures {
	return settlement.DayFigures{
		Date: today, Currency: "USD", Sales: settlement.Sum{Count: 50, Amount: amount("1010")}, Refunds: settlement.Sum{Count: 3, Amount: amount("50")}, Fees: settlement.Sum{Count: 50, Amount: amount("30")},
	}
}

func TestAnomalies(t *testing.T) {
	cases := map[string]struct {
		change func(*settlement.DayFigures)
		want   []settlement.AnomalyKind
	}{
		"a usual day": {func(*settlement.DayFigures) {}, nil},
		"a great day": {func(d *settlement.DayFigures) {
			d.Sales.Amount = amount("9000")
			d.Refunds.Amount = amount("450")
			d.Fees.Amount = amount("270")
		}, []settlement.AnomalyKind{settlement.UnusualTotal}},
		"a dead day":             {func(d *settlement.DayFigures) { d.Sales.Amount = decimal.Zero; d.Refunds.Amount = decimal.Zero }, []settlement.AnomalyKind{settlement.UnusualTotal}},
		"many refunds":           {func(d *settlement.DayFigures) { d.Refunds.Amount = amount("400") }, []settlement.AnomalyKind{settlement.UnusualRefundShare}},
		"no refunds":             {func(d *settlement.DayFigures) { d.Refunds.Amount = decimal.Zero }, nil},
		"dear fees":              {func(d *settlement.DayFigures) { d.Fees.Amount = amount("60") }, []settlement.AnomalyKind{settlement.UnusualFeeRate}},
		"cheap fees":             {func(d *settlement.DayFigures) { d.Fees.Amount = amount("10") }, []settlement.AnomalyKind{settlement.UnusualFeeRate}},
		"two chargebacks":        {func(d *settlement.DayFigures) { d.Chargebacks.Count = 2 }, nil},
		"a burst of chargebacks": {func(d *settlement.DayFigures) { d.Chargebacks.Count = 9 }, []settlement.AnomalyKind{settlement.ChargebackBurst}},
		"one customer, many": {func(d *settlement.DayFigures) {
			d.Refunded = []settlement.Refunded{{"customer C-7", settlement.Sum{Count: 6, Amount: amount("49")}}, {"customer C-8", settlement.Sum{Count: 1}}}
		}, []settlement.AnomalyKind{settlement.ManyRefunds}},
		"one customer, two": {func(d *settlement.DayFigures) {
			d.Refunded = []settlement.Refunded{{"customer C-7", settlement.Sum{Count: 2, Amount: amount("49")}}}
		}, nil},
		"a currency without days": {func(d *settlement.DayFigures) { d.Currency = "EUR"; d.Sales.Amount = amount("99999") }, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			day := usual()
			c.change(&day)
			found := settlement.Anomalies(history(30), day, settlement.AnomalyConfig{})
			var kinds []settlement.AnomalyKind
			for _, a := range found {
				kinds = append(kinds, a.Kind)
				require.Equal(t, 30, a.Days)
				require.True(t, a.Score.GreaterThan(amount("3.5")))
				require.NotEmpty(t, a.Text)
			}
			require.Equal(t, c.want, kinds)
		})
	}
}

func TestAnomaliesNeedHistory(t *testing.T) {
	day := usual()
	day.Sales.Amount = amount("90000")
	require.Empty(t, settlement.Anomalies(history(13), day, settlement.AnomalyConfig{}))
	require.Len(t, settlement.Anomalies(history(14), day, settlement.AnomalyConfig{}), 2, "the total, and the fees, which are next to nothing of it")
	require.Empty(t, settlement.Anomalies(history(30), day, settlement.AnomalyConfig{MinDays: 31}))
	later := history(30)
	for i := range later {
		later[i].Date = "2026-08-01"
	}
	require.Empty(t, settlement.Anomalies(later, day, settlement.AnomalyConfig{}), "what came later is no history")
}

func TestSundaysAreHeldAgainstSundays(t *testing.T) {
	days := history(140)
	for i := range days {
		at, err := time.Parse(time.DateOnly, days[i].Date)
		require.NoError(t, err)
		if at.Weekday() == during(today).Weekday() {
			days[i].Sales.Amount = days[i].Sales.Amount.Mul(amount("4"))
			days[i].Refunds.Amount, days[i].Fees.Amount = days[i].Refunds.Amount.Mul(amount("4")), days[i].Fees.Amount.Mul(amount("4"))
		}
	}
	day := usual()
	require.NotEmpty(t, settlement.Anomalies(days, day, settlement.AnomalyConfig{}), "a quarter of what the weekday brings")
	day.Sales.Amount, day.Refunds.Amount, day.Fees.Amount = amount("4040"), amount("200"), amount("120")
	require.Empty(t, settlement.Anomalies(days, day, settlement.AnomalyConfig{}))
	require.NotEmpty(t, settlement.Anomalies(days[60:], day, settlement.AnomalyConfig{}), "with too few of the weekday all days count")
}

func TestAnomaliesDoNotDependOnOrder(t *testing.T) {
	days, day := history(30), usual()
	day.Sales.Amount, day.Chargebacks.Count = amount("9000"), 9
	want := settlement.Anomalies(days, day, settlement.AnomalyConfig{})
	require.NotEmpty(t, want)
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		r.Shuffle(len(days), func(i, j int) { days[i], days[j] = days[j], days[i] })
		require.Equal(t, want, settlement.Anomalies(days, day, settlement.AnomalyConfig{}))
	}
}
