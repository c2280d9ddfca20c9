package cybersource

import (
	"strings"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

const maxAmountLength = 19

// amountLimit is the first amount that is too large.
var amountLimit = decimal.New(1, 11)

// knownCurrency says whether code is an ISO 4217 code in upper case.
func knownCurrency(code string) bool {
	if len(code) != 3 || strings.ToUpper(code) != code {
		return false
	}
	_, err := currency.ParseISO(code)
	return err == nil
}

// minorUnits is the number of decimals of a known currency.
func minorUnits(code string) int32 {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return 2
	}
	scale, _ := currency.Standard.Rounding(unit)
	return int32(scale)
}

// parseAmount reads an amount as the API takes it: digits with at most one decimal point, no sign, no separators. What
// goes beyond the currency's decimals is cut, not rounded.
func parseAmount(text, currencyCode string) (decimal.Decimal, bool) {
	if len(text) == 0 || len(text) > maxAmountLength || !plainNumber(text) {
		return decimal.Zero, false
	}
	amount, err := decimal.NewFromString(text)
	if err != nil || amount.GreaterThanOrEqual(amountLimit) {
		return decimal.Zero, false
	}
	return amount.Truncate(minorUnits(currencyCode)), true
}

// plainNumber is digits with an optional fraction: decimal alone would also read signs and exponents.
func plainNumber(text string) bool {
	whole, fraction, hasPoint := strings.Cut(text, ".")
	return digits(whole) && (!hasPoint || digits(fraction))
}

func digits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}

// formatAmount writes an amount with the currency's decimals.
func formatAmount(amount decimal.Decimal, currencyCode string) string {
	return amount.StringFixed(minorUnits(currencyCode))
}
