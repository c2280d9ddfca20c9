package mappings_test

import (
	"encoding/json"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/mappings"
)

// anyOrder draws an order whose total is right, with like lines, fractions and a header discount.
func anyOrder(t *rapid.T, sample canonical.Order) canonical.Order {
	o := sample
	o.Currency = rapid.SampledFrom([]string{"USD", "JPY", "KWD"}).Draw(t, "currency")
	places, err := canonical.MinorUnits(o.Currency)
	require.NoError(t, err)
	minor := func(name string, most int64) decimal.Decimal {
		return decimal.New(rapid.Int64Range(0, most).Draw(t, name), -places)
	}
	o.Lines = nil
	for range rapid.IntRange(1, 260).Draw(t, "lines") {
		line := canonical.LineItem{
			SKU: rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "sku"), Tax: minor("tax", 500),
			Quantity:  decimal.New(rapid.Int64Range(1, 4000).Draw(t, "quantity"), -rapid.Int32Range(0, 3).Draw(t, "scale")),
			UnitPrice: decimal.New(rapid.Int64Range(0, 4).Draw(t, "price")*1250, -rapid.Int32Range(0, 5).Draw(t, "decimals")),
		}
		line.Discount = decimal.Min(minor("discount", 20), line.Extended(o.Currency))
		o.Lines = append(o.Lines, line)
	}
	o.Shipping = minor("shipping", 1000)
	o.Discount = decimal.Min(minor("header", 100_000), o.Goods())
	o.Total = o.ComputedTotal()
	return o
}

func TestDocumentsSumToTheOrderTotal(t *testing.T) {
	set, sample := load(t), sampleInput(t)
	gateway, err := set.Mapping("cybersource/payment")
	require.NoError(t, err)
	ledger, err := set.Mapping("syspro/sales_order")
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		in := sample
		in.Order = anyOrder(t, sample.Order)
		in.Payment.Authorized, in.Payment.Captured = decimal.Zero, decimal.Zero
		in.Site = map[string]string{"lineAmounts": "yes"}
		requireGatewayTotal(t, gateway, in)
		requireLedgerTotal(t, ledger, in)
	})
}

func requireGatewayTotal(t require.TestingT, m *mappings.Mapping, in mappings.Input) {
	doc, err := m.Apply(in)
	require.NoError(t, err)
	var body struct {
		OrderInformation struct {
			AmountDetails struct{ TotalAmount decimal.Decimal }
			LineItems     []struct{ Quantity, UnitPrice, TaxAmount, DiscountAmount, TotalAmount decimal.Decimal }
		}
	}
	require.NoError(t, json.Unmarshal(doc.Body, &body))
	items := body.OrderInformation.LineItems
	require.LessOrEqual(t, len(items), 200)
	sum := in.Order.Shipping
	for _, item := range items {
		require.True(t, item.Quantity.Mul(item.UnitPrice).Sub(item.DiscountAmount).Add(item.TaxAmount).Equal(item.TotalAmount))
		sum = sum.Add(item.TotalAmount)
	}
	require.True(t, sum.Equal(in.Order.Total), "lines and shipping are %s, the order %s", sum, in.Order.Total)
	require.True(t, body.OrderInformation.AmountDetails.TotalAmount.Equal(in.Order.Total))
}

// requireLedgerTotal computes as the ERP does.
func requireLedgerTotal(t require.TestingT, m *mappings.Mapping, in mappings.Input) {
	doc, err := m.Apply(in)
	require.NoError(t, err)
	var body struct {
		LineItems                          []struct{ Quantity, UnitPrice, Discount, TaxAmount decimal.Decimal }
		FreightTotal, TaxTotal, OrderTotal decimal.Decimal
	}
	require.NoError(t, json.Unmarshal(doc.Body, &body))
	require.Len(t, body.LineItems, len(in.Order.Lines))
	sum, tax := body.FreightTotal, decimal.Zero
	for _, line := range body.LineItems {
		goods := canonical.RoundAmount(line.Quantity.Mul(line.UnitPrice), in.Order.Currency)
		require.False(t, line.Discount.GreaterThan(goods), "no line is worth less than nothing")
		sum, tax = sum.Add(goods).Sub(line.Discount).Add(line.TaxAmount), tax.Add(line.TaxAmount)
	}
	require.True(t, sum.Equal(body.OrderTotal), "lines and freight are %s, the order %s", sum, body.OrderTotal)
	require.True(t, tax.Equal(body.TaxTotal))
}
