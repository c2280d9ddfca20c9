package canonical

import "github.com/shopspring/decimal"

// RefundWish is what of an order is to be paid back: an amount, or lines, or (neither given) all that is left. Amounts are in the
// order's currency.
type RefundWish struct {
	Amount   *decimal.Decimal `json:"amount,omitempty"`
	Lines    []RefundLine     `json:"lines,omitempty"`
	Shipping *decimal.Decimal `json:"shipping,omitempty"` // with lines: of the shipping; nil: its share, by the lines' value
}

// RefundLine is a quantity of one order line, counted from 1.
type RefundLine struct {
	Line     int             `json:"line"`
	Quantity decimal.Decimal `json:"quantity"`
}

// RefundBreakdown is what a refund consists of, to the minor unit: Total = Net + Tax + Shipping.
type RefundBreakdown struct {
	Lines    []RefundShare   `json:"lines,omitempty"` // none where the refund is an amount
	Net      decimal.Decimal `json:"net"`             // goods after discounts, without tax
	Tax      decimal.Decimal `json:"tax"`
	Shipping decimal.Decimal `json:"shipping"`
	Total    decimal.Decimal `json:"total"`
}

// RefundShare is the part of one order line.
type RefundShare struct {
	Line     int             `json:"line"`
	SKU      string          `json:"sku"`
	Quantity decimal.Decimal `json:"quantity"`
	Net      decimal.Decimal `json:"net"`
	Tax      decimal.Decimal `json:"tax"`
}
