package erp

import (
	"context"

	"github.com/shopspring/decimal"
)

// Rate is an exchange rate as the ERP keeps it: what one From costs in To, from a date on until the next one.
type Rate struct {
	From string          `json:"from"`
	To   string          `json:"to"`
	Rate decimal.Decimal `json:"rate"` // above zero: EUR to USD is 1.0812 where one EUR costs 1.0812 USD
	Date string          `json:"date"` // YYYY-MM-DD, from which it holds
}

// RatePort is what settlement asks of an ERP that keeps exchange rates. An adapter has it where its ERP offers the look-up.
type RatePort interface {
	// ExchangeRates gives, for each currency that the ERP keeps a rate of, what one unit costs in to: the last rate at or before the date
	// (YYYY-MM-DD), however old. NotFound where the site keeps no rates.
	ExchangeRates(ctx context.Context, to, date string) ([]Rate, error)
}
