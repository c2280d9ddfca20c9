package canonical_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
)

// testCards are the well-known test numbers of the brands.
var testCards = []string{
	"4111111111111111", "4622943127013705", "4222222222222", "2222420000001113", "5555555555554444", "378282246310005",
	"6011111111111117", "3566111111111113", "50339619890917", "586824160825533338", "6759411100000008", "135412345678911",
	"30569309025904", "36227206271667", "6200000000000005",
}

func pointers(t *testing.T, body string) []string {
	t.Helper()
	findings, err := canonical.FindCardNumbers([]byte(body))
	require.NoError(t, err)
	var found []string
	for _, finding := range findings {
		found = append(found, finding.Pointer)
	}
	return found
}

func TestCardsOfEveryBrandAreFound(t *testing.T) {
	for _, card := range testCards {
		require.Equal(t, []string{"/note"}, pointers(t, `{"note":"`+card+`"}`), card)
		require.Equal(t, []string{"/note"}, pointers(t, `{"note":`+card+`}`), "number "+card)
	}
}

func TestCardsInDisguise(t *testing.T) {
	cases := map[string]string{
		"spaces":              "4111 1111 1111 1111",
		"dashes":              "4111-1111-1111-1111",
		"dots":                "4111.1111.1111.1111",
		"slashes":             "4111/1111/1111/1111",
		"every digit apart":   "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
		"en dashes":           "4111–1111–1111–1111",
		"minus signs":         "4111−1111−1111−1111",
		"no-break spaces":     "4111\u00a01111\u202f1111\u30001111",
		"zero-width":          "4111\u200b1111\u200d1111\ufeff1111",
		"soft hyphens":        "4111\u00ad1111\u00ad1111\u00ad1111",
		"three separators":    "4111 - 1111 - 1111 - 1111",
		"new lines":           `4111\n1111\n1111\n1111`,
		"full-width digits":   "４１１１１１１１１１１１１１１１",
		"Arabic-Indic digits": "٤١١١١١١١١١١١١١١١",
		"Devanagari digits":   "४१११ ११११ ११११ ११११",
		"bold digits":         "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
		"escaped":             `\u0034111111111111111`,
		"in a sentence":       "please charge 4111 1111 1111 1111, exp 12/31, cvv 123",
		"with letters":        "card4111111111111111visa",
		"after an id":         "ref 17 4111111111111111",
		"with expiry":         "4111111111111111 12/31",
		"track data":          "%B4111111111111111^PARK/ADA^31121011?",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"/custom/note"}, pointers(t, `{"custom":{"note":"`+text+`"}}`))
		})
	}
}

func TestWhatShopsReallySendIsSpared(t *testing.T) {
	cases := map[string]string{
		"order id":              "WEB-10001",
		"long order id":         "2026112014032200017",
		"telephone":             "+1 415 555 0100",
		"telephone of 13":       "+4915123456789",
		"telephone like a Visa": "+42 2222 2222 222",
		"time":                  "2026-11-20T14:03:22.123456789Z",
		"milliseconds":          "1763647402000",
		"gateway id":            "7031234567890123456789",
		"uuid":                  "550e8400-e29b-41d4-a716-446655440000",
		"Luhn is wrong":         "4111111111111112",
		"no issuer":             "7010000000016241111",
		"twelve digits":         "411111111111",
		"masked":                "4111 11XX XXXX 1111",
		"too far apart":         "4111     1111     1111     1111",
		"ip address":            "203.0.113.7",
		"postal code":           "94105-1234",
		"amount":                "48.19",
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, pointers(t, `{"custom":{"note":"`+text+`"}}`))
		})
	}
	require.Empty(t, pointers(t, orderJSON()))
}

func TestFieldNamesAreSearchedAndNotEchoed(t *testing.T) {
	require.Equal(t, []string{"/custom/*"}, pointers(t, `{"custom":{"4111 1111 1111 1111":"x"}}`))
	require.Equal(t, []string{"/*", "/*/deep/0"}, pointers(t, `{"4111111111111111":{"deep":["5555555555554444"]}}`))
}

func TestPointersFollowRFC6901(t *testing.T) {
	require.Equal(t, []string{"/a~1b~0c/1/2"}, pointers(t, `{"x":[1,[2]],"a/b~c":[{"k":{}},[1,"y",4111111111111111]]}`))
	require.Equal(t, []string{""}, pointers(t, `"4111111111111111"`))
}

func TestExemptions(t *testing.T) {
	// An EAN of a German maker that is a 13-digit Visa number as well.
	const both = "4006381000093"
	sku := func(value string) string { return orderJSON(`"A100"`, `"`+value+`"`) }
	require.Equal(t, []string{"/note"}, pointers(t, `{"note":"`+both+`"}`))
	require.Empty(t, pointers(t, sku(both)))
	require.Empty(t, pointers(t, sku("4006381333931")))
	require.Equal(t, []string{"/lines/0/sku"}, pointers(t, sku("4111111111111111")))
	require.Equal(t, []string{"/lines/0/sku"}, pointers(t, sku("4222222222222")), "Luhn, but no GTIN")

	token := func(kind, value string) string {
		return orderJSON(`"type":"transient","value":"BROWSER_TOKEN"`, fmt.Sprintf(`"value":%q,"type":%q`, value, kind))
	}
	const hexWithCard = "4111111111111111aaaaaaaaaaaaaaaa"
	require.Empty(t, pointers(t, token("customer", hexWithCard)))
	require.Empty(t, pointers(t, token("instrumentIdentifier", "7010000000016241111")))
	for _, kind := range []string{"transient", "customer", "paymentInstrument", "instrumentIdentifier", "", "card"} {
		require.Equal(t, []string{"/payment/token/value"}, pointers(t, token(kind, "4111111111111111")), kind)
	}
	require.Equal(t, []string{"/payment/token/value"}, pointers(t, token("transient", hexWithCard)), "shape of another type")
}

func TestBodiesThatAreNotJSON(t *testing.T) {
	for name, body := range map[string]string{
		"cut off":         `{"note":"4111 1111 1111 1111"`,
		"form":            `card=4111111111111111&cvv=123`,
		"escaped":         `{"note":"\u0034111111111111111",`,
		"behind the end":  `{} 4111111111111111 x`,
		"broken encoding": "\xff\xfe4111111111111111",
		"utf-16":          "4\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x001\x00",
	} {
		t.Run(name, func(t *testing.T) {
			findings, err := canonical.FindCardNumbers([]byte(body))
			require.ErrorIs(t, err, canonical.ErrNotJSON)
			require.Equal(t, []canonical.Finding{{}}, findings)
		})
	}
	findings, err := canonical.FindCardNumbers([]byte(`{"note":`))
	require.ErrorIs(t, err, canonical.ErrNotJSON)
	require.Empty(t, findings)
}

func TestHostileBodiesStayCheap(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + "4111111111111111"
	findings, err := canonical.FindCardNumbers([]byte(deep))
	require.ErrorIs(t, err, canonical.ErrNotJSON)
	require.Len(t, findings, 1)

	wide := "[" + strings.Repeat(`"4111111111111111",`, 20_000) + "1]"
	findings, err = canonical.FindCardNumbers([]byte(wide))
	require.NoError(t, err)
	require.Len(t, findings, 100)

	findings, err = canonical.FindCardNumbers([]byte(`"` + strings.Repeat("1 ", 100_000) + `"`))
	require.NoError(t, err)
	require.Empty(t, findings)
}

func BenchmarkFindCardNumbers(b *testing.B) {
	body := []byte(orderJSON())
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := canonical.FindCardNumbers(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnyCardIsFoundWhereverItStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		card := rapid.SampledFrom(testCards).Draw(t, "card")
		separator := rapid.SampledFrom([]string{"", " ", "-", ".", "/", " - ", "\u2009", "\u2012"}).Draw(t, "separator")
		before := rapid.StringMatching(`[a-z :;#]{0,8}`).Draw(t, "before")
		after := rapid.StringMatching(`[a-z :;#]{0,8}`).Draw(t, "after")
		size := rapid.IntRange(1, 6).Draw(t, "size")
		var parts []string
		for rest := card; rest != ""; {
			n := min(size, len(rest))
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		text := before + strings.Join(parts, separator) + after
		body, err := json.Marshal(map[string]any{"a": []any{1, map[string]string{"b": text}}})
		require.NoError(t, err)
		findings, err := canonical.FindCardNumbers(body)
		require.NoError(t, err)
		require.Equal(t, []canonical.Finding{{Pointer: "/a/1/b"}}, findings)
	})
}

func FuzzFindCardNumbers(f *testing.F) {
	f.Add([]byte(orderJSON()))
	f.Add([]byte(`{"4111111111111111":["4111-1111-1111-1111",4111111111111111]}`))
	f.Add([]byte(`[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		findings, err := canonical.FindCardNumbers(body)
		if json.Valid(body) {
			require.NoError(t, err)
		}
		for _, finding := range findings {
			require.False(t, canonical.HoldsCardNumber(strings.NewReplacer("/", "x").Replace(finding.Pointer)))
		}
	})
}

func TestNumberSpreadOverSeveralValuesIsFound(t *testing.T) {
	found, err := canonical.FindCardNumbers([]byte(`{"orderId":"WEB-1"} 4111 1111 1111 1111`))
	require.ErrorIs(t, err, canonical.ErrNotJSON)
	require.Len(t, found, 1)
}
