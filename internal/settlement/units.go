package settlement

import (
	"errors"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// currencies numbers the currencies of a day, and knows their minor units.
type currencies struct {
	codes  []string
	scales []int32
	index  map[string]int
	last   int
}

// of numbers a currency.
func (c *currencies) of(code string) (int, error) {
	if len(c.codes) > 0 && c.codes[c.last] == code {
		return c.last, nil
	}
	if at, known := c.index[code]; known {
		c.last = at
		return at, nil
	}
	scale, err := canonical.MinorUnits(code)
	if err != nil {
		return 0, err
	}
	if c.index == nil {
		c.index = map[string]int{}
	}
	at := len(c.codes)
	c.index[code], c.last = at, at
	c.codes, c.scales = append(c.codes, code), append(c.scales, scale)
	return at, nil
}

// units gives an amount in minor units of its currency.
func (c *currencies) units(m canonical.Money) (int64, int, error) {
	at, err := c.of(m.Currency)
	if err != nil {
		return 0, 0, err
	}
	units, err := minorUnits(m.Amount, c.scales[at])
	return units, at, err
}

func (c *currencies) money(units int64, at int) canonical.Money {
	return canonical.Money{Amount: decimal.New(units, -c.scales[at]), Currency: c.codes[at]}
}

var errUnits = errors.New("amount is finer than its currency divides, or too large")

func minorUnits(amount decimal.Decimal, scale int32) (int64, error) {
	if amount.Exponent() != -scale {
		amount = amount.Shift(scale)
		if !amount.IsInteger() {
			return 0, errUnits
		}
		amount = amount.Truncate(0)
		if amount.Exponent() > 0 {
			amount = decimal.NewFromBigInt(amount.BigInt(), 0)
		}
	}
	if amount.NumDigits() > 18 {
		return 0, errUnits
	}
	return amount.CoefficientInt64(), nil
}

// tally counts and sums exactly: in minor units, spilling into a decimal long before they overflow.
type tally struct {
	count int
	units int64
	spill decimal.Decimal
}

func (t *tally) add(units int64) {
	const most = 1 << 61
	t.count++
	t.units += units
	if t.units > most || t.units < -most {
		t.spill = t.spill.Add(decimal.NewFromInt(t.units))
		t.units = 0
	}
}

// remove takes back what was added.
func (t *tally) remove(units int64) {
	t.add(-units)
	t.count -= 2
}

// amount gives the sum with the decimals of its currency.
func (t *tally) amount(scale int32) decimal.Decimal {
	return t.spill.Add(decimal.NewFromInt(t.units)).Shift(-scale)
}
