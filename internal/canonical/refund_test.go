package canonical_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
)

// refundable is an order of 48.19 USD in two lines: 3 x 10.00 less 0.01, and 13.20 less its share of a header discount of 3.
func refundable() canonical.Order {
	return canonical.Order{
		OrderID: "WEB-1", Currency: "USD", Shipping: money("5.00"), Discount: money("3.00"), Total: money("48.19"),
		Lines: []canonical.LineItem{
			{SKU: "A100", Quantity: money("3"), UnitPrice: money("10.00"), Discount: money("0.01"), Tax: money("2.00")},
			{SKU: "B200", Quantity: money("1"), UnitPrice: money("13.20"), Tax: money("1.00")},
		},
	}
}

func money(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func amountOf(text string) *decimal.Decimal {
	amount := money(text)
	return &amount
}

func line(number int, quantity string) canonical.RefundLine {
	return canonical.RefundLine{Line: number, Quantity: money(quantity)}
}

func lines(list ...canonical.RefundLine) []canonical.RefundLine {
	return append([]canonical.RefundLine{}, list...)
}

func TestARefundIsApportioned(t *testing.T) {
	order := refundable()
	require.True(t, order.ComputedTotal().Equal(order.Total))
	type step struct {
		wish                      canonical.RefundWish
		net, tax, shipping, total string
		shares                    []string // net + tax of each line
	}
	all := canonical.RefundWish{}
	cases := map[string][]step{
		"all at once": {{all, "40.19", "3.00", "5.00", "48.19", []string{"27.91+2.00", "12.28+1.00"}}},
		"by amount, then the rest": {
			{canonical.RefundWish{Amount: amountOf("10.00")}, "8.34", "0.62", "1.04", "10.00", nil},
			{canonical.RefundWish{Amount: amountOf("0.01")}, "0.01", "0.00", "0.00", "0.01", nil},
			{canonical.RefundWish{Amount: amountOf("38.18")}, "31.84", "2.38", "3.96", "38.18", nil},
		},
		"unit by unit": {
			{canonical.RefundWish{Lines: lines(line(1, "1"))}, "9.30", "0.67", "1.16", "11.13", []string{"9.30+0.67"}},
			{canonical.RefundWish{Lines: lines(line(1, "1"))}, "9.31", "0.67", "1.16", "11.14", []string{"9.31+0.67"}},
			{canonical.RefundWish{Lines: lines(line(1, "1"))}, "9.30", "0.66", "1.15", "11.11", []string{"9.30+0.66"}},
			{canonical.RefundWish{Lines: lines(line(2, "1"))}, "12.28", "1.00", "1.53", "14.81", []string{"12.28+1.00"}},
		},
		"both lines are all": {
			{canonical.RefundWish{Lines: lines(line(2, "1"), line(1, "3"))}, "40.19", "3.00", "5.00", "48.19", []string{"12.28+1.00", "27.91+2.00"}},
		},
		"the shop keeps the shipping, and gives it back later": {
			{canonical.RefundWish{Lines: lines(line(1, "3")), Shipping: amountOf("0")}, "27.91", "2.00", "0.00", "29.91", []string{"27.91+2.00"}},
			{canonical.RefundWish{Lines: lines(line(2, "1")), Shipping: amountOf("5.00")}, "12.28", "1.00", "5.00", "18.28", []string{"12.28+1.00"}},
		},
		"half a unit": {
			{canonical.RefundWish{Lines: lines(line(2, "0.5"))}, "6.14", "0.50", "0.76", "7.40", []string{"6.14+0.50"}},
			{all, "34.05", "2.50", "4.24", "40.79", []string{"27.91+2.00", "6.14+0.50"}},
		},
		"after an amount the lines share what is left": {
			{canonical.RefundWish{Amount: amountOf("24.00")}, "20.02", "1.49", "2.49", "24.00", nil},
			{canonical.RefundWish{Lines: lines(line(1, "1"))}, "9.30", "0.67", "1.16", "11.13", []string{"9.30+0.67"}},
			{all, "10.87", "0.84", "1.35", "13.06", []string{"6.55+0.48", "4.32+0.36"}},
		},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			var earlier []canonical.RefundBreakdown
			for i, s := range steps {
				b, problems := canonical.ApportionRefund(order, earlier, s.wish)
				require.Empty(t, problems, i)
				require.Equal(t, []string{s.net, s.tax, s.shipping, s.total},
					texts([]decimal.Decimal{b.Net, b.Tax, b.Shipping, b.Total}, "USD"), i)
				var shares []string
				for _, share := range b.Lines {
					require.Equal(t, order.Lines[share.Line-1].SKU, share.SKU)
					shares = append(shares, share.Net.StringFixed(2)+"+"+share.Tax.StringFixed(2))
				}
				require.Equal(t, s.shares, shares, i)
				earlier = append(earlier, b)
			}
		})
	}
}

func TestARefundIsRefused(t *testing.T) {
	goodwill := canonical.RefundBreakdown{Net: money("20.02"), Tax: money("1.49"), Shipping: money("2.49"), Total: money("24.00")}
	returned := canonical.RefundBreakdown{
		Net: money("18.61"), Tax: money("1.34"), Total: money("19.95"),
		Lines: []canonical.RefundShare{{Line: 1, Quantity: money("2"), Net: money("18.61"), Tax: money("1.34")}},
	}
	everything := canonical.RefundBreakdown{Net: money("40.19"), Tax: money("3.00"), Shipping: money("5.00"), Total: money("48.19")}
	hostile := decimal.New(1, 1<<30)
	cases := map[string]struct {
		earlier []canonical.RefundBreakdown
		wish    canonical.RefundWish
		want    []string // pointer and rule
	}{
		"nothing is left":           {[]canonical.RefundBreakdown{everything}, canonical.RefundWish{}, []string{" maximum"}},
		"more than the order":       {nil, canonical.RefundWish{Amount: amountOf("48.20")}, []string{"/amount maximum"}},
		"more than is left":         {[]canonical.RefundBreakdown{goodwill}, canonical.RefundWish{Amount: amountOf("24.20")}, []string{"/amount maximum"}},
		"zero":                      {nil, canonical.RefundWish{Amount: amountOf("0")}, []string{"/amount minimum"}},
		"negative":                  {nil, canonical.RefundWish{Amount: amountOf("-1")}, []string{"/amount minimum"}},
		"finer than a cent":         {nil, canonical.RefundWish{Amount: amountOf("1.005")}, []string{"/amount scale"}},
		"hostile amount":            {nil, canonical.RefundWish{Amount: &hostile}, []string{"/amount maximum"}},
		"amount and lines":          {nil, canonical.RefundWish{Amount: amountOf("1"), Lines: lines(line(1, "1"))}, []string{"/lines combination"}},
		"amount and shipping":       {nil, canonical.RefundWish{Amount: amountOf("1"), Shipping: amountOf("1")}, []string{"/shipping combination"}},
		"shipping alone":            {nil, canonical.RefundWish{Shipping: amountOf("1")}, []string{"/shipping combination"}},
		"an empty list":             {nil, canonical.RefundWish{Lines: lines()}, []string{"/lines required"}},
		"too many lines":            {nil, canonical.RefundWish{Lines: make([]canonical.RefundLine, canonical.MaxLines+1)}, []string{"/lines max_items"}},
		"unknown lines":             {nil, canonical.RefundWish{Lines: lines(line(0, "1"), line(3, "1"))}, []string{"/lines/0/line enum", "/lines/1/line enum"}},
		"a line twice":              {nil, canonical.RefundWish{Lines: lines(line(1, "1"), line(1, "1"))}, []string{"/lines/1/line duplicate_field"}},
		"more than the line":        {nil, canonical.RefundWish{Lines: lines(line(2, "1"), line(1, "3.000001"))}, []string{"/lines/1/quantity maximum"}},
		"more than the line's rest": {[]canonical.RefundBreakdown{returned}, canonical.RefundWish{Lines: lines(line(1, "2"))}, []string{"/lines/0/quantity maximum"}},
		"no quantity":               {nil, canonical.RefundWish{Lines: lines(line(1, "0"), line(2, "-1"))}, []string{"/lines/0/quantity minimum", "/lines/1/quantity minimum"}},
		"finer than a quantity":     {nil, canonical.RefundWish{Lines: lines(line(1, "0.0000001"))}, []string{"/lines/0/quantity scale"}},
		"hostile quantity":          {nil, canonical.RefundWish{Lines: lines(canonical.RefundLine{Line: 1, Quantity: hostile})}, []string{"/lines/0/quantity maximum"}},
		"lines worth too much":      {[]canonical.RefundBreakdown{goodwill}, canonical.RefundWish{Lines: lines(line(1, "3"))}, []string{"/lines maximum"}},
		"worth nothing":             {nil, canonical.RefundWish{Lines: lines(line(1, "0.000001")), Shipping: amountOf("0")}, []string{"/lines minimum"}},
		"too much shipping":         {nil, canonical.RefundWish{Lines: lines(line(1, "1")), Shipping: amountOf("5.01")}, []string{"/shipping maximum"}},
		"shipping that was repaid":  {[]canonical.RefundBreakdown{goodwill}, canonical.RefundWish{Lines: lines(line(1, "1")), Shipping: amountOf("2.52")}, []string{"/shipping maximum"}},
		"negative shipping":         {nil, canonical.RefundWish{Lines: lines(line(1, "1")), Shipping: amountOf("-1")}, []string{"/shipping minimum"}},
		"shipping finer than cents": {nil, canonical.RefundWish{Lines: lines(line(1, "1")), Shipping: amountOf("0.001")}, []string{"/shipping scale"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, problems := canonical.ApportionRefund(refundable(), c.earlier, c.wish)
			var got []string
			for _, p := range problems {
				require.NotEmpty(t, p.Message)
				got = append(got, p.Pointer+" "+p.Rule)
			}
			require.Equal(t, c.want, got)
			require.Equal(t, canonical.RefundBreakdown{}, b)
		})
	}
}

// TestARefundFromOutsideMayDivideInItsOwnWay: an ERP's credit memo with more tax than the order had lowers the rest.
func TestARefundFromOutsideMayDivideInItsOwnWay(t *testing.T) {
	outside := canonical.RefundBreakdown{Net: money("36.00"), Tax: money("4.00"), Total: money("40.00")}
	b, problems := canonical.ApportionRefund(refundable(), []canonical.RefundBreakdown{outside}, canonical.RefundWish{})
	require.Empty(t, problems)
	require.Equal(t, []string{"3.19", "0.00", "5.00", "8.19"}, texts([]decimal.Decimal{b.Net, b.Tax, b.Shipping, b.Total}, "USD"))
}

// TestRefundsNeverComeToMoreThanTheOrder takes any order apart in any way: no part is ever overdrawn, and the rest of all is exactly
// what the order was.
func TestRefundsNeverComeToMoreThanTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		left := canonical.RefundBreakdown{Net: order.Goods().Sub(order.Discount), Tax: order.TaxTotal(), Shipping: order.Shipping, Total: order.Total}
		var earlier []canonical.RefundBreakdown
		take := func(wish canonical.RefundWish) {
			b, problems := canonical.ApportionRefund(order, earlier, wish)
			if len(problems) > 0 {
				require.Equal(t, canonical.RefundBreakdown{}, b)
				return
			}
			requireSound(t, order, b)
			require.True(t, b.Total.IsPositive())
			left.Net, left.Tax, left.Shipping = left.Net.Sub(b.Net), left.Tax.Sub(b.Tax), left.Shipping.Sub(b.Shipping)
			left.Total = left.Total.Sub(b.Total)
			for _, part := range []decimal.Decimal{left.Net, left.Tax, left.Shipping, left.Total} {
				require.False(t, part.IsNegative(), "overdrawn: %v", left)
			}
			earlier = append(earlier, b)
		}
		for range rapid.IntRange(0, 12).Draw(t, "refunds") {
			take(drawWish(t, order, left.Total))
		}
		take(canonical.RefundWish{})
		require.True(t, left.Total.IsZero(), "left: %v", left)
		for _, part := range []decimal.Decimal{left.Net, left.Tax, left.Shipping} {
			require.True(t, part.IsZero(), "left: %v", left)
		}
		_, problems := canonical.ApportionRefund(order, earlier, canonical.RefundWish{})
		require.NotEmpty(t, problems)
	})
}

// TestAllLinesAreTheWholeOrder: unit by unit and line by line, without a last "all", the pieces come to the order.
func TestAllLinesAreTheWholeOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := drawOrder(t)
		var earlier []canonical.RefundBreakdown
		sum, worthless := decimal.Zero, false
		for i, item := range order.Lines {
			for left := item.Quantity; left.IsPositive(); {
				quantity := decimal.Min(left, decimal.New(rapid.Int64Range(1, 40).Draw(t, "tenths"), -1))
				b, problems := canonical.ApportionRefund(order, earlier, canonical.RefundWish{Lines: lines(canonical.RefundLine{Line: i + 1, Quantity: quantity})})
				if len(problems) > 0 { // free goods give no money back
					require.Equal(t, canonical.RuleMinimum, problems[0].Rule)
					worthless = true
					break
				}
				requireSound(t, order, b)
				earlier, sum, left = append(earlier, b), sum.Add(b.Total), left.Sub(quantity)
			}
		}
		if !worthless {
			require.True(t, sum.Equal(order.Total), "%s of %s", sum, order.Total)
		}
	})
}

// requireSound holds a breakdown's parts together.
func requireSound(t *rapid.T, order canonical.Order, b canonical.RefundBreakdown) {
	require.True(t, b.Total.Equal(b.Net.Add(b.Tax).Add(b.Shipping)))
	net, tax := decimal.Zero, decimal.Zero
	parts := []decimal.Decimal{b.Net, b.Tax, b.Shipping, b.Total}
	for _, share := range b.Lines {
		require.True(t, share.Quantity.IsPositive())
		net, tax = net.Add(share.Net), tax.Add(share.Tax)
		parts = append(parts, share.Net, share.Tax)
	}
	for _, part := range parts {
		require.False(t, part.IsNegative())
		require.True(t, canonical.RoundAmount(part, order.Currency).Equal(part), "finer than the currency: %s", part)
	}
	if len(b.Lines) > 0 {
		require.True(t, net.Equal(b.Net), "lines of %s, net of %s", net, b.Net)
		require.True(t, tax.Equal(b.Tax), "lines' tax of %s, tax of %s", tax, b.Tax)
	}
}

func drawOrder(t *rapid.T) canonical.Order {
	currency := rapid.SampledFrom([]string{"USD", "JPY", "KWD"}).Draw(t, "currency")
	places, err := canonical.MinorUnits(currency)
	require.NoError(t, err)
	amount := func(most int64, label string) decimal.Decimal {
		return decimal.New(rapid.Int64Range(0, most).Draw(t, label), -places)
	}
	order := canonical.Order{Currency: currency, Shipping: amount(2_000, "shipping")}
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		item := canonical.LineItem{
			SKU: "A", Quantity: decimal.New(rapid.Int64Range(1, 60).Draw(t, "quantity"), -1),
			UnitPrice: amount(100_000, "price"), Tax: amount(9_999, "tax"),
		}
		item.Discount = decimal.Min(amount(3_000, "line discount"), item.Extended(currency))
		order.Lines = append(order.Lines, item)
	}
	order.Discount = decimal.Min(amount(9_000, "discount"), order.Goods())
	if order.ComputedTotal().IsZero() {
		order.Shipping = decimal.New(1, -places)
	}
	order.Total = order.ComputedTotal()
	return order
}

func drawWish(t *rapid.T, order canonical.Order, left decimal.Decimal) canonical.RefundWish {
	places, err := canonical.MinorUnits(order.Currency)
	require.NoError(t, err)
	part := func(of decimal.Decimal, label string) *decimal.Decimal {
		units := of.Shift(places).IntPart()
		value := decimal.New(rapid.Int64Range(0, units+1).Draw(t, label), -places)
		return &value
	}
	if rapid.Bool().Draw(t, "by amount") {
		return canonical.RefundWish{Amount: part(left, "amount")}
	}
	wish := canonical.RefundWish{Lines: lines()}
	for i := range order.Lines {
		if rapid.Bool().Draw(t, "line") {
			wish.Lines = append(wish.Lines, canonical.RefundLine{Line: i + 1, Quantity: decimal.New(rapid.Int64Range(1, 30).Draw(t, "of it"), -1)})
		}
	}
	if rapid.Bool().Draw(t, "with shipping") {
		wish.Shipping = part(order.Shipping, "shipping of it")
	}
	return wish
}

// FuzzApportionRefund: whatever is wished of a refunded order, the answer is a sound part of it or a refusal.
func FuzzApportionRefund(f *testing.F) {
	f.Add("10.00", "", 1, "1", "0.01")
	f.Add("", "5.00", 2, "0.333333", "47.00")
	f.Add("1e999999", "-1e-99", -1, "1e12", "")
	f.Fuzz(func(t *testing.T, amount, shipping string, number int, quantity, before string) {
		var wish canonical.RefundWish
		read := func(text string) *decimal.Decimal {
			if d, err := decimal.NewFromString(text); err == nil {
				return &d
			}
			return nil
		}
		wish.Amount, wish.Shipping = read(amount), read(shipping)
		if d := read(quantity); d != nil {
			wish.Lines = lines(canonical.RefundLine{Line: number, Quantity: *d})
		}
		order := refundable()
		var earlier []canonical.RefundBreakdown
		if first, problems := canonical.ApportionRefund(order, nil, canonical.RefundWish{Amount: read(before)}); len(problems) == 0 {
			earlier = append(earlier, first)
		}
		b, problems := canonical.ApportionRefund(order, earlier, wish)
		if len(problems) > 0 {
			require.Equal(t, canonical.RefundBreakdown{}, b)
			return
		}
		for _, e := range earlier {
			require.True(t, b.Total.Add(e.Total).LessThanOrEqual(order.Total))
			require.True(t, b.Tax.Add(e.Tax).LessThanOrEqual(order.TaxTotal()))
			require.True(t, b.Shipping.Add(e.Shipping).LessThanOrEqual(order.Shipping))
		}
		require.True(t, b.Total.IsPositive())
	})
}
