package canonical_test

import (
	"encoding/base64"
	"strings"
)

// browserToken has the shape of the gateway's transient tokens.
var browserToken = strings.Join([]string{
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"08"}`)),
	base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"Flex/00","type":"mf-2.0.0","jti":"1E4W1OTMQ65V8MA3DXJJUF1E5R7F0C6N2Q4K9L8Z7Y6X5W4V3U2T1S0R"}`)),
	base64.RawURLEncoding.EncodeToString([]byte("signature")),
}, ".")

// orderJSON is a valid order; replacements come in pairs, as for strings.NewReplacer.
func orderJSON(replacements ...string) string {
	const order = `{"orderId":"WEB-10001","channel":"web-us","placedAt":"2026-11-20T14:03:22Z","currency":"USD","customerPoNumber":"",
 "customer":{"id":"C-2001","erpCode":"","company":"","email":"ada@example.com","firstName":"Ada","lastName":"Park","phone":"+1 415 555 0100"},
 "billTo":{"name":"Ada Park","line1":"1 Market St","city":"San Francisco","region":"CA","postalCode":"94105","country":"US"},
 "shipTo":{"name":"Ada Park","line1":"2 Pier Rd","city":"Oakland","region":"CA","postalCode":"94607","country":"US"},
 "lines":[{"sku":"A100","description":"Widget","quantity":"2","unitPrice":"19.95","discount":"0.00","tax":"3.29"}],
 "shipping":"5.00","discount":"0.00","total":"48.19",
 "payment":{"token":{"type":"transient","value":"BROWSER_TOKEN"},"capture":"immediate","saveCard":false},
 "device":{"ipAddress":"203.0.113.7","fingerprintSessionId":"","userAgent":""},
 "merchantDefinedData":{"1":"web","2":"gold"},"custom":{"crmAccount":"0015"}}`
	replaced := strings.NewReplacer(replacements...).Replace(order)
	return strings.ReplaceAll(replaced, "BROWSER_TOKEN", browserToken)
}
