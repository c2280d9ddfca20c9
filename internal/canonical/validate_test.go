package canonical_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
)

func decode(t *testing.T, body string) (canonical.Order, []string) {
	t.Helper()
	order, problems, err := canonical.DecodeOrder(strings.NewReader(body))
	require.NoError(t, err)
	var found []string
	for _, p := range problems {
		require.NotEmpty(t, p.Message)
		found = append(found, p.Pointer+" "+p.Rule)
	}
	return order, found
}

func TestDecodeTakesTheOrderOfTheShop(t *testing.T) {
	order, found := decode(t, orderJSON())
	require.Empty(t, found)
	require.Equal(t, "WEB-10001", order.OrderID)
	require.True(t, order.Total.Equal(decimal.RequireFromString("48.19")))
	require.Equal(t, canonical.TokenTransient, order.Payment.Token.Type)
	require.Equal(t, "0015", order.Custom["crmAccount"])
}

func TestNumbersAreTakenExactly(t *testing.T) {
	order, found := decode(t, orderJSON(`"unitPrice":"19.95"`, `"unitPrice":19.95`, `"total":"48.19"`, `"total":4819e-2`))
	require.Empty(t, found)
	require.Equal(t, "19.95", order.Lines[0].UnitPrice.String())
	require.Equal(t, "48.19", order.Total.String())
}

func TestEachRule(t *testing.T) {
	const hex32 = "F45FB3E443AC3C57E053A2598D0A9CFF"
	token := func(kind, value string) []string {
		return []string{`"type":"transient","value":"BROWSER_TOKEN"`, fmt.Sprintf(`"type":%q,"value":%q`, kind, value)}
	}
	cases := map[string]struct {
		replace []string
		want    []string
	}{
		"no order id":            {[]string{`"WEB-10001"`, `""`}, []string{"/orderId required"}},
		"order id too long":      {[]string{`WEB-10001`, strings.Repeat("A", 31)}, []string{"/orderId pattern"}},
		"order id with a slash":  {[]string{`WEB-10001`, "WEB/1"}, []string{"/orderId pattern"}},
		"no channel":             {[]string{`"web-us"`, `""`}, []string{"/channel required"}},
		"no time":                {[]string{`"placedAt":"2026-11-20T14:03:22Z",`, ``}, []string{"/placedAt required"}},
		"time without zone":      {[]string{`14:03:22Z`, `14:03:22`}, []string{"/placedAt type"}},
		"unknown currency":       {[]string{`"USD"`, `"ABC"`}, []string{"/currency currency"}},
		"lower-case currency":    {[]string{`"USD"`, `"usd"`}, []string{"/currency currency"}},
		"withdrawn currency":     {[]string{`"USD"`, `"DEM"`}, []string{"/currency currency"}},
		"gold is no currency":    {[]string{`"USD"`, `"XAU"`}, []string{"/currency currency"}},
		"minor units of the yen": {[]string{`"USD"`, `"JPY"`}, []string{"/lines/0/tax scale", "/total scale", "/total total_mismatch"}},
		"no customer": {[]string{`"id":"C-2001"`, `"id":""`, `"firstName":"Ada"`, `"firstName":" "`},
			[]string{"/customer/id required", "/customer/firstName required"}},
		"company needs no person": {[]string{`"company":""`, `"company":"Acme"`, `"firstName":"Ada","lastName":"Park"`, `"firstName":"","lastName":""`}, nil},
		"email without at":        {[]string{`ada@example.com`, `ada.example.com`}, []string{"/customer/email email"}},
		"email without domain":    {[]string{`ada@example.com`, `ada@localhost`}, []string{"/customer/email email"}},
		"two emails":              {[]string{`ada@example.com`, `a@example.com,b@example.com`}, []string{"/customer/email email"}},
		"phone of letters":        {[]string{`+1 415 555 0100`, `call me`}, []string{"/customer/phone pattern"}},
		"phone with extension":    {[]string{`+1 415 555 0100`, `(415) 555-0100 ext. 12`}, nil},
		"unknown country":         {[]string{`"San Francisco","region":"CA","postalCode":"94105","country":"US"`, `"X","region":"CA","postalCode":"94105","country":"UK"`}, []string{"/billTo/country country"}},
		"no region":               {[]string{`"Oakland","region":"CA"`, `"Oakland","region":""`}, []string{"/shipTo/region required"}},
		"unknown region":          {[]string{`"Oakland","region":"CA"`, `"Oakland","region":"ZZ"`}, []string{"/shipTo/region region"}},
		"region written out":      {[]string{`"Oakland","region":"CA"`, `"Oakland","region":"California"`}, []string{"/shipTo/region region"}},
		"US postal code":          {[]string{`94607`, `9460`}, []string{"/shipTo/postalCode postal_code"}},
		"no US postal code":       {[]string{`"94607"`, `""`}, []string{"/shipTo/postalCode required"}},
		"US postal code plus 4":   {[]string{`94607`, `94607-1234`}, nil},
		"Canadian address":        {[]string{`"Oakland","region":"CA","postalCode":"94607","country":"US"`, `"Ottawa","region":"ON","postalCode":"K1A 0B1","country":"CA"`}, nil},
		"Canadian postal code":    {[]string{`"Oakland","region":"CA","postalCode":"94607","country":"US"`, `"Ottawa","region":"ON","postalCode":"K1A0B1","country":"CA"`}, []string{"/shipTo/postalCode postal_code"}},
		"British address":         {[]string{`"Oakland","region":"CA","postalCode":"94607","country":"US"`, `"London","postalCode":"SW1A 1AA","country":"GB"`}, nil},
		"address without city":    {[]string{`"Oakland"`, `""`}, []string{"/shipTo/city required"}},
		"address line too long":   {[]string{`2 Pier Rd`, strings.Repeat("x", 61)}, []string{"/shipTo/line1 max_length"}},
		"control character":       {[]string{`2 Pier Rd`, `2 Pier\u0007Rd`}, []string{"/shipTo/line1 control_character"}},
		"direction override":      {[]string{`2 Pier Rd`, `2 Pier\u202eRd`}, []string{"/shipTo/line1 control_character"}},
		"no lines":                {[]string{`[{"sku":"A100","description":"Widget","quantity":"2","unitPrice":"19.95","discount":"0.00","tax":"3.29"}]`, `[]`}, []string{"/lines required"}},
		"no sku":                  {[]string{`"A100"`, `""`}, []string{"/lines/0/sku required"}},
		"negative quantity":       {[]string{`"quantity":"2"`, `"quantity":"-2"`}, []string{"/lines/0/quantity minimum", "/total total_mismatch"}},
		"zero quantity":           {[]string{`"quantity":"2"`, `"quantity":"0"`}, []string{"/lines/0/quantity minimum", "/total total_mismatch"}},
		"quantity left out":       {[]string{`"quantity":"2",`, ``}, []string{"/lines/0/quantity required"}},
		"price left out":          {[]string{`"unitPrice":"19.95",`, ``}, []string{"/lines/0/unitPrice required"}},
		"quantity too fine":       {[]string{`"quantity":"2"`, `"quantity":"2.0000001"`}, []string{"/lines/0/quantity scale"}},
		"price too fine":          {[]string{`"19.95"`, `"19.950001"`}, []string{"/lines/0/unitPrice scale"}},
		"trailing zeros are fine": {[]string{`"19.95"`, `"19.95000000"`}, nil},
		"negative price":          {[]string{`"19.95"`, `"-19.95"`}, []string{"/lines/0/unitPrice minimum", "/total total_mismatch"}},
		"line discount too large": {[]string{`"discount":"0.00","tax"`, `"discount":"40.00","tax"`}, []string{"/lines/0/discount maximum", "/total total_mismatch"}},
		"negative tax":            {[]string{`"3.29"`, `"-3.29"`, `"48.19"`, `"41.61"`}, []string{"/lines/0/tax minimum"}},
		"discount beyond lines":   {[]string{`"discount":"0.00","total":"48.19"`, `"discount":"40.00","total":"8.19"`}, []string{"/discount maximum"}},
		"wrong total":             {[]string{`"48.19"`, `"48.20"`}, []string{"/total total_mismatch"}},
		"total of zero":           {[]string{`"48.19"`, `"0.00"`}, []string{"/total minimum", "/total total_mismatch"}},
		"huge amount":             {[]string{`"48.19"`, `"99999999999999"`}, []string{"/total maximum"}},
		"huge exponent":           {[]string{`"48.19"`, `1e999999999`}, []string{"/total type"}},
		"amount of words":         {[]string{`"48.19"`, `"48,19"`}, []string{"/total type"}},
		"unknown capture":         {[]string{`"immediate"`, `"later"`}, []string{"/payment/capture enum"}},
		"no token":                {token("transient", ""), []string{"/payment/token/value required"}},
		"unknown token type":      {token("card", hex32), []string{"/payment/token/type enum"}},
		"no jwt":                  {token("transient", "abc.def.ghi"), []string{"/payment/token/value token_shape"}},
		"customer token":          {token("customer", hex32), nil},
		"instrument token":        {token("paymentInstrument", hex32), nil},
		"customer token of 31":    {token("customer", hex32[1:]), []string{"/payment/token/value token_shape"}},
		"identifier of digits":    {token("instrumentIdentifier", "7010000000016241111"), nil},
		"identifier in hex":       {token("instrumentIdentifier", hex32), nil},
		"card as identifier":      {token("instrumentIdentifier", "4111111111111111"), []string{"/payment/token/value card_number"}},
		"card as transient":       {token("transient", "4111 1111 1111 1111"), []string{"/payment/token/value card_number"}},
		"card as unknown type":    {token("pan", "4111111111111111"), []string{"/payment/token/type enum", "/payment/token/value card_number"}},
		"no address":              {[]string{`203.0.113.7`, `localhost`}, []string{"/device/ipAddress ip_address"}},
		"IPv6":                    {[]string{`203.0.113.7`, `2001:db8::1`}, nil},
		"data field 0":            {[]string{`"1":"web"`, `"0":"web"`}, []string{"/merchantDefinedData/0 pattern"}},
		"data field 101":          {[]string{`"1":"web"`, `"101":"web"`}, []string{"/merchantDefinedData/101 pattern"}},
		"data field 01":           {[]string{`"1":"web"`, `"01":"web"`}, []string{"/merchantDefinedData/01 pattern"}},
		"data too long":           {[]string{`"web"`, `"` + strings.Repeat("x", 256) + `"`}, []string{"/merchantDefinedData/1 max_length"}},
		"custom name":             {[]string{`crmAccount`, `crm account`}, []string{"/custom/crm account pattern"}},
		"custom too long":         {[]string{`"0015"`, `"` + strings.Repeat("x", 1001) + `"`}, []string{"/custom/crmAccount max_length"}},
		"unknown field":           {[]string{`"total"`, `"coupon":"X","total"`}, []string{"/coupon unknown_field"}},
		"field of other case":     {[]string{`"orderId"`, `"orderID"`}, []string{"/orderID unknown_field", "/orderId required"}},
		"duplicate field":         {[]string{`"total"`, `"currency":"EUR","total"`}, []string{"/currency duplicate_field"}},
		"duplicate in a map":      {[]string{`"1":"web"`, `"1":"web","1":"app"`}, []string{"/merchantDefinedData/1 duplicate_field"}},
		"wrong type":              {[]string{`"A100"`, `100`}, []string{"/lines/0/sku type"}},
		"object expected":         {[]string{`"device":{"ipAddress":"203.0.113.7","fingerprintSessionId":"","userAgent":""}`, `"device":[]`}, []string{"/device type"}},
		"boolean expected":        {[]string{`"saveCard":false`, `"saveCard":"no"`}, []string{"/payment/saveCard type"}},
		"escaped pointer":         {[]string{`"crmAccount"`, `"a/b~c"`}, []string{"/custom/a~1b~0c pattern"}},
		"null is as absent":       {[]string{`"203.0.113.7"`, `null`}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, found := decode(t, orderJSON(c.replace...))
			require.Equal(t, c.want, found)
		})
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	_, found := decode(t, `{"orderId":"a b","currency":"X","nonsense":1,"lines":[{"sku":7,"quantity":"0","unitPrice":"-1"}],"total":"0"}`)
	require.Subset(t, found, []string{"/orderId pattern", "/currency currency", "/nonsense unknown_field", "/lines/0/sku type",
		"/lines/0/quantity minimum", "/lines/0/unitPrice minimum", "/customer/email required", "/billTo/country required",
		"/payment/token/value required"})
}

func TestMalformedDocuments(t *testing.T) {
	cases := map[string]struct{ body, want string }{
		"empty":         {"", " malformed_json"},
		"cut off":       {`{"orderId":"WEB`, " malformed_json"},
		"words":         {`hello`, " malformed_json"},
		"trailing":      {orderJSON() + `{}`, " trailing_data"},
		"trailing junk": {orderJSON() + `x`, " trailing_data"},
		"deep":          {strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), " too_deep"},
		"deep arrays":   {strings.Repeat(`[`, 100000), " too_deep"},
		"an array":      {`[]`, " type"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, found := decode(t, c.body)
			require.Equal(t, []string{c.want}, found)
		})
	}
}

func TestMalformedNamesTheOffset(t *testing.T) {
	_, problems, err := canonical.DecodeOrder(strings.NewReader(`{"orderId" "x"}`))
	require.NoError(t, err)
	require.Contains(t, problems[0].Message, "at byte 11")
}

func TestReaderErrorsAreErrors(t *testing.T) {
	_, _, err := canonical.DecodeOrder(io.MultiReader(strings.NewReader(`{`), iotest.ErrReader(errors.New("cut"))))
	require.ErrorContains(t, err, "cut")
}

func TestTenThousandLinesAreRefusedInOneSentence(t *testing.T) {
	line := `{"sku":"A100","description":"Widget","quantity":"-2","unitPrice":"19.95"}`
	body := orderJSON(`[{"sku"`, `[`+strings.Repeat(line+`,`, 9999)+`{"sku"`)
	_, problems, err := canonical.DecodeOrder(strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, []canonical.Problem{{Pointer: "/lines", Rule: "max_items", Message: "has 10000 lines, at most 500 are taken"}}, problems)

	order, _ := decode(t, orderJSON())
	order.Lines = make([]canonical.LineItem, 10000)
	require.Equal(t, "/lines", order.Validate()[0].Pointer)
	require.Len(t, order.Validate(), 1)
}

func TestMessagesNeverRepeatTokensOrCards(t *testing.T) {
	body := orderJSON("BROWSER_TOKEN", "4111111111111111", "crmAccount", "4111 1111 1111 1111", `"0015"`, `4111111111111111`)
	_, problems, err := canonical.DecodeOrder(strings.NewReader(body))
	require.NoError(t, err)
	require.NotEmpty(t, problems)
	require.NotContains(t, fmt.Sprintf("%+v", problems), "1111")
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add(orderJSON())
	f.Add(`{"lines":[null],"custom":{"a":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		order, problems, err := canonical.DecodeOrder(strings.NewReader(body))
		require.NoError(t, err)
		if len(problems) == 0 {
			require.Empty(t, order.Validate())
			require.True(t, order.Total.Equal(order.ComputedTotal()))
		}
		canonical.Hash(order)
	})
}
