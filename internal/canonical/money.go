package canonical

import (
	"fmt"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// Money is an amount in one currency. The zero value is nothing of no currency.
type Money struct {
	Amount   decimal.Decimal `json:"amount" expr:"amount"`
	Currency string          `json:"currency" expr:"currency"` // ISO 4217 alpha-3, upper case
}

// NewMoney pairs an amount with its currency.
func NewMoney(amount decimal.Decimal, currency string) Money {
	return Money{Amount: amount, Currency: currency}
}

// IsZero tells whether the amount is zero, whatever the currency.
func (m Money) IsZero() bool { return m.Amount.IsZero() }

// Equal compares amounts by value ("1.0" equals "1.00") and currencies by code.
func (m Money) Equal(other Money) bool {
	return m.Currency == other.Currency && m.Amount.Equal(other.Amount)
}

// Add sums two amounts of one currency; adding different currencies is a programming error and reported as such.
func (m Money) Add(other Money) (Money, error) {
	if m.Currency != other.Currency {
		return Money{}, fmt.Errorf("add %s to %s: currencies differ", other.Currency, m.Currency)
	}
	return Money{Amount: m.Amount.Add(other.Amount), Currency: m.Currency}, nil
}

// String gives the amount with the currency's minor units, for people: "48.19 USD".
func (m Money) String() string {
	return FormatAmount(m.Amount, m.Currency) + " " + m.Currency
}

// MinorUnits gives the decimals of a currency by ISO 4217 (USD 2, JPY 0, KWD 3). Unknown codes give an error.
func MinorUnits(code string) (int32, error) {
	if scale, ok := isoScales[code]; ok {
		return scale, nil
	}
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return 0, fmt.Errorf("currency is not an ISO 4217 code")
	}
	scale, _ := currency.Standard.Rounding(unit)
	return int32(scale), nil
}

// FormatAmount writes an amount with exactly the minor units of its currency, no thousands separator, rounding half
// away from zero; an unknown currency leaves the amount as it is.
func FormatAmount(amount decimal.Decimal, code string) string {
	places, err := MinorUnits(code)
	if err != nil {
		return amount.String()
	}
	return amount.StringFixed(places)
}

// RoundAmount rounds half away from zero to the minor units of the currency; an unknown currency leaves it as it is.
func RoundAmount(amount decimal.Decimal, code string) decimal.Decimal {
	places, err := MinorUnits(code)
	if err != nil {
		return amount
	}
	return amount.Round(places)
}
