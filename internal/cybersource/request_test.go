package cybersource_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
)

func TestRequestsHaveThePathsAndBodiesOfTheReference(t *testing.T) {
	tests := []struct {
		kind cybersource.Kind
		path string
		body string
	}{
		{cybersource.KindCapture, "/pts/v2/payments/7000000000000000000001/captures",
			`{"clientReferenceInformation":{"code":"ORD-1001-C1","transactionId":"1001C10001"},"orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"}}}`},
		{cybersource.KindReversal, "/pts/v2/payments/7000000000000000000001/reversals",
			`{"clientReferenceInformation":{"code":"ORD-1001"},"reversalInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},"reason":"cancelled"}}`},
		{cybersource.KindVoid, "/pts/v2/captures/7000000000000000000001/voids", `{"clientReferenceInformation":{"code":"ORD-1001"}}`},
		{cybersource.KindRefund, "/pts/v2/captures/7000000000000000000001/refunds",
			`{"clientReferenceInformation":{"code":"RMA-7","transactionId":"RMA71"},"orderInformation":{"amountDetails":{"totalAmount":"10.00","currency":"USD"}}}`},
		{cybersource.KindTimeoutReversal, "/pts/v2/reversals",
			`{"clientReferenceInformation":{"code":"ORD-1001","transactionId":"1001A10001"},"reversalInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},"reason":"timeout"}}`},
		{cybersource.KindTimeoutVoid, "/pts/v2/voids", `{"clientReferenceInformation":{"code":"ORD-1001","transactionId":"1001A10001"}}`},
		{cybersource.KindCaseAction, "/risk/v1/decisions/7000000000000000000001/actions", `{"decisionInformation":{"decision":"ACCEPT","comments":"ok"}}`},
		{cybersource.KindComment, "/risk/v1/decisions/7000000000000000000001/comments", `{"comments":"called the customer"}`},
		{cybersource.KindMarking, "/risk/v1/decisions/7000000000000000000001/marking",
			`{"riskInformation":{"markingDetails":{"notes":"rejected by ana","reason":"suspected","fieldsIncluded":["customer_email"],"action":"add"}}}`},
	}
	for _, test := range tests {
		t.Run(string(test.kind), func(t *testing.T) {
			request := requestOf(t, test.kind)
			require.Equal(t, test.kind, request.Kind)
			require.Equal(t, "POST", request.Method)
			require.Equal(t, test.path, request.Path)
			require.JSONEq(t, test.body, string(request.Body))

			stored, err := json.Marshal(request)
			require.NoError(t, err)
			var again cybersource.Request
			require.NoError(t, json.Unmarshal(stored, &again))
			require.Equal(t, request, again, "a stored request is the same to the byte")
		})
	}
}

func TestAPaymentIsCompletedByTokenType(t *testing.T) {
	tests := []struct {
		name   string
		token  canonical.Token
		create bool
		adds   string // merged over the document
	}{
		{"browser token", canonical.Token{Type: canonical.TokenTransient, Value: "a.b.c"}, false,
			`"processingInformation":{"commerceIndicator":"internet","capture":false},"tokenInformation":{"transientTokenJwt":"a.b.c"}`},
		{"browser token by its id", canonical.Token{Type: canonical.TokenTransient, Value: "1C0D"}, false,
			`"processingInformation":{"commerceIndicator":"internet","capture":false},"tokenInformation":{"jti":"1C0D"}`},
		{"browser token that is kept", canonical.Token{Type: canonical.TokenTransient, Value: "a.b.c"}, true,
			`"processingInformation":{"commerceIndicator":"internet","capture":false,"actionList":["TOKEN_CREATE"],
			 "actionTokenTypes":["customer","paymentInstrument","instrumentIdentifier"],
			 "authorizationOptions":{"initiator":{"type":"customer","credentialStoredOnFile":true}}},"tokenInformation":{"transientTokenJwt":"a.b.c"}`},
		{"customer", canonical.Token{Type: canonical.TokenCustomer, Value: "F45F"}, true,
			`"processingInformation":{"commerceIndicator":"internet","capture":false,"authorizationOptions":{"initiator":{"type":"customer","storedCredentialUsed":true}}},
			 "paymentInformation":{"customer":{"id":"F45F"}}`},
		{"payment instrument", canonical.Token{Type: canonical.TokenPaymentInstrument, Value: "F45F"}, false,
			`"processingInformation":{"commerceIndicator":"internet","capture":false,"authorizationOptions":{"initiator":{"type":"customer","storedCredentialUsed":true}}},
			 "paymentInformation":{"paymentInstrument":{"id":"F45F"}}`},
		{"instrument identifier", canonical.Token{Type: canonical.TokenInstrumentIdentifier, Value: "7010"}, false,
			`"processingInformation":{"commerceIndicator":"internet","capture":false,"authorizationOptions":{"initiator":{"type":"customer","storedCredentialUsed":true}}},
			 "paymentInformation":{"instrumentIdentifier":{"id":"7010"}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := cybersource.PaymentRequest(json.RawMessage(document), cybersource.PaymentReference{
				Code: "ORD-1", TransactionID: "T1", Token: test.token, CreateToken: test.create})
			require.NoError(t, err)
			require.Equal(t, cybersource.KindAuthorization, request.Kind)
			require.JSONEq(t, `{"clientReferenceInformation":{"code":"ORD-1","transactionId":"T1"},`+
				`"orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},"billTo":{"email":"ada@example.com"}},`+test.adds+`}`,
				string(request.Body))
		})
	}
}

func TestAPaymentKeepsWhatTheMappingWrote(t *testing.T) {
	request, err := cybersource.PaymentRequest(json.RawMessage(`{"processingInformation":{"actionList":["WATCHLIST_SCREENING"]},"big":12345678901234567890.10,"name":"a<b>&c"}`),
		cybersource.PaymentReference{Code: "ORD-1", TransactionID: "T1", Capture: true, SkipDecisionManager: true,
			Token: canonical.Token{Type: canonical.TokenCustomer, Value: "F45F"}})
	require.NoError(t, err)
	require.Equal(t, cybersource.KindSale, request.Kind)
	require.Contains(t, string(request.Body), `"actionList":["WATCHLIST_SCREENING","DECISION_SKIP"]`)
	require.Contains(t, string(request.Body), `"big":12345678901234567890.10`)
	require.Contains(t, string(request.Body), `"name":"a<b>&c"`)
	require.Contains(t, string(request.Body), `"capture":true`)
}

func TestWhatMustNotBeSentIsNotPrepared(t *testing.T) {
	good := cybersource.PaymentReference{Code: "ORD-1", TransactionID: "T1", Token: canonical.Token{Type: canonical.TokenCustomer, Value: "F"}}
	changed := func(change func(*cybersource.PaymentReference)) cybersource.PaymentReference {
		reference := good
		change(&reference)
		return reference
	}
	const card = "4111111111111111"
	payments := []struct {
		name, document string
		reference      cybersource.PaymentReference
	}{
		{"card number", `{"paymentInformation":{"card":{"number":"` + card + `"}}}`, good},
		{"security code", `{"paymentInformation":{"card":{"securityCode":"123"}}}`, good},
		{"account number", `{"paymentInformation":{"bank":{"account":{"number":"4100"}}}}`, good},
		{"no object", `[]`, good},
		{"null", `null`, good},
		{"two objects", `{}{}`, good},
		{"block of another shape", `{"processingInformation":"x"}`, good},
		{"no code", document, changed(func(r *cybersource.PaymentReference) { r.Code = "" })},
		{"code that can't be searched", document, changed(func(r *cybersource.PaymentReference) { r.Code = "A OR B" })},
		{"long code", document, changed(func(r *cybersource.PaymentReference) { r.Code = strings.Repeat("A", 51) })},
		{"no transaction id", document, changed(func(r *cybersource.PaymentReference) { r.TransactionID = "" })},
		{"long transaction id", document, changed(func(r *cybersource.PaymentReference) { r.TransactionID = strings.Repeat("A", 31) })},
		{"no token", document, changed(func(r *cybersource.PaymentReference) { r.Token.Value = "" })},
		{"unknown token type", document, changed(func(r *cybersource.PaymentReference) { r.Token.Type = "cash" })},
		{"another amount", document, changed(func(r *cybersource.PaymentReference) { r.Amount = usd("102.20") })},
	}
	for _, test := range payments {
		t.Run(test.name, func(t *testing.T) {
			_, err := cybersource.PaymentRequest(json.RawMessage(test.document), test.reference)
			require.Error(t, err)
			require.NotContains(t, err.Error(), card)
		})
	}
	one := decimal.NewFromInt(1)
	for name, prepare := range map[string]func() (cybersource.Request, error){
		"capture of nothing":        func() (cybersource.Request, error) { return cybersource.CaptureRequest("1", "A", "", usd("0"), 0, 0) },
		"capture of less than zero": func() (cybersource.Request, error) { return cybersource.CaptureRequest("1", "A", "", usd("-1"), 0, 0) },
		"part of a cent": func() (cybersource.Request, error) {
			return cybersource.CaptureRequest("1", "A", "", usd("1.005"), 0, 0)
		},
		"no currency": func() (cybersource.Request, error) {
			return cybersource.CaptureRequest("1", "A", "", canonical.NewMoney(one, "XXQ"), 0, 0)
		},
		"no authorization": func() (cybersource.Request, error) { return cybersource.CaptureRequest("", "A", "", usd("1"), 0, 0) },
		"another resource": func() (cybersource.Request, error) {
			return cybersource.CaptureRequest("1/../2", "A", "", usd("1"), 0, 0)
		},
		"third of two": func() (cybersource.Request, error) { return cybersource.CaptureRequest("1", "A", "", usd("1"), 3, 2) },
		"reversal of nothing": func() (cybersource.Request, error) {
			return cybersource.ReversalRequest("1", "A", canonical.Money{}, "")
		},
		"void of a reversal": func() (cybersource.Request, error) { return cybersource.VoidRequest("reversals", "1", "A") },
		"refund of a refund": func() (cybersource.Request, error) {
			return cybersource.RefundRequest(cybersource.Refunds, "1", "A", "T", usd("1"))
		},
		"refund without its guard": func() (cybersource.Request, error) {
			return cybersource.RefundRequest(cybersource.Captures, "1", "A", "", usd("1"))
		},
		"time-out void of no id": func() (cybersource.Request, error) { return cybersource.TimeoutVoidRequest("A", "") },
		"time-out reversal of no id": func() (cybersource.Request, error) {
			return cybersource.TimeoutReversalRequest("A", "", usd("1"))
		},
		"no decision":   func() (cybersource.Request, error) { return cybersource.CaseActionRequest("1", "maybe", "") },
		"empty comment": func() (cybersource.Request, error) { return cybersource.CommentRequest("1", " ") },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prepare()
			require.Error(t, err)
		})
	}
}

func TestAmountsHaveTheDecimalsOfTheirCurrency(t *testing.T) {
	for currency, want := range map[string]string{"USD": "6.00", "JPY": "6", "KWD": "6.000"} {
		request, err := cybersource.CaptureRequest("1", "A", "", canonical.NewMoney(decimal.NewFromInt(6), currency), 0, 0)
		require.NoError(t, err)
		require.Contains(t, string(request.Body), `"totalAmount":"`+want+`"`)
	}
}

func TestSeveralCapturesAreNumbered(t *testing.T) {
	request, err := cybersource.CaptureRequest("1", "A", "", usd("1"), 2, 3)
	require.NoError(t, err)
	require.Contains(t, string(request.Body), `"captureOptions":{"captureSequenceNumber":2,"totalCaptureCount":3}`)
}

func TestARenewalIsAskedForByTheMerchant(t *testing.T) {
	const byTheBuyer = `{"orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"}},
		"processingInformation":{"commerceIndicator":"internet","authorizationOptions":{"initiator":{"type":"customer","credentialStoredOnFile":true}}}}`
	reference := func(token canonical.Token, renewal cybersource.Renewal) cybersource.PaymentReference {
		return cybersource.PaymentReference{Code: "ORD-1001", TransactionID: "1001A10002", Amount: usd("102.21"), Token: token, SkipDecisionManager: true, Renewal: &renewal}
	}
	stored := canonical.Token{Type: canonical.TokenCustomer, Value: "F45F"}
	tests := []struct {
		name    string
		renewal cybersource.Renewal
		want    string
	}{
		{"first of a series unknown", cybersource.Renewal{}, `{"reason":"3"}`},
		{"with the former one", cybersource.Renewal{PreviousTransactionID: "123456789619999", OriginalAmount: usd("102.21")},
			`{"reason":"3","previousTransactionId":"123456789619999","originalAuthorizedAmount":"102.21"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := cybersource.PaymentRequest(json.RawMessage(byTheBuyer), reference(stored, test.renewal))
			require.NoError(t, err)
			var body struct {
				Processing json.RawMessage `json:"processingInformation"`
			}
			require.NoError(t, json.Unmarshal(request.Body, &body))
			require.JSONEq(t, `{"capture":false,"commerceIndicator":"internet","actionList":["DECISION_SKIP"],"authorizationOptions":{"initiator":
				{"type":"merchant","storedCredentialUsed":true,"merchantInitiatedTransaction":`+test.want+`}}}`, string(body.Processing))
		})
	}
	_, err := cybersource.PaymentRequest(json.RawMessage(byTheBuyer), reference(canonical.Token{Type: canonical.TokenTransient, Value: "a.b.c"}, cybersource.Renewal{}))
	require.ErrorContains(t, err, "stored credential")
	_, err = cybersource.PaymentRequest(json.RawMessage(byTheBuyer), reference(stored, cybersource.Renewal{PreviousTransactionID: strings.Repeat("9", 16)}))
	require.ErrorContains(t, err, "15 characters")
}

func TestAMarkingIsChecked(t *testing.T) {
	for _, id := range []string{"", "7/8", strings.Repeat("7", 37)} {
		_, err := cybersource.MarkingRequest(id, "")
		require.Error(t, err, id)
	}
	request, err := cybersource.MarkingRequest("7000000000000000000001", " ")
	require.NoError(t, err)
	require.NotContains(t, string(request.Body), "notes")
	request, err = cybersource.MarkingRequest("7000000000000000000001", strings.Repeat("é", 100))
	require.NoError(t, err)
	require.Contains(t, string(request.Body), `"notes":"`+strings.Repeat("é", 60)+`"`, "120 bytes, no character split")
}

func TestCapturesAreNumbered(t *testing.T) {
	tests := []struct {
		sequence, count int
		options         string // "" for none, "-" where it is refused
	}{
		{1, 1, ""},
		{0, 0, ""},
		{1, 2, `{"captureSequenceNumber":1,"totalCaptureCount":2}`},
		{3, 3, `{"captureSequenceNumber":3,"totalCaptureCount":3}`},
		{98, 99, `{"captureSequenceNumber":98,"totalCaptureCount":99}`},
		{99, 99, `{"captureSequenceNumber":99,"totalCaptureCount":99}`},
		{99, 100, "-"},
		{0, 2, "-"},
		{3, 2, "-"},
		{2, 1, "-"},
		{-1, 1, "-"},
	}
	for _, test := range tests {
		request, err := cybersource.CaptureRequest("7000000000000000000001", "ORD-1-C", "T-1", canonical.NewMoney(decimal.RequireFromString("10.00"), "USD"), test.sequence, test.count)
		if test.options == "-" {
			require.Error(t, err, "%d of %d", test.sequence, test.count)
			continue
		}
		require.NoError(t, err)
		var body struct {
			ProcessingInformation struct{ CaptureOptions json.RawMessage }
		}
		require.NoError(t, json.Unmarshal(request.Body, &body))
		require.Equal(t, test.options, string(body.ProcessingInformation.CaptureOptions))
	}
}
