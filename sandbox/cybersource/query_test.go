package cybersource

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

var queryNow = time.Date(2026, 1, 5, 8, 30, 15, 0, time.UTC)

func TestQueries(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	one := &transaction{
		ID: "7000000000000000000001", MerchantID: testMerchant, Reference: "ORD-1001", Currency: "USD", Amount: decimal.RequireFromString("102.21"),
		At: at("2026-01-05T08:00:01Z"), Card: card{Prefix: "411111", Suffix: "1111"},
		Details: transactionDetails{BillTo: address{LastName: "van Dyk", Email: "ada@example.com"}},
	}
	tests := map[string]bool{
		`clientReferenceInformation.code:ORD-1001`:                                                    true,
		`clientReferenceInformation.code:ORD-100`:                                                     false,
		`id:7000000000000000000001 AND clientReferenceInformation.code:ORD-1001`:                      true,
		`id:7000000000000000000002 OR clientReferenceInformation.code:ORD-1001`:                       true,
		`id:1 OR id:2 AND id:3`:                                                                       false,
		`(id:1 OR clientReferenceInformation.code:ORD-1001) AND merchantId:demo_mid`:                  true,
		`orderInformation.billTo.lastName:"van Dyk"`:                                                  true,
		`orderInformation.billTo.email:ada@example.com`:                                               true,
		`orderInformation.amountDetails.totalAmount:102.210`:                                          true,
		`orderInformation.amountDetails.totalAmount:[100 TO 103}`:                                     true,
		`orderInformation.amountDetails.totalAmount:{102.21 TO 103]`:                                  false,
		`orderInformation.amountDetails.currency:USD`:                                                 true,
		`paymentInformation.card.prefix:411111 AND paymentInformation.card.suffix:1111`:               true,
		`submitTimeUtc:[NOW/DAY-7DAYS TO NOW/DAY+1DAY}`:                                               true,
		`submitTimeUtc:[NOW/DAY+1DAY TO NOW+2DAYS]`:                                                   false,
		`submitTimeUtc:[NOW-1HOUR TO NOW]`:                                                            true,
		`submitTimeUtc:[NOW-10MINUTES TO NOW]`:                                                        false,
		`submitTimeUtc:[NOW/HOUR TO *]`:                                                               true,
		`submitTimeUtc:[* TO NOW/DAY}`:                                                                false,
		`submitTimeUtc:[1767600000000 TO 1767600060000]`:                                              true,
		`submitTimeUtc:[2026-01-05 TO 2026-01-05T08:00:01Z]`:                                          true,
		`submitTimeUtc:[2026-01-05 TO 2026-01-05T08:00:01Z}`:                                          false,
		`submitTimeUtc:2026-01-05T08:00:01Z`:                                                          true,
		`submitTimeUtc:[NOW/MONTH TO NOW/YEAR+1YEAR}`:                                                 true,
		"clientReferenceInformation.code:ORD-1001\nAND submitTimeUtc:[NOW/DAY-7DAYS TO NOW/DAY+1DAY}": true,
	}
	for text, want := range tests {
		parsed, err := parseQuery(text, queryNow, time.UTC)
		require.NoError(t, err, text)
		require.Equal(t, want, parsed.matches(one), text)
	}
}

func TestDaysBeginInTheTimeZone(t *testing.T) {
	zone, err := time.LoadLocation("America/Los_Angeles")
	require.NoError(t, err)
	at, err := parseSearchTime("NOW/DAY", time.Date(2026, 1, 5, 7, 0, 0, 0, time.UTC), zone)
	require.NoError(t, err)
	require.Equal(t, "2026-01-04T08:00:00Z", at.UTC().Format(time.RFC3339))
}

func TestMalformedQueries(t *testing.T) {
	for _, text := range []string{
		``, ` `, `code`, `:x`, `id:`, `id:1 AND`, `AND id:1`, `id:1 id:2`, `(id:1`, `id:1)`, `()`, `id:"1`, `id:[1 TO 2`, `id:[1 2]`,
		`clientReferenceInformation.transactionId:1`, `nonsense:1`, `submitTimeUtc:yesterday`, `submitTimeUtc:[NOW/WEEK TO NOW]`,
		`submitTimeUtc:NOW+1`, `submitTimeUtc:NOW-999999DAYS`, `orderInformation.amountDetails.totalAmount:-1`,
		`orderInformation.amountDetails.totalAmount:1e9`, `id:1 and id:2`, strings.Repeat("(", 100) + "id:1" + strings.Repeat(")", 100),
		strings.Repeat("id:1 OR ", 1000) + "id:1",
	} {
		_, err := parseQuery(text, queryNow, time.UTC)
		require.Error(t, err, text)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(`clientReferenceInformation.code:ORD-1001 AND submitTimeUtc:[NOW/DAY-7DAYS TO NOW/DAY+1DAY}`)
	f.Add(`(id:"a b" OR id:2) AND orderInformation.amountDetails.totalAmount:{1 TO *]`)
	f.Add(`submitTimeUtc:NOW/DAY+99999YEARS`)
	one := &transaction{ID: "1", Reference: "x", Currency: "USD", At: queryNow}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseQuery(text, queryNow, time.UTC)
		if err != nil {
			return
		}
		b := newBooks()
		one.RootID = one.ID
		b.add(one)
		// An index must never lose what a scan would find.
		if found, indexed := parsed.candidates(b, one.MerchantID); indexed && parsed.matches(one) && len(found) == 0 {
			t.Fatalf("%q matches but is not among the candidates", text)
		}
	})
}
