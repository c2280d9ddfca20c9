package cybersource

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAuthorizationReply(t *testing.T) {
	g := newGateway(t)
	a := g.pay(nil)
	id := a.id()
	require.Regexp(t, `^\d{22}$`, id)
	require.Equal(t, "AUTHORIZED", a.text("status"))
	require.Equal(t, "ORD-1001", a.text("clientReferenceInformation.code"))
	require.Equal(t, "102.21", a.text("orderInformation.amountDetails.authorizedAmount"))
	require.Equal(t, "USD", a.text("orderInformation.amountDetails.currency"))
	require.Nil(t, a.at("orderInformation.amountDetails.totalAmount"))
	require.Equal(t, "2026-01-05T08:00:00Z", a.text("submitTimeUtc"))
	require.Equal(t, "001", a.text("paymentInformation.card.type"))
	require.Regexp(t, `^[0-9A-Z]{16}$`, a.text("reconciliationId"))
	require.Len(t, a.text("processorInformation.approvalCode"), 6)
	require.Regexp(t, `^\d{15}$`, a.text("processorInformation.networkTransactionId"))
	require.Equal(t, "/pts/v2/payments/"+id+"/reversals", a.text("_links.authReversal.href"))
	require.Equal(t, "/pts/v2/payments/"+id+"/captures", a.text("_links.capture.href"))
	require.Equal(t, "/pts/v2/payments/"+id, a.text("_links.self.href"))
	require.Nil(t, a.at("errorInformation"))
}

func TestSaleReply(t *testing.T) {
	g := newGateway(t)
	a := g.pay(sale(nil))
	require.Equal(t, "AUTHORIZED", a.text("status"))
	require.Equal(t, "102.21", a.text("orderInformation.amountDetails.totalAmount"))
	require.Equal(t, "102.21", a.text("orderInformation.amountDetails.authorizedAmount"))
	require.Equal(t, "/pts/v2/payments/"+a.id()+"/voids", a.text("_links.void.href"))
	require.Nil(t, a.at("_links.capture"))
	require.Nil(t, a.at("_links.authReversal"))
	require.Equal(t, LedgerEntry{
		ID: a.id(), Kind: "sale", Status: "AUTHORIZED", Amount: "102.21", Currency: "USD", Reference: "ORD-1001", At: g.clock.Now(),
		Held: "0.00", MerchantID: testMerchant,
	}, g.entry(a.id()))
}

func TestReferenceIsMadeUpWhenMissing(t *testing.T) {
	g := newGateway(t)
	a := g.pay(map[string]any{"clientReferenceInformation": nil})
	require.Equal(t, "1767600000000", a.text("clientReferenceInformation.code"))
}

func TestPaymentValidation(t *testing.T) {
	const bill, ship, card, order = "orderInformation.billTo.", "orderInformation.shipTo.", "paymentInformation.card.", "orderInformation.amountDetails."
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := map[string]struct {
		changes map[string]any
		reason  string
		fields  []string // empty: none are named
	}{
		"nothing at all": {map[string]any{"orderInformation": nil, "paymentInformation": nil}, "MISSING_FIELD", []string{
			order + "currency", card + "number", card + "expirationMonth", card + "expirationYear", bill + "firstName", bill + "lastName",
			bill + "address1", bill + "locality", bill + "postalCode", bill + "country", bill + "email"}},
		"no amount":                {map[string]any{order + "totalAmount": nil}, "MISSING_FIELD", []string{order + "totalAmount"}},
		"no e-mail":                {map[string]any{bill + "email": nil}, "MISSING_FIELD", []string{bill + "email"}},
		"no state in the US":       {map[string]any{bill + "administrativeArea": nil}, "MISSING_FIELD", []string{bill + "administrativeArea"}},
		"missing goes first":       {map[string]any{bill + "email": nil, bill + "country": "usa"}, "MISSING_FIELD", []string{bill + "country", bill + "email"}},
		"negative amount":          {map[string]any{order + "totalAmount": "-1"}, "INVALID_DATA", []string{order + "totalAmount"}},
		"amount too large":         {map[string]any{order + "totalAmount": "100000000000"}, "INVALID_DATA", []string{order + "totalAmount"}},
		"amount with separators":   {map[string]any{order + "totalAmount": "1,000.00"}, "INVALID_DATA", []string{order + "totalAmount"}},
		"amount with exponent":     {map[string]any{order + "totalAmount": "1e3"}, "INVALID_DATA", []string{order + "totalAmount"}},
		"amount as a number":       {map[string]any{order + "totalAmount": json.Number("10.5")}, "INVALID_DATA", []string{order + "totalAmount"}},
		"amount of 20 characters":  {map[string]any{order + "totalAmount": "00000000000000010.00"}, "INVALID_DATA", []string{order + "totalAmount"}},
		"unknown currency":         {map[string]any{order + "currency": "XQZ"}, "INVALID_DATA", []string{order + "currency"}},
		"currency in lower case":   {map[string]any{order + "currency": "usd"}, "INVALID_DATA", []string{order + "currency"}},
		"sale of nothing":          {sale(map[string]any{order + "totalAmount": "0.00"}), "INVALID_DATA", []string{order + "totalAmount"}},
		"21 digits":                {map[string]any{card + "number": "411111111111111111111"}, "INVALID_DATA", []string{card + "number"}},
		"bad check digit":          {map[string]any{card + "number": "4111111111111112"}, "INVALID_DATA", []string{card + "number"}},
		"month 13":                 {map[string]any{card + "expirationMonth": "13"}, "INVALID_DATA", []string{card + "expirationMonth"}},
		"year 1998":                {map[string]any{card + "expirationYear": "1998"}, "INVALID_DATA", []string{card + "expirationYear"}},
		"security code of 5":       {map[string]any{card + "securityCode": "12345"}, "INVALID_DATA", []string{card + "securityCode"}},
		"card of another type":     {map[string]any{card + "type": "002"}, "INVALID_CARD_TYPE", nil},
		"unknown network":          {map[string]any{card + "number": "9111111111111111", card + "type": nil}, "CARD_TYPE_NOT_ACCEPTED", nil},
		"reference of 51":          {map[string]any{"clientReferenceInformation.code": long(51)}, "INVALID_DATA", []string{"clientReferenceInformation.code"}},
		"transactionId of 31":      {map[string]any{"clientReferenceInformation.transactionId": long(31)}, "INVALID_DATA", []string{"clientReferenceInformation.transactionId"}},
		"first name of 61":         {map[string]any{bill + "firstName": long(61)}, "INVALID_DATA", []string{bill + "firstName"}},
		"locality of 51":           {map[string]any{bill + "locality": long(51)}, "INVALID_DATA", []string{bill + "locality"}},
		"phone of 16":              {map[string]any{bill + "phoneNumber": long(16)}, "INVALID_DATA", []string{bill + "phoneNumber"}},
		"e-mail without a domain":  {map[string]any{bill + "email": "ada"}, "INVALID_DATA", []string{bill + "email"}},
		"postal code of the US":    {map[string]any{bill + "postalCode": "9410"}, "INVALID_DATA", []string{bill + "postalCode"}},
		"postal code of Canada":    {map[string]any{bill + "country": "CA", bill + "administrativeArea": "ON", bill + "postalCode": "A1B2C3"}, "INVALID_DATA", []string{bill + "postalCode"}},
		"state spelt out":          {map[string]any{bill + "administrativeArea": "California"}, "INVALID_DATA", []string{bill + "administrativeArea"}},
		"ship-to state of 3":       {map[string]any{ship + "country": "GB", ship + "administrativeArea": "LND", ship + "postalCode": "E1"}, "INVALID_DATA", []string{ship + "administrativeArea"}},
		"user agent of 41":         {map[string]any{"deviceInformation.userAgent": long(41)}, "INVALID_DATA", []string{"deviceInformation.userAgent"}},
		"merchant data of 256":     {map[string]any{"merchantDefinedInformation": []any{map[string]any{"key": "1", "value": long(256)}}}, "INVALID_DATA", []string{"merchantDefinedInformation[0].value"}},
		"merchant data key 101":    {map[string]any{"merchantDefinedInformation": []any{map[string]any{"key": "101", "value": "x"}}}, "INVALID_DATA", []string{"merchantDefinedInformation[0].key"}},
		"line item without a name": {map[string]any{"orderInformation.lineItems": []any{map[string]any{"productCode": "electronic_good", "productSku": "A", "quantity": 1}}}, "MISSING_FIELD", []string{"orderInformation.lineItems[0].productName"}},
		"long line item price":     {map[string]any{"orderInformation.lineItems": []any{map[string]any{"unitPrice": "1000000000000.00"}}}, "INVALID_DATA", []string{"orderInformation.lineItems[0].unitPrice"}},
		"wrong token type":         {map[string]any{"processingInformation.actionTokenTypes": []any{"card"}}, "INVALID_DATA", []string{"processingInformation.actionTokenTypes"}},
		"unknown browser token":    {map[string]any{"tokenInformation.transientTokenJwt": "a.b.c"}, "INVALID_DATA", []string{"tokenInformation.transientTokenJwt"}},
		"unknown token id":         {map[string]any{"tokenInformation.jti": "1F"}, "INVALID_DATA", []string{"tokenInformation.jti"}},
		"unknown customer":         {map[string]any{"paymentInformation": map[string]any{"customer": map[string]any{"id": "F45F"}}}, "INVALID_DATA", []string{"paymentInformation.customer.id"}},
		"unknown instrument":       {map[string]any{"paymentInformation": map[string]any{"paymentInstrument": map[string]any{"id": "F45F"}}}, "INVALID_DATA", []string{"paymentInformation.paymentInstrument.id"}},
		"unknown identifier":       {map[string]any{"paymentInformation": map[string]any{"instrumentIdentifier": map[string]any{"id": "7010"}}}, "INVALID_DATA", []string{"paymentInformation.instrumentIdentifier.id"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			a := g.post("/pts/v2/payments", payment(test.changes))
			require.Equal(t, http.StatusBadRequest, a.status, a.raw)
			require.Equal(t, "INVALID_REQUEST", a.text("status"))
			require.Equal(t, test.reason, a.text("reason"))
			require.NotEmpty(t, a.text("message"))
			require.Equal(t, test.fields, a.fields())
			require.Empty(t, g.server.Ledger().Transactions, "a refused request leaves nothing behind")
		})
	}
}

func TestMalformedBodyIsRefusedWithoutEcho(t *testing.T) {
	g := newGateway(t)
	for _, body := range []string{`{"paymentInformation":{"card":{"number":4111111111111111}}}`, `{"paymentInformation":`, `[4111111111111111]`, `"4111111111111111"`} {
		a := g.post("/pts/v2/payments", body)
		require.Equal(t, 400, a.status)
		require.NotContains(t, a.raw, "4111111111111111")
	}
}

func TestTestCards(t *testing.T) {
	for _, number := range testCards {
		t.Run(number[:6], func(t *testing.T) {
			g := newGateway(t)
			a := g.pay(map[string]any{"paymentInformation.card.number": number, "paymentInformation.card.type": nil})
			require.Equal(t, "AUTHORIZED", a.text("status"), a.raw)
		})
	}
}

// Triggers of the real sandbox.
func TestSandboxCards(t *testing.T) {
	g := newGateway(t)
	a := g.pay(map[string]any{"paymentInformation.card.number": "42423482938483873"})
	require.Equal(t, "DECLINED", a.text("status"))
	require.Equal(t, "INVALID_ACCOUNT", a.text("errorInformation.reason"))
	require.Equal(t, "Decline - Invalid account number", a.text("errorInformation.message"))
	require.Nil(t, a.at("_links"))

	expired := g.pay(map[string]any{"paymentInformation.card.expirationYear": "2025"})
	require.Equal(t, "EXPIRED_CARD", expired.text("errorInformation.reason"))
	require.Equal(t, "AUTHORIZED", g.pay(map[string]any{"orderInformation.amountDetails.totalAmount": "1"}).text("status"))

	check := g.pay(map[string]any{"orderInformation.amountDetails.totalAmount": "0.00"})
	require.Equal(t, "0.00", check.text("orderInformation.amountDetails.authorizedAmount"))

	bank := func(account, routing string) answer {
		return g.pay(map[string]any{"paymentInformation": map[string]any{"bank": map[string]any{
			"account": map[string]any{"type": "C", "number": account}, "routingNumber": routing}}})
	}
	require.Equal(t, "PENDING", bank("4100", "121042882").text("status"))
	refused := bank("550111", "121107882")
	require.Equal(t, "DECLINED", refused.text("status"))
	require.Equal(t, "Decline - General decline by the processor.", refused.text("errorInformation.message"))
}

func TestAmountsHaveTheDecimalsOfTheirCurrency(t *testing.T) {
	tests := []struct{ sent, currency, want string }{
		{"100", "JPY", "100"}, {"100.99", "JPY", "100"}, {"102.219", "USD", "102.21"}, {"6.4", "JOD", "6.400"}, {"7", "EUR", "7.00"},
	}
	for _, test := range tests {
		g := newGateway(t)
		a := g.pay(map[string]any{"orderInformation.amountDetails": map[string]any{"totalAmount": test.sent, "currency": test.currency}})
		require.Equal(t, test.want, a.text("orderInformation.amountDetails.authorizedAmount"))
	}
}

func TestTotalIsSummedFromTheLines(t *testing.T) {
	g := newGateway(t)
	a := g.pay(map[string]any{"orderInformation.amountDetails.totalAmount": nil, "orderInformation.lineItems": []any{
		map[string]any{"unitPrice": "10.00", "quantity": "3", "taxAmount": "2.10"}, map[string]any{"unitPrice": "5.00"},
	}})
	require.Equal(t, "37.10", a.text("orderInformation.amountDetails.authorizedAmount"))
}

// outcomes are the triggers that decide the outcome of an authorization.
var outcomes = []struct {
	scenario string
	amount   string // the amount that triggers the same; "" has none
	status   string
	reason   string
	held     string // of 100.00, or of the amount
}{
	{"approve", "", "AUTHORIZED", "", "100.00"},
	{"decline", "9203.00", "DECLINED", "PROCESSOR_DECLINED", "0.00"},
	{"insufficient_funds", "9204.00", "DECLINED", "INSUFFICIENT_FUND", "0.00"},
	{"review", "9480.00", "AUTHORIZED_PENDING_REVIEW", "DECISION_PROFILE_REVIEW", "100.00"},
	{"review_preauth", "9483.00", "PENDING_REVIEW", "DECISION_PROFILE_REVIEW", "0.00"},
	{"review_avs", "", "AUTHORIZED_PENDING_REVIEW", "AVS_FAILED", "100.00"},
	{"review_cvn", "", "AUTHORIZED_PENDING_REVIEW", "CV_FAILED", "100.00"},
	{"review_processor", "", "AUTHORIZED_PENDING_REVIEW", "CONTACT_PROCESSOR", "100.00"},
	{"risk_decline", "9520.00", "AUTHORIZED_RISK_DECLINED", "DECISION_PROFILE_REJECT", "100.00"},
	{"risk_score", "", "AUTHORIZED_RISK_DECLINED", "SCORE_EXCEEDS_THRESHOLD", "100.00"},
	{"decision_profile_reject", "9481.00", "DECLINED", "DECISION_PROFILE_REJECT", "0.00"},
	{"partial", "9110.00", "PARTIAL_AUTHORIZED", "", "50.00"},
	{"pending_authentication", "9475.00", "PENDING_AUTHENTICATION", "CONSUMER_AUTHENTICATION_REQUIRED", "0.00"},
}

func TestOutcomeTriggers(t *testing.T) {
	for _, test := range outcomes {
		t.Run(test.scenario, func(t *testing.T) {
			g := newGateway(t)
			check := func(a answer, held string) {
				t.Helper()
				require.Equal(t, http.StatusCreated, a.status, a.raw)
				require.Equal(t, test.status, a.text("status"))
				require.Equal(t, test.reason, a.text("errorInformation.reason"))
				require.Equal(t, test.reason != "", a.text("errorInformation.message") != "")
				require.Equal(t, test.status, g.entry(a.id()).Status)
				require.Equal(t, held, g.entry(a.id()).Held)
			}
			of100 := map[string]any{"orderInformation.amountDetails.totalAmount": "100.00"}
			check(g.post("/pts/v2/payments", g.tokenPayment(test.scenario, of100)), test.held)
			named := payment(of100)
			set(named, []string{"orderInformation", "billTo", "lastName"}, "Trigger-"+strings.ReplaceAll(test.scenario, "_", "-"))
			check(g.post("/pts/v2/payments", named), test.held)
			if test.amount == "" {
				return
			}
			a := g.pay(map[string]any{"orderInformation.amountDetails.totalAmount": test.amount})
			require.Equal(t, test.status, a.text("status"))
			require.Equal(t, test.reason, a.text("errorInformation.reason"))
		})
	}
}

func TestEveryDeclineReasonHasATrigger(t *testing.T) {
	for name := range declines {
		g := newGateway(t)
		a := g.post("/pts/v2/payments", g.tokenPayment(name, nil))
		require.Equal(t, "DECLINED", a.text("status"), name)
		require.Equal(t, name, a.text("errorInformation.reason"))
	}
}

func TestEveryAmountTriggerIsKnown(t *testing.T) {
	for amount, name := range amountScenarios {
		_, known := findScenario(name)
		require.True(t, known, "%d %s", amount, name)
	}
}

func TestAnExplicitTokenGoesBeforeNameAndAmount(t *testing.T) {
	g := newGateway(t)
	a := g.post("/pts/v2/payments", g.tokenPayment("approve", map[string]any{
		"orderInformation.billTo.lastName": "TRIGGER-REVIEW", "orderInformation.amountDetails.totalAmount": "9204.00"}))
	require.Equal(t, "AUTHORIZED", a.text("status"))
}

func TestDecisionSkipTurnsScreeningOff(t *testing.T) {
	g := newGateway(t)
	skip := map[string]any{"processingInformation.actionList": []any{"DECISION_SKIP"}}
	a := g.post("/pts/v2/payments", g.tokenPayment("review", skip))
	require.Equal(t, "AUTHORIZED", a.text("status"))
	require.Nil(t, a.at("riskInformation"))
	require.Equal(t, "DECLINED", g.post("/pts/v2/payments", g.tokenPayment("decline", skip)).text("status"), "the bank isn't skipped")

	without := newGateway(t, func(c *Config) { c.WithoutDecisionManager = true })
	require.Equal(t, "AUTHORIZED", without.post("/pts/v2/payments", without.tokenPayment("risk_decline", nil)).text("status"))
}

func TestFailingPayments(t *testing.T) {
	for _, reason := range []string{"SYSTEM_ERROR", "SERVER_TIMEOUT", "SERVICE_TIMEOUT"} {
		for _, committed := range []bool{false, true} {
			name := strings.ToLower(reason)
			if committed {
				name += "_committed"
			}
			t.Run(name, func(t *testing.T) {
				g := newGateway(t)
				request := g.tokenPayment(name, map[string]any{"clientReferenceInformation.transactionId": "T-1"})
				a := g.post("/pts/v2/payments", request)
				require.Equal(t, http.StatusBadGateway, a.status)
				require.Equal(t, "SERVER_ERROR", a.text("status"))
				require.Equal(t, reason, a.text("reason"))
				require.NotEmpty(t, a.text("message"))
				again := g.post("/pts/v2/payments", request)
				if committed {
					require.Equal(t, "DUPLICATE_REQUEST", again.text("reason"))
				} else {
					require.Equal(t, "AUTHORIZED", again.text("status"))
				}
				require.Len(t, g.server.Ledger().Transactions, 1)
			})
		}
	}
}

func TestRefusingTriggers(t *testing.T) {
	g := newGateway(t)
	require.Equal(t, "INVALID_MERCHANT_CONFIGURATION", g.post("/pts/v2/payments", g.tokenPayment("merchant_configuration", nil)).text("reason"))
	unavailable := g.tokenPayment("unavailable", nil)
	require.Equal(t, "PROCESSOR_UNAVAILABLE", g.post("/pts/v2/payments", unavailable).text("reason"))
	require.Equal(t, "AUTHORIZED", g.post("/pts/v2/payments", unavailable).text("status"), "once only")
}

func TestDuplicateTransactionID(t *testing.T) {
	withID := map[string]any{"clientReferenceInformation.transactionId": "T-1"}
	g := newGateway(t)
	g.pay(withID)
	a := g.post("/pts/v2/payments", payment(sale(withID)))
	require.Equal(t, 400, a.status)
	require.Equal(t, "DUPLICATE_REQUEST", a.text("reason"))
	require.Equal(t, "Declined - The transaction identifier sent with this request has already been used in the last 60 days", a.text("message"))
	require.Nil(t, a.at("id"), "the first result is not told")
	credit := g.post("/pts/v2/credits", payment(withID))
	require.Equal(t, "DUPLICATE_REQUEST", credit.text("reason"), "over all guarded kinds")
	g.clock.Advance(61 * 24 * time.Hour)
	g.pay(withID)

	declined := newGateway(t)
	used := map[string]any{"clientReferenceInformation.transactionId": "T-2", "orderInformation.amountDetails.totalAmount": "9204.00"}
	declined.pay(used)
	require.Equal(t, "DUPLICATE_REQUEST", declined.post("/pts/v2/payments", payment(withIDOf("T-2"))).text("reason"), "a decline uses it up")
	require.Equal(t, 400, declined.post("/pts/v2/payments", payment(map[string]any{"clientReferenceInformation.transactionId": "T-3", "orderInformation.amountDetails.totalAmount": "x"})).status)
	declined.pay(withIDOf("T-3"))

	without := newGateway(t, func(c *Config) { c.IgnoreTransactionIDs = true })
	without.pay(withID)
	without.pay(withID)
}

func withIDOf(id string) map[string]any {
	return map[string]any{"clientReferenceInformation.transactionId": id}
}

func TestDuplicateReferenceIsOptional(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.DuplicateReferenceWindow = 15 * time.Minute })
	g.pay(nil)
	require.Equal(t, "DUPLICATE_REQUEST", g.post("/pts/v2/payments", payment(nil)).text("reason"))
	g.clock.Advance(16 * time.Minute)
	g.pay(nil)
}

func TestIdempotencyHeaderIsIgnored(t *testing.T) {
	g := newGateway(t)
	for range 2 {
		body := `{"clientReferenceInformation":{"code":"x"}}`
		r := newRequest("POST", "/pts/v2/payments", body)
		r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, g.claims("POST", "/pts/v2/payments", body)))
		r.Header.Set("v-c-idempotency-id", "same")
		require.Equal(t, 400, g.serve(r).status)
	}
}

func TestBrowserTokens(t *testing.T) {
	g := newGateway(t)
	made := g.control("POST", "/_sandbox/tokens", map[string]any{"scenario": "approve", "cardNumber": "5555555555554444"})
	require.Equal(t, 201, made.status, made.raw)
	require.Equal(t, "555555XXXXXX4444", made.text("card.number"))
	byID := payment(map[string]any{"paymentInformation": nil, "tokenInformation.jti": made.text("jti")})
	for range 2 { // usable several times
		require.Equal(t, "002", g.post("/pts/v2/payments", byID).text("paymentAccountInformation.card.type"))
	}
	whole := payment(map[string]any{"paymentInformation": nil, "tokenInformation.transientTokenJwt": made.text("transientTokenJwt")})
	require.Equal(t, 201, g.post("/pts/v2/payments", whole).status)
	require.Equal(t, 200, g.get("/up/v1/payment-details/"+made.text("transientTokenJwt")).status)
	require.Equal(t, "555555XXXXXX4444", g.get("/flex/v2/payment-details/"+made.text("jti")).text("paymentInformation.card.number"))

	g.clock.Advance(15 * time.Minute)
	require.Equal(t, []string{"tokenInformation.jti"}, g.post("/pts/v2/payments", byID).fields(), "15 minutes")
	expired := g.control("POST", "/_sandbox/tokens", map[string]any{"expiresIn": -60})
	require.Equal(t, 400, g.post("/pts/v2/payments", payment(map[string]any{"tokenInformation.jti": expired.text("jti")})).status)

	require.Equal(t, 400, g.control("POST", "/_sandbox/tokens", map[string]any{"cardNumber": "4000000000000002"}).status, "test cards only")
	require.Equal(t, 400, g.control("POST", "/_sandbox/tokens", map[string]any{"scenario": "nonsense"}).status)
}

func TestBrowserTokenHasTheRealShape(t *testing.T) {
	g := newGateway(t)
	token, err := g.server.MintToken("", "378282246310005")
	require.NoError(t, err)
	claims := unverified(t, token)
	require.Equal(t, "Flex/00", claims.text("iss"))
	require.Equal(t, "mf-2.0.0", claims.text("type"))
	require.Equal(t, 900.0, claims.at("exp").(float64)-claims.at("iat").(float64))
	require.Regexp(t, `^[0-9A-F]{64}$`, claims.text("jti"))
	require.Equal(t, "XXXXXXXXXXX0005", claims.text("content.paymentInformation.card.number.maskedValue"))
	require.Equal(t, "378282", claims.text("content.paymentInformation.card.number.bin"))
	require.Equal(t, []any{"003"}, claims.at("content.paymentInformation.card.number.detectedCardTypes"))

	tampered := token[:len(token)-6] + "AAAAAA"
	a := g.post("/pts/v2/payments", payment(map[string]any{"tokenInformation.transientTokenJwt": tampered}))
	require.Equal(t, []string{"tokenInformation.transientTokenJwt"}, a.fields())
}

func TestMicroformSession(t *testing.T) {
	g := newGateway(t)
	a := g.post("/microform/v2/sessions", map[string]any{"clientVersion": "v2", "targetOrigins": []string{"https://shop.example"}, "allowedCardNetworks": []string{"VISA"}})
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "application/jwt", a.header.Get("Content-Type"))
	claims := unverified(t, a.raw)
	require.Equal(t, "Flex API", claims.text("iss"))
	require.Equal(t, "/flex/v2/tokens", claims.text("flx.path"))
	require.Equal(t, "RSA", claims.text("flx.jwk.kty"))
	require.Equal(t, 400, g.post("/microform/v2/sessions", map[string]any{"targetOrigins": []string{"http://shop.example"}}).status)
}

func TestStoredCredentials(t *testing.T) {
	g := newGateway(t)
	a := g.pay(map[string]any{"processingInformation.actionList": []any{"TOKEN_CREATE"}})
	require.Equal(t, true, a.at("tokenInformation.instrumentidentifierNew"))
	identifier := a.text("tokenInformation.instrumentIdentifier.id")
	require.Regexp(t, `^7030\d{11}1111$`, identifier)
	customer, instrumentID := a.text("tokenInformation.customer.id"), a.text("tokenInformation.paymentInstrument.id")
	require.Regexp(t, `^[0-9A-F]{32}$`, customer)
	require.NotEmpty(t, a.text("tokenInformation.shippingAddress.id"))

	recurring := func(with map[string]any) answer {
		return g.post("/pts/v2/payments", map[string]any{
			"clientReferenceInformation": map[string]any{"code": "SUB-1"},
			"processingInformation":      map[string]any{"commerceIndicator": "recurring", "capture": "true"},
			"paymentInformation":         with,
			"orderInformation":           map[string]any{"amountDetails": map[string]any{"totalAmount": "12.00", "currency": "USD"}},
		})
	}
	ref := func(id string) map[string]any { return map[string]any{"id": id} }
	for _, with := range []map[string]any{
		{"customer": ref(customer)}, {"customer": ref(strings.ToLower(customer)), "paymentInstrument": ref(instrumentID)},
		{"paymentInstrument": ref(instrumentID)}, {"instrumentIdentifier": ref(identifier)},
	} {
		paid := recurring(with)
		require.Equal(t, "AUTHORIZED", paid.text("status"), paid.raw)
		require.Equal(t, "sale", g.entry(paid.id()).Kind)
		require.Equal(t, identifier, paid.text("paymentInformation.instrumentIdentifier.id"))
	}
	other := g.pay(map[string]any{"processingInformation.actionList": []any{"TOKEN_CREATE"}})
	require.Equal(t, false, other.at("tokenInformation.instrumentidentifierNew"), "the same card has the same identifier")
	mixed := recurring(map[string]any{"customer": ref(other.text("tokenInformation.customer.id")), "paymentInstrument": ref(instrumentID)})
	require.Equal(t, []string{"paymentInformation.paymentInstrument.id"}, mixed.fields())

	added := g.pay(map[string]any{"processingInformation.actionList": []any{"TOKEN_CREATE"}, "paymentInformation.card.number": "5555555555554444",
		"paymentInformation.card.type": "002", "paymentInformation.customer": ref(customer), "paymentInformation.paymentInstrument": map[string]any{"default": "true"}})
	require.Equal(t, customer, added.text("tokenInformation.customer.id"), "a second card of the same customer")
	require.Equal(t, added.text("tokenInformation.paymentInstrument.id"), recurring(map[string]any{"customer": ref(customer)}).text("paymentInformation.paymentInstrument.id"))

	declined := g.pay(map[string]any{"processingInformation.actionList": []any{"TOKEN_CREATE"}, "orderInformation.amountDetails.totalAmount": "9204.00"})
	require.Nil(t, declined.at("tokenInformation"), "not on a decline")
	require.Equal(t, 400, g.post("/pts/v2/payments", payment(map[string]any{"paymentInformation": map[string]any{"instrumentIdentifier": ref(identifier)}})).status,
		"an identifier alone needs an expiry date")
}

func TestSeededCredentials(t *testing.T) {
	g := newGateway(t)
	statuses := map[string]string{"approve": "AUTHORIZED", "insufficient_fund": "DECLINED", "review": "AUTHORIZED_PENDING_REVIEW", "partial": "PARTIAL_AUTHORIZED"}
	for i, name := range seededScenarios {
		want, checked := statuses[name]
		if !checked {
			continue
		}
		customer := "C" + strings.Repeat("0", 29) + twoDigits(i+1)
		a := g.pay(map[string]any{"paymentInformation": map[string]any{"customer": map[string]any{"id": customer}}, "orderInformation.billTo": nil})
		require.Equal(t, want, a.text("status"), name)
	}
}

func twoDigits(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

func TestIncrementalAuthorization(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	patch := func(amounts map[string]any) answer {
		return g.send("PATCH", "/pts/v2/payments/"+id, map[string]any{"orderInformation": map[string]any{"amountDetails": amounts}})
	}
	a := patch(map[string]any{"totalAmount": "10.00", "currency": "USD"})
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, id, a.id())
	require.Equal(t, "112.21", a.text("orderInformation.amountDetails.authorizedAmount"))
	require.Equal(t, "122.21", patch(map[string]any{"additionalAmount": "10.00", "currency": "USD"}).text("orderInformation.amountDetails.authorizedAmount"))
	require.Equal(t, 400, patch(map[string]any{"totalAmount": "10.00", "currency": "EUR"}).status)
	declined := patch(map[string]any{"totalAmount": "9204.00", "currency": "USD"})
	require.Equal(t, "DECLINED", declined.text("status"))
	require.Equal(t, "122.21", g.entry(id).Held, "the hold stays as it was")
	require.Equal(t, 201, g.capture(id, "122.21").status)
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", patch(map[string]any{"totalAmount": "10.00", "currency": "USD"}).text("reason"))

	diners := g.pay(map[string]any{"paymentInformation.card.number": "3566111111111113", "paymentInformation.card.type": nil}).id()
	require.Equal(t, "NOT_SUPPORTED", g.send("PATCH", "/pts/v2/payments/"+diners, amountBody("x", "1.00")).text("reason"))
}
