package canonical

import (
	"slices"

	"github.com/shopspring/decimal"
)

// ApportionDiscount spreads the header discount over the lines, in proportion to their net value, to the minor unit: the
// shares sum exactly to the discount (largest remainder), none is negative, and none is more than its line is worth.
// The result has one share per line. A discount beyond the worth of the lines, which Validate refuses, stays unspread.
func ApportionDiscount(o Order) []decimal.Decimal {
	worth := make([]decimal.Decimal, len(o.Lines))
	for i, line := range o.Lines {
		worth[i] = decimal.Max(line.Extended(o.Currency).Sub(line.Discount), decimal.Zero)
	}
	return Apportion(o.Discount, worth, o.Currency)
}

// Apportion spreads an amount over weights to the currency's minor unit by largest remainder; ties go to the earlier weight.
// No share exceeds its weight, so an amount beyond the sum of the weights gives zeros.
func Apportion(amount decimal.Decimal, weights []decimal.Decimal, currency string) []decimal.Decimal {
	shares := make([]decimal.Decimal, len(weights))
	sum := decimal.Zero
	for _, weight := range weights {
		sum = sum.Add(weight)
	}
	if !amount.IsPositive() || !sum.IsPositive() || amount.GreaterThan(sum) {
		return shares
	}
	places, err := MinorUnits(currency)
	if err != nil {
		places = -amount.Exponent()
	}
	remainders := make([]decimal.Decimal, len(weights))
	rest := amount
	for i, weight := range weights {
		product := amount.Mul(weight)
		shares[i], remainders[i] = product.QuoRem(sum, places)
		rest = rest.Sub(shares[i])
	}
	handOut(rest, shares, weights, remainders, decimal.New(1, -places))
	return shares
}

// handOut gives the units that rounding down left over to the largest remainders that still have room.
func handOut(rest decimal.Decimal, shares, weights, remainders []decimal.Decimal, unit decimal.Decimal) {
	byRemainder := make([]int, len(shares))
	for i := range byRemainder {
		byRemainder[i] = i
	}
	slices.SortStableFunc(byRemainder, func(a, b int) int { return remainders[b].Cmp(remainders[a]) })
	for _, i := range byRemainder {
		if rest.IsZero() {
			return
		}
		piece := decimal.Min(unit, rest)
		if shares[i].Add(piece).LessThanOrEqual(weights[i]) {
			shares[i] = shares[i].Add(piece)
			rest = rest.Sub(piece)
		}
	}
}
