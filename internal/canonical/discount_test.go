package canonical_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
)

func amounts(values ...string) []decimal.Decimal {
	list := make([]decimal.Decimal, len(values))
	for i, value := range values {
		list[i] = decimal.RequireFromString(value)
	}
	return list
}

func texts(list []decimal.Decimal, currency string) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = canonical.FormatAmount(d, currency)
	}
	return out
}

func TestApportion(t *testing.T) {
	cases := map[string]struct {
		amount, currency string
		weights          []decimal.Decimal
		want             []string
	}{
		"thirds":                  {"10.00", "USD", amounts("20", "20", "20"), []string{"3.34", "3.33", "3.33"}},
		"largest remainder first": {"1.00", "USD", amounts("1.00", "2.00", "3.50"), []string{"0.15", "0.31", "0.54"}},
		"yen":                     {"100", "JPY", amounts("1", "199", "100"), []string{"1", "66", "33"}},
		"dinar":                   {"0.001", "KWD", amounts("1", "2"), []string{"0.000", "0.001"}},
		"free lines get nothing":  {"5", "USD", amounts("0", "5"), []string{"0.00", "5.00"}},
		"all of it":               {"6", "USD", amounts("1", "5"), []string{"1.00", "5.00"}},
		"none":                    {"0", "USD", amounts("1", "5"), []string{"0.00", "0.00"}},
		"more than there is":      {"7", "USD", amounts("1", "5"), []string{"0.00", "0.00"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			shares := canonical.Apportion(decimal.RequireFromString(c.amount), c.weights, c.currency)
			require.Equal(t, c.want, texts(shares, c.currency))
		})
	}
}

func TestApportionedDiscountSumsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]string{"USD", "JPY", "KWD"}).Draw(t, "currency")
		places, err := canonical.MinorUnits(currency)
		require.NoError(t, err)
		o := canonical.Order{Currency: currency}
		for range rapid.IntRange(1, 40).Draw(t, "lines") {
			o.Lines = append(o.Lines, canonical.LineItem{
				Quantity:  decimal.New(rapid.Int64Range(1, 5000).Draw(t, "quantity"), -2),
				UnitPrice: decimal.New(rapid.Int64Range(0, 500000).Draw(t, "price"), -3),
			})
		}
		units := o.Goods().Shift(places).IntPart()
		o.Discount = decimal.New(rapid.Int64Range(0, units).Draw(t, "discount"), -places)
		shares := canonical.ApportionDiscount(o)
		sum := decimal.Zero
		for i, share := range shares {
			require.False(t, share.IsNegative())
			require.True(t, share.Equal(share.Truncate(places)))
			require.True(t, share.LessThanOrEqual(o.Lines[i].Extended(currency)))
			sum = sum.Add(share)
		}
		require.True(t, sum.Equal(o.Discount), "%s spread as %s", o.Discount, sum)
	})
}

func TestHashIsOfWhatIsSaid(t *testing.T) {
	order, _ := decode(t, orderJSON())
	same, _ := decode(t, orderJSON(`"48.19"`, `48.190`, `"19.95"`, `"19.9500"`, `14:03:22Z`, `15:03:22+01:00`, `"quantity":"2"`, "\n \"quantity\" : 2.0"))
	require.Equal(t, canonical.Hash(order), canonical.Hash(same))
	require.Regexp(t, "^[0-9a-f]{64}$", canonical.Hash(order))

	moved, _ := decode(t, `{"total":"48.19",`+orderJSON(`"total":"48.19",`, ``, `{"orderId"`, `"orderId"`))
	require.Equal(t, canonical.Hash(order), canonical.Hash(moved))

	for _, change := range [][]string{{`"48.19"`, `"48.18"`}, {`Widget`, `widget`}, {`"1":"web"`, `"3":"web"`}, {`14:03:22Z`, `14:03:23Z`}, {`C-2001`, `C-2002`}} {
		other, _ := decode(t, orderJSON(change...))
		require.NotEqual(t, canonical.Hash(order), canonical.Hash(other), change)
	}
	order.PlacedAt = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NotPanics(t, func() { canonical.Hash(order) })
}

func TestMinorUnitsFollowISO4217(t *testing.T) {
	for code, want := range map[string]int32{"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "JOD": 3,
		"IQD": 3, "TND": 3, "RSD": 2, "HUF": 2, "TWD": 2, "IDR": 2, "PKR": 2, "COP": 2, "VND": 0, "XOF": 0, "UGX": 0, "OMR": 3, "LYD": 3,
		"AFN": 2, "ALL": 2, "BIF": 0, "DJF": 0, "GNF": 0, "KMF": 0, "PYG": 0, "RWF": 0, "VUV": 0, "XAF": 0, "XPF": 0, "CRC": 2, "LBP": 2,
		"SOS": 2, "ZWG": 2, "XCG": 2, "NOK": 2, "SEK": 2, "CZK": 2, "LAK": 2, "MMK": 2, "GYD": 2, "TZS": 2, "UZS": 2, "YER": 2} {
		places, err := canonical.MinorUnits(code)
		require.NoError(t, err, code)
		require.Equal(t, want, places, code)
	}
	for _, code := range []string{"", "usd", "US", "ABC", "DOLLAR"} {
		_, err := canonical.MinorUnits(code)
		require.Error(t, err, code)
	}
}
