package settlement

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// DayFigures is what the journal keeps of one settled day, in one currency.
type DayFigures struct {
	Date        string     `json:"date"` // YYYY-MM-DD
	Currency    string     `json:"currency"`
	Sales       Sum        `json:"sales"`
	Refunds     Sum        `json:"refunds"`
	Fees        Sum        `json:"fees"`
	Chargebacks Sum        `json:"chargebacks"`
	Refunded    []Refunded `json:"refunded,omitempty"` // customers and card tokens with the most refunds
}

// Refunded is one customer or card token that money went back to.
type Refunded struct {
	Who string `json:"who"` // opaque reference: "customer C-2001", "token 7030..."
	Sum Sum    `json:"sum"`
}

// AnomalyKind says what is unusual.
type AnomalyKind string

// The kinds of anomalies.
const (
	UnusualTotal       AnomalyKind = "unusual_total"
	UnusualRefundShare AnomalyKind = "unusual_refund_share" // refunds by sales
	UnusualFeeRate     AnomalyKind = "unusual_fee_rate"     // fees by sales
	ChargebackBurst    AnomalyKind = "chargeback_burst"
	ManyRefunds        AnomalyKind = "many_refunds" // to one customer or card token
)

// Anomaly is something for a person to look at, with the figures that made it unusual. It never stops a day.
type Anomaly struct {
	Kind     AnomalyKind     `json:"kind"`
	Date     string          `json:"date"`
	Currency string          `json:"currency"`
	Who      string          `json:"who,omitempty"`
	Value    decimal.Decimal `json:"value"`
	Median   decimal.Decimal `json:"median"` // of the days it is held against
	Spread   decimal.Decimal `json:"spread"` // median absolute deviation of those days, as it was used
	Score    decimal.Decimal `json:"score"`  // deviation in robust standard deviations, two decimals
	Days     int             `json:"days"`   // how many those are
	Text     string          `json:"text"`
}

// AnomalyConfig sets how much is unusual. The zero value has sensible bounds.
type AnomalyConfig struct {
	MinDays        int             // days of history without which nothing is said; 0 is 14
	Score          decimal.Decimal // robust standard deviations from the median; 0 is 3.5
	MinChargebacks int             // of a day; 0 is 3
	MinRefunds     int             // to one customer or token in a day; 0 is 3
}

func (c AnomalyConfig) withDefaults() AnomalyConfig {
	c.MinDays = cmp.Or(c.MinDays, 14)
	c.MinChargebacks = cmp.Or(c.MinChargebacks, 3)
	c.MinRefunds = cmp.Or(c.MinRefunds, 3)
	if !c.Score.IsPositive() {
		c.Score = decimal.New(35, -1)
	}
	return c
}

// Anomalies holds a day against the history of the same currency: all days given that are before it, whatever their order. With a
// fortnight of the same weekday it is held against those alone, since Sundays are no Mondays. Money back to one customer needs history,
// too: a shop whose customers return things daily is not unusual.
func Anomalies(history []DayFigures, day DayFigures, config AnomalyConfig) []Anomaly {
	config = config.withDefaults()
	past := make([]DayFigures, 0, len(history))
	for _, figures := range history {
		if figures.Currency == day.Currency && figures.Date < day.Date {
			past = append(past, figures)
		}
	}
	if len(past) < config.MinDays {
		return nil
	}
	var found []Anomaly
	note := func(kind AnomalyKind, of []DayFigures, value func(DayFigures) (decimal.Decimal, bool), only bool, text string) {
		if a, unusual := unusual(of, day, config, value, only); unusual {
			a.Kind = kind
			a.Text = fmt.Sprintf(text, a.Value, a.Median, a.Days, a.Score)
			found = append(found, a)
		}
	}
	note(UnusualTotal, sameWeekday(past, day.Date, config.MinDays), func(d DayFigures) (decimal.Decimal, bool) { return d.Sales.Amount, true }, false,
		"Sales of %s; the median is %s over %d days, %s robust standard deviations away.")
	note(UnusualRefundShare, past, func(d DayFigures) (decimal.Decimal, bool) { return share(d.Refunds, d.Sales) }, true,
		"Refunds are %s of sales; the median is %s over %d days, %s robust standard deviations away.")
	note(UnusualFeeRate, past, func(d DayFigures) (decimal.Decimal, bool) { return share(d.Fees, d.Sales) }, false,
		"Fees are %s of sales; the median is %s over %d days, %s robust standard deviations away.")
	if day.Chargebacks.Count >= config.MinChargebacks {
		note(ChargebackBurst, past, func(d DayFigures) (decimal.Decimal, bool) {
			return decimal.NewFromInt(int64(d.Chargebacks.Count)), true
		}, true,
			"%s chargebacks in a day; the median is %s over %d days, %s robust standard deviations away.")
	}
	return append(found, manyRefunds(past, day, config)...)
}

// share is a rate with four decimals; a day without sales has none.
func share(part, whole Sum) (decimal.Decimal, bool) {
	if !whole.Amount.IsPositive() {
		return decimal.Zero, false
	}
	return part.Amount.DivRound(whole.Amount, 4), true
}

// robust scales the median absolute deviation to a standard deviation of a normal distribution.
var robust = decimal.New(14826, -4)

// unusual compares the day's value to the median of the past; only above it where only is set.
func unusual(past []DayFigures, day DayFigures, config AnomalyConfig, value func(DayFigures) (decimal.Decimal, bool), only bool) (Anomaly, bool) {
	today, known := value(day)
	if !known {
		return Anomaly{}, false
	}
	values := make([]decimal.Decimal, 0, len(past))
	for _, figures := range past {
		if v, known := value(figures); known {
			values = append(values, v)
		}
	}
	if len(values) < config.MinDays {
		return Anomaly{}, false
	}
	middle := median(values)
	deviations := make([]decimal.Decimal, len(values))
	for i, v := range values {
		deviations[i] = v.Sub(middle).Abs()
	}
	// A history without spread would make every cent unusual: a twentieth of the median is the least, and where that is nothing
	// either (days without any chargeback), one, or a hundredth for a rate.
	spread := decimal.Max(median(deviations), middle.Abs().DivRound(decimal.NewFromInt(20), 6))
	if spread.IsZero() {
		if spread = decimal.NewFromInt(1); today.LessThan(spread) {
			spread = decimal.New(1, -2)
		}
	}
	deviation := today.Sub(middle)
	score := deviation.Abs().DivRound(spread.Mul(robust), 2)
	if score.LessThanOrEqual(config.Score) || only && deviation.IsNegative() {
		return Anomaly{}, false
	}
	return Anomaly{Date: day.Date, Currency: day.Currency, Value: today, Median: middle, Spread: spread, Score: score, Days: len(values)}, true
}

func median(values []decimal.Decimal) decimal.Decimal {
	sorted := slices.SortedFunc(slices.Values(values), decimal.Decimal.Cmp)
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1].Add(sorted[n/2]).Div(decimal.NewFromInt(2))
}

// sameWeekday gives the days of the same weekday where there are enough, else all.
func sameWeekday(past []DayFigures, date string, enough int) []DayFigures {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return past
	}
	var same []DayFigures
	for _, figures := range past {
		if of, err := time.Parse(time.DateOnly, figures.Date); err == nil && of.Weekday() == at.Weekday() {
			same = append(same, figures)
		}
	}
	if len(same) < enough {
		return past
	}
	return same
}

// manyRefunds holds each customer and token to the busiest of each past day.
func manyRefunds(past []DayFigures, day DayFigures, config AnomalyConfig) []Anomaly {
	busiest := func(d DayFigures) (decimal.Decimal, bool) {
		most := 0
		for _, r := range d.Refunded {
			most = max(most, r.Sum.Count)
		}
		return decimal.NewFromInt(int64(most)), true
	}
	refunded := slices.Clone(day.Refunded)
	slices.SortFunc(refunded, func(a, b Refunded) int {
		return cmp.Or(cmp.Compare(b.Sum.Count, a.Sum.Count), cmp.Compare(a.Who, b.Who))
	})
	var found []Anomaly
	for _, r := range refunded {
		if r.Sum.Count < config.MinRefunds {
			break
		}
		one := day
		one.Refunded = []Refunded{r}
		a, unusual := unusual(past, one, config, busiest, true)
		if !unusual {
			continue
		}
		a.Kind, a.Who = ManyRefunds, r.Who
		a.Text = fmt.Sprintf("%d refunds of %s in all; the busiest has %s on the median of %d days, %s robust standard deviations less.",
			r.Sum.Count, r.Sum.Amount, a.Median, a.Days, a.Score)
		found = append(found, a)
	}
	return found
}
