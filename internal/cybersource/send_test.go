package cybersource_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

const authorizedReply = `{"_links":{"authReversal":{"method":"POST","href":"/pts/v2/payments/7000000000000000000001/reversals"},
  "self":{"method":"GET","href":"/pts/v2/payments/7000000000000000000001"},
  "capture":{"method":"POST","href":"/pts/v2/payments/7000000000000000000001/captures"}},
 "clientReferenceInformation":{"code":"ORD-1001"},"id":"7000000000000000000001",
 "orderInformation":{"amountDetails":{"authorizedAmount":"102.21","currency":"USD"}},
 "paymentAccountInformation":{"card":{"type":"001"}},
 "paymentInformation":{"tokenizedCard":{"type":"001"},"card":{"type":"001","suffix":"1111"}},
 "processorInformation":{"approvalCode":"888888","networkTransactionId":"123456789619999","responseCode":"100","avs":{"code":"X","codeRaw":"I1"},"cardVerification":{"resultCode":"M"}},
 "riskInformation":{"profile":{"name":"Default Profile","desinationQueue":"Review"},"score":{"result":55,"factorCodes":"B","modelUsed":"default_us"},
  "infoCodes":{"velocity":["VEL-NAME"],"address":"MM-BIN"},"casePriority":"3","rules":{"name":"High amount","decision":"REVIEW"}},
 "tokenInformation":{"instrumentidentifierNew":"true","instrumentIdentifier":{"state":"ACTIVE","id":"7030000000014911515"},
  "shippingAddress":{"id":"F45FB3E443AF3C57E053A2598D0A9CFF"},"paymentInstrument":{"id":"F45FC6785E3C31A2E053A2598D0A5346"},"customer":{"id":"F45FB3E443AC3C57E053A2598D0A9CFF"}},
 "reconciliationId":"69816012FDTK35GM","status":"AUTHORIZED","submitTimeUtc":"2026-01-05T08:00:01Z","somethingNew":{"a":[1]}}`

func TestAnAuthorizationIsReadWhole(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, authorizedReply))
	outcome, err := gateway.client(t).Send(t.Context(), payment(t, false))
	require.NoError(t, err)
	require.Equal(t, cybersource.Outcome{
		Kind: cybersource.KindAuthorization, Result: cybersource.Authorized, ID: "7000000000000000000001", Status: "AUTHORIZED",
		Authorized: usd("102.21"), Amount: usd("102.21"), SubmittedAt: time.Date(2026, 1, 5, 8, 0, 1, 0, time.UTC),
		ReconciliationID: "69816012FDTK35GM", ApprovalCode: "888888", NetworkTransactionID: "123456789619999", ProcessorCode: "100",
		CardType: "001", CardSuffix: "1111", AVS: "X", CVN: "M",
		Risk: &cybersource.Risk{Score: "55", FactorCodes: []string{"B"}, Model: "default_us", Profile: "Default Profile", Queue: "Review", Priority: "3",
			Rules: []cybersource.RiskRule{{Name: "High amount", Decision: "REVIEW"}}, InfoCodes: map[string][]string{"velocity": {"VEL-NAME"}, "address": {"MM-BIN"}}},
		Tokens: &cybersource.Tokens{Customer: "F45FB3E443AC3C57E053A2598D0A9CFF", PaymentInstrument: "F45FC6785E3C31A2E053A2598D0A5346",
			InstrumentIdentifier: "7030000000014911515", InstrumentIdentifierNew: true, ShippingAddress: "F45FB3E443AF3C57E053A2598D0A9CFF"},
		Links: map[string]string{"self": "/pts/v2/payments/7000000000000000000001", "capture": "/pts/v2/payments/7000000000000000000001/captures",
			"authReversal": "/pts/v2/payments/7000000000000000000001/reversals"},
		CorrelationID: "corr-1",
	}, outcome)

	stored, err := json.Marshal(outcome)
	require.NoError(t, err)
	var again cybersource.Outcome
	require.NoError(t, json.Unmarshal(stored, &again))
	require.Equal(t, outcome.Links, again.Links)
	require.True(t, again.Authorized.Equal(outcome.Authorized))
	require.Equal(t, payment(t, false).Body, json.RawMessage(gateway.received()[0].body), "the bytes that are stored are the bytes that are sent")
}

func TestEveryStatusHasItsResult(t *testing.T) {
	const id = `"id":"7000000000000000000009",`
	amounts := func(total, authorized string) string {
		return fmt.Sprintf(`"orderInformation":{"amountDetails":{"totalAmount":"%s","authorizedAmount":"%s","currency":"USD"}},`, total, authorized)
	}
	reason := func(name string) string {
		return fmt.Sprintf(`"errorInformation":{"reason":"%s","message":"m"},`, name)
	}
	auth, sale := cybersource.KindAuthorization, cybersource.KindSale
	tests := []struct {
		kind   cybersource.Kind
		body   string // before the status
		status string
		want   cybersource.Result
	}{
		{auth, id, "AUTHORIZED", cybersource.Authorized},
		{sale, id, "AUTHORIZED", cybersource.Captured},
		{sale, id, "TRANSMITTED", cybersource.Captured},
		{auth, id, "authorized", cybersource.Authorized},
		{auth, id + amounts("102.21", "50.00"), "PARTIAL_AUTHORIZED", cybersource.PartiallyAuthorized},
		{sale, id + amounts("102.21", "50.00"), "PARTIAL_AUTHORIZED", cybersource.PartiallyAuthorized},
		{auth, id + amounts("102.21", "102.20"), "AUTHORIZED", cybersource.PartiallyAuthorized},
		{sale, id + amounts("102.21", "102.20"), "AUTHORIZED", cybersource.PartiallyAuthorized},
		{auth, id + reason("DECISION_PROFILE_REVIEW"), "AUTHORIZED_PENDING_REVIEW", cybersource.Held},
		{sale, id + reason("AVS_FAILED"), "AUTHORIZED_PENDING_REVIEW", cybersource.Held},
		{auth, id + reason("DECISION_PROFILE_REJECT"), "AUTHORIZED_RISK_DECLINED", cybersource.RiskDeclined},
		{sale, id + reason("SCORE_EXCEEDS_THRESHOLD"), "AUTHORIZED_RISK_DECLINED", cybersource.RiskDeclined},
		{auth, id, "PENDING_REVIEW", cybersource.HeldUnauthorized},
		{sale, id, "PENDING_REVIEW", cybersource.HeldUnauthorized},
		{auth, id + reason("CONSUMER_AUTHENTICATION_REQUIRED"), "PENDING_AUTHENTICATION", cybersource.AuthenticationRequired},
		{auth, reason("CONSUMER_AUTHENTICATION_REQUIRED"), "DECLINED", cybersource.AuthenticationRequired},
		{auth, id + `"_links":{"authReversal":{"href":"/x"}},` + reason("AVS_FAILED"), "DECLINED", cybersource.RiskDeclined},
		{auth, id, "INVALID_REQUEST", cybersource.Invalid},
		{auth, id, "PENDING", cybersource.Pending},
		{sale, id, "PENDING", cybersource.Pending},
		{auth, id, "REVERSED", cybersource.Unrecognized},
		{auth, id, "TRANSMITTED", cybersource.Unrecognized},
		{auth, id, "SOMETHING_NEW", cybersource.Unrecognized},
		{cybersource.KindCapture, id, "PENDING", cybersource.Captured},
		{cybersource.KindCapture, id, "TRANSMITTED", cybersource.Captured},
		{cybersource.KindCapture, id, "DECLINED", cybersource.Declined},
		{cybersource.KindCapture, id, "AUTHORIZED", cybersource.Unrecognized},
		{cybersource.KindRefund, id, "PENDING", cybersource.Refunded},
		{cybersource.KindRefund, id, "DECLINED", cybersource.Declined},
		{cybersource.KindRefund, id, "INVALID_REQUEST", cybersource.Invalid},
		{cybersource.KindReversal, id, "REVERSED", cybersource.Reversed},
		{cybersource.KindReversal, id, "PENDING", cybersource.Unrecognized},
		{cybersource.KindTimeoutReversal, id, "REVERSED", cybersource.Reversed},
		{cybersource.KindVoid, id, "VOIDED", cybersource.Voided},
		{cybersource.KindVoid, id, "CANCELLED", cybersource.Voided},
		{cybersource.KindVoid, id, "FAILED", cybersource.Declined},
		{cybersource.KindVoid, id, "INVALID_REQUEST", cybersource.Invalid},
		{cybersource.KindTimeoutVoid, id, "VOIDED", cybersource.Voided},
		{cybersource.KindCaseAction, `"id":"5b1b2e5c-0000-4000-8000-000000000001",`, "ACCEPTED", cybersource.Decided},
		{cybersource.KindCaseAction, "", "REJECTED", cybersource.Decided},
		{cybersource.KindComment, "", "COMPLETED", cybersource.Noted},
		{cybersource.KindMarking, "", "COMPLETED", cybersource.Noted},
	}
	for _, name := range []string{"AVS_FAILED", "CONTACT_PROCESSOR", "EXPIRED_CARD", "PROCESSOR_DECLINED", "INSUFFICIENT_FUND", "STOLEN_LOST_CARD",
		"ISSUER_UNAVAILABLE", "UNAUTHORIZED_CARD", "CVN_NOT_MATCH", "EXCEEDS_CREDIT_LIMIT", "INVALID_CVN", "BLOCKED_BY_CARDHOLDER", "DECLINED_CHECK",
		"BLACKLISTED_CUSTOMER", "SUSPENDED_ACCOUNT", "PAYMENT_REFUSED", "CV_FAILED", "INVALID_ACCOUNT", "GENERAL_DECLINE", "INVALID_MERCHANT_CONFIGURATION",
		"DECISION_PROFILE_REJECT", "SCORE_EXCEEDS_THRESHOLD", "ACH_VERIFICATION_FAILED", "CONSUMER_AUTHENTICATION_FAILED", "ALLOWABLE_PIN_RETRIES_EXCEEDED",
		"PROCESSOR_ERROR", "CUSTOMER_WATCHLIST_MATCH", "ADDRESS_COUNTRY_WATCHLIST_MATCH", "EMAIL_COUNTRY_WATCHLIST_MATCH", "IP_COUNTRY_WATCHLIST_MATCH",
		"DAGGREJECTED", "DAGGDENIED", "DSYSREJECTED", "A_REASON_OF_TOMORROW"} {
		tests = append(tests, struct {
			kind   cybersource.Kind
			body   string
			status string
			want   cybersource.Result
		}{auth, id + reason(name), "DECLINED", cybersource.Declined})
	}
	for _, test := range tests {
		t.Run(string(test.kind)+" "+test.status+" "+string(test.want)+test.body, func(t *testing.T) {
			status := http.StatusCreated
			if test.kind == cybersource.KindCaseAction {
				status = http.StatusOK
			}
			gateway := newGateway(t, answering(status, "{"+test.body+`"status":"`+test.status+`"}`))
			outcome, err := gateway.client(t).Send(t.Context(), requestOf(t, test.kind))
			require.NoError(t, err)
			require.Equal(t, test.want, outcome.Result)
			require.Equal(t, test.kind, outcome.Kind)
			if test.want == cybersource.PartiallyAuthorized {
				require.True(t, outcome.Authorized.Amount.LessThan(outcome.Amount.Amount))
			}
		})
	}
}

func TestADeclineTellsWhy(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, `{"clientReferenceInformation":{"code":"ORD-1002"},"id":"7000000000000000000011",
 "errorInformation":{"reason":"INSUFFICIENT_FUND","message":"Decline - Insufficient funds in the account 4111 1111 1111 1111."},
 "paymentInsightsInformation":{"responseInsights":{"category":"x","categoryCode":"01"}},
 "paymentAccountInformation":{"card":{"type":"001"}},"processorInformation":{"responseCode":"111"},
 "status":"DECLINED","submitTimeUtc":"2026-01-05T08:00:02Z"}`))
	outcome, err := gateway.client(t).Send(t.Context(), payment(t, false))
	require.NoError(t, err)
	require.Equal(t, "INSUFFICIENT_FUND", outcome.Reason)
	require.Equal(t, "Decline - Insufficient funds in the account ....", outcome.Message)
	require.Equal(t, "01", outcome.RetryAdvice)
	require.Equal(t, "111", outcome.ProcessorCode)
}

func TestAmountsAreReadFromWhicheverBlockTheAnswerHas(t *testing.T) {
	for body, kind := range map[string]cybersource.Kind{
		`"refundAmountDetails":{"refundAmount":"10.00","currency":"USD"},"status":"PENDING"`: cybersource.KindRefund,
		`"creditAmountDetails":{"creditAmount":"10.00","currency":"usd"},"status":"PENDING"`: cybersource.KindRefund,
		`"creditAmountDetails":{"creditAmount":10.00,"currency":"usd"},"status":"PENDING"`:   cybersource.KindRefund,
		`"status":"PENDING"`: cybersource.KindRefund, // as asked
		`"reversalAmountDetails":{"reversedAmount":"10.00","currency":"USD"},"status":"REVERSED"`:            cybersource.KindReversal,
		`"voidAmountDetails":{"voidAmount":"10","currency":"usd"},"status":"VOIDED"`:                         cybersource.KindVoid,
		`"orderInformation":{"amountDetails":{"totalAmount":"10.00","currency":"USD"}},"status":"PENDING"`:   cybersource.KindCapture,
		`"orderInformation":"none","refundAmountDetails":[{"refundAmount":"9.00"}],"status":"PENDING","x":1`: cybersource.KindRefund,
	} {
		gateway := newGateway(t, answering(http.StatusCreated, `{"id":"7000000000000000000003",`+body+`}`))
		outcome, err := gateway.client(t).Send(t.Context(), requestOf(t, kind))
		require.NoError(t, err)
		require.True(t, outcome.Amount.Equal(usd("10.00")), "%s: %s", body, outcome.Amount)
	}
}

func TestACaseActionTellsWhatItDidToTheMoney(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusOK, `{"id":"5b1b2e5c","status":"ACCEPTED","_embedded":{
		"capture":{"status":"PENDING","_links":{"self":{"href":"https://api.cybersource.com/pts/v2/captures/7000000000000000000002"}}}}}`))
	outcome, err := gateway.client(t).Send(t.Context(), requestOf(t, cybersource.KindCaseAction))
	require.NoError(t, err)
	require.Equal(t, "7000000000000000000002", outcome.CaptureID)
	require.Empty(t, outcome.ReversalID)
}

func TestEveryRefusalHasItsKind(t *testing.T) {
	refusal := func(reason string) string {
		return `{"submitTimeUtc":"2026-01-05T08:00:03Z","status":"INVALID_REQUEST","reason":"` + reason + `","message":"Declined - no"}`
	}
	field := func(reason, path string) string {
		return `{"status":"INVALID_REQUEST","reason":"` + reason + `","message":"m","details":[{"field":"` + path + `","reason":"` + reason + `"}]}`
	}
	auth := cybersource.KindAuthorization
	tests := []struct {
		kind   cybersource.Kind
		status int
		body   string
		want   fault.Kind
		code   string
	}{
		{auth, 400, field("MISSING_FIELD", "orderInformation.billTo.email"), fault.Value, "MISSING_FIELD"},
		{auth, 400, refusal("INVALID_DATA"), fault.Value, "INVALID_DATA"},
		{auth, 400, refusal("INVALID_AMOUNT"), fault.Value, "INVALID_AMOUNT"},
		{auth, 400, refusal("NOT_SUPPORTED"), fault.Value, "NOT_SUPPORTED"},
		{auth, 400, refusal("A_REASON_OF_TOMORROW"), fault.Value, "A_REASON_OF_TOMORROW"},
		{auth, 400, field("INVALID_DATA", "tokenInformation.transientTokenJwt"), fault.MissingReference, "INVALID_DATA"},
		{auth, 400, field("INVALID_DATA", "paymentInformation.customer.id"), fault.MissingReference, "INVALID_DATA"},
		{auth, 400, field("MISSING_FIELD", "paymentInformation.card.number"), fault.MissingReference, "MISSING_FIELD"},
		{auth, 400, refusal("INVALID_PAYMENT_ID"), fault.MissingReference, "INVALID_PAYMENT_ID"},
		{auth, 400, refusal("INVALID_MERCHANT_CONFIGURATION"), fault.Credentials, "INVALID_MERCHANT_CONFIGURATION"},
		{auth, 400, refusal("PROCESSOR_UNAVAILABLE"), fault.Busy, "PROCESSOR_UNAVAILABLE"},
		{auth, 400, refusal("SYSTEM_ERROR"), fault.UnknownOutcome, "SYSTEM_ERROR"},
		{auth, 400, `<html>bad</html>`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 400, `{}`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{cybersource.KindCapture, 400, refusal("AUTH_ALREADY_REVERSED"), fault.Conflict, cybersource.ReasonAuthAlreadyReversed},
		{cybersource.KindCapture, 400, refusal("TRANSACTION_ALREADY_SETTLED"), fault.Conflict, cybersource.ReasonAlreadySettled},
		{cybersource.KindCapture, 400, refusal("TRANSACTION_ALREADY_REVERSED_OR_SETTLED"), fault.Conflict, cybersource.ReasonAlreadyReversedOrSettled},
		{cybersource.KindCapture, 400, refusal("EXCEEDS_AUTH_AMOUNT"), fault.Conflict, cybersource.ReasonExceedsAuth},
		{cybersource.KindCapture, 400, refusal("MISSING_AUTH"), fault.Conflict, cybersource.ReasonMissingAuth},
		{cybersource.KindCapture, 400, refusal("NOT_SUPPORTED"), fault.Conflict, cybersource.ReasonNotSupported},
		{cybersource.KindCapture, 400, refusal("INVALID_DATA"), fault.Conflict, "INVALID_DATA"},
		{cybersource.KindCapture, 400, field("INVALID_DATA", "orderInformation.amountDetails.currency"), fault.Value, "INVALID_DATA"},
		{cybersource.KindReversal, 400, refusal("AUTH_ALREADY_REVERSED"), fault.Conflict, cybersource.ReasonAuthAlreadyReversed},
		{cybersource.KindReversal, 400, refusal("INVALID_AMOUNT"), fault.Value, "INVALID_AMOUNT"},
		{cybersource.KindVoid, 400, refusal("NOT_VOIDABLE"), fault.Conflict, cybersource.ReasonNotVoidable},
		{cybersource.KindRefund, 400, refusal("CAPTURE_ALREADY_VOIDED"), fault.Conflict, cybersource.ReasonCaptureAlreadyVoided},
		{cybersource.KindRefund, 400, refusal("ACCOUNT_NOT_ALLOWED_CREDIT"), fault.Conflict, "ACCOUNT_NOT_ALLOWED_CREDIT"},
		{cybersource.KindRefund, 400, refusal("INVALID_CARD"), fault.Conflict, "INVALID_CARD"},
		{cybersource.KindTimeoutReversal, 400, refusal("MISSING_AUTH"), fault.NotFound, "MISSING_AUTH"},
		{cybersource.KindTimeoutReversal, 400, refusal("INVALID_DATA"), fault.NotFound, "INVALID_DATA"},
		{cybersource.KindTimeoutVoid, 400, refusal("MISSING_FIELD"), fault.NotFound, "MISSING_FIELD"},
		{cybersource.KindTimeoutVoid, 400, refusal("NOT_VOIDABLE"), fault.Conflict, cybersource.ReasonNotVoidable},
		{cybersource.KindCaseAction, 400, refusal("INVALID_DATA"), fault.Conflict, "INVALID_DATA"},
		{auth, 401, `{"response":{"rmsg":"Authentication Failed"}}`, fault.Credentials, cybersource.CodeAuth},
		{auth, 403, refusal("ACCESS_DENIED"), fault.Credentials, "ACCESS_DENIED"},
		{auth, 404, ``, fault.NotFound, "HTTP_404"},
		{auth, 405, ``, fault.Bug, "HTTP_405"},
		{auth, 409, ``, fault.Conflict, "HTTP_409"},
		{auth, 422, refusal("INVALID_DATA"), fault.Value, "INVALID_DATA"},
		{auth, 302, ``, fault.Bug, "HTTP_302"},
		{auth, 408, ``, fault.UnknownOutcome, "HTTP_408"},
		{auth, 429, ``, fault.RateLimit, "HTTP_429"},
		{auth, 500, ``, fault.UnknownOutcome, "HTTP_500"},
		{auth, 502, `{"status":"SERVER_ERROR","reason":"SYSTEM_ERROR","message":"m"}`, fault.UnknownOutcome, "SYSTEM_ERROR"},
		{auth, 502, `{"status":"SERVER_ERROR","reason":"SERVER_TIMEOUT"}`, fault.UnknownOutcome, "SERVER_TIMEOUT"},
		{auth, 502, `{"status":"SERVER_ERROR","reason":"SERVICE_TIMEOUT"}`, fault.UnknownOutcome, "SERVICE_TIMEOUT"},
		{auth, 503, `busy`, fault.UnknownOutcome, "HTTP_503"},
		{auth, 201, `garbage`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 201, ``, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 201, `[]`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 201, `{"id":"7000000000000000000001"}`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 201, `{"status":"AUTHORIZED"}`, fault.UnknownOutcome, cybersource.CodeUnreadable},
		{auth, 201, `{"id":"7","status":"SERVER_ERROR"}`, fault.UnknownOutcome, cybersource.CodeUnreadable},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.kind, " ", test.status, " ", test.body), func(t *testing.T) {
			gateway := newGateway(t, answering(test.status, test.body))
			_, err := gateway.client(t).Send(t.Context(), requestOf(t, test.kind))
			f := fault.As(err)
			require.NotNil(t, f, "%v", err)
			require.Equal(t, test.want, f.Kind)
			require.Equal(t, test.code, f.Code)
			require.Equal(t, test.status, f.HTTPStatus)
			require.Equal(t, "corr-1", f.RequestID)
			require.Equal(t, cybersource.System, f.System)
			require.Len(t, gateway.received(), 1)
		})
	}
}

func TestARefusedFieldIsNamedWithoutItsValue(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusBadRequest, `{"status":"INVALID_REQUEST","reason":"MISSING_FIELD","message":"m",
		"details":[{"field":"orderInformation.billTo.email","reason":"MISSING_FIELD"},{"field":"orderInformation.billTo.country","reason":"INVALID_DATA"}]}`))
	_, err := gateway.client(t).Send(t.Context(), payment(t, false))
	require.Equal(t, []fault.Field{{Path: "orderInformation.billTo.email", Rule: "MISSING_FIELD"},
		{Path: "orderInformation.billTo.country", Rule: "INVALID_DATA"}}, fault.As(err).Fields)
}

func TestADuplicateSaysThatItIsThere(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusBadRequest, `{"status":"INVALID_REQUEST","reason":"DUPLICATE_REQUEST",
		"message":"Declined - The transaction identifier sent with this request has already been used in the last 60 days"}`))
	for _, kind := range []cybersource.Kind{cybersource.KindAuthorization, cybersource.KindSale, cybersource.KindRefund, cybersource.KindCapture} {
		outcome, err := gateway.client(t).Send(t.Context(), requestOf(t, kind))
		require.NoError(t, err)
		require.Equal(t, cybersource.Duplicate, outcome.Result)
	}
}

func TestACardThatCannotBeUsedIsADecline(t *testing.T) {
	for _, reason := range []string{"INVALID_CARD", "CARD_TYPE_NOT_ACCEPTED", "INVALID_CARD_TYPE"} {
		gateway := newGateway(t, answering(http.StatusBadRequest, `{"status":"INVALID_REQUEST","reason":"`+reason+`"}`))
		outcome, err := gateway.client(t).Send(t.Context(), payment(t, true))
		require.NoError(t, err)
		require.Equal(t, cybersource.Declined, outcome.Result)
		require.Equal(t, reason, outcome.Reason)
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	for value, want := range map[string]time.Duration{"7": 7 * time.Second, now.Add(30 * time.Second).Format(http.TimeFormat): 30 * time.Second} {
		gateway := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := gateway.client(t).Send(t.Context(), payment(t, false))
		require.Equal(t, want, fault.As(err).RetryAfter)
	}
}

func TestALostAnswerIsAnUnknownOutcomeAndNeverSentAgain(t *testing.T) {
	gateway := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = connection.Close()
		}
	})
	_, err := gateway.client(t).Send(t.Context(), payment(t, true))
	require.True(t, fault.Is(err, fault.UnknownOutcome), "%v", err)
	require.Len(t, gateway.received(), 1)

	_, err = gateway.client(t, func(c *cybersource.Config) { c.Transport = &http.Transport{} }).Send(t.Context(), payment(t, true))
	require.True(t, fault.Is(err, fault.UnknownOutcome), "a transport that can't tell counts as sent: %v", err)

	gateway.Close()
	_, err = gateway.client(t).Send(t.Context(), payment(t, true))
	require.True(t, fault.Is(err, fault.Connection), "%v", err)
}

func TestTheClientsOwnTimeoutIsAnUnknownOutcome(t *testing.T) {
	send := func(timeout time.Duration) (bool, error) {
		var arrived atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			arrived.Store(true)
			<-r.Context().Done()
		}))
		client, err := cybersource.New(cybersource.Config{BaseURL: server.URL, MerchantID: "demo_mid", KeyID: "k", SharedSecret: secret, Timeout: timeout})
		require.NoError(t, err)
		_, err = client.Send(t.Context(), payment(t, false))
		server.Close() // waits for its handler
		return arrived.Load(), err
	}
	arrived, err := send(100 * time.Millisecond)
	for timeout := 200 * time.Millisecond; !arrived && timeout < time.Minute; timeout *= 2 { // a busy machine takes its time to send
		arrived, err = send(timeout)
	}
	require.True(t, arrived)
	require.True(t, fault.Is(err, fault.UnknownOutcome))
	require.Equal(t, outbound.CodeTimeout, fault.As(err).Code)
}

func TestNothingSecretIsInLogsOrFaults(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusBadRequest, `{"status":"INVALID_REQUEST","reason":"INVALID_DATA","message":"bad value 4111-1111-1111-1111 here"}`))
	_, err := gateway.client(t).Send(t.Context(), payment(t, false))
	for _, text := range []string{gateway.logged.String(), err.Error()} {
		require.NotEmpty(t, text)
		for _, hidden := range []string{secret, browserToken, "ada@example.com", "Bearer", "4111"} {
			require.NotContains(t, text, hidden)
		}
	}
	require.Contains(t, gateway.logged.String(), "corr-1")
}

func TestAnUnpreparedRequestIsNotSent(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, authorizedReply))
	for _, request := range []cybersource.Request{{}, {Kind: cybersource.KindCapture, Method: "POST", Path: "https://elsewhere", Body: []byte("{}")}, {Method: "POST", Path: "/pts/v2/payments"}} {
		_, err := gateway.client(t).Send(t.Context(), request)
		require.True(t, fault.Is(err, fault.Bug))
	}
	require.Empty(t, gateway.received())
}

func FuzzAnswers(f *testing.F) {
	f.Add(201, authorizedReply)
	f.Add(400, `{"status":"INVALID_REQUEST","reason":"MISSING_FIELD","details":{"field":1}}`)
	f.Add(201, `{"status":["AUTHORIZED"],"id":7}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		transport := roundTrip(func(request *http.Request) (*http.Response, error) {
			recorder := httptest.NewRecorder()
			recorder.WriteHeader(status)
			_, _ = recorder.WriteString(body)
			return recorder.Result(), nil
		})
		client, err := cybersource.New(cybersource.Config{BaseURL: "http://gateway.test", MerchantID: "m", KeyID: "k", SharedSecret: secret, Transport: transport})
		require.NoError(t, err)
		request, err := cybersource.CaptureRequest("7", "C", "", canonical.NewMoney(usd("1").Amount, "USD"), 0, 0)
		require.NoError(t, err)
		outcome, err := client.Send(t.Context(), request)
		if err == nil {
			require.NotEmpty(t, outcome.Result)
			if outcome.Result == cybersource.Captured {
				require.NotEmpty(t, outcome.ID)
				require.Less(t, status, 300)
			}
			_, err = json.Marshal(outcome)
			require.NoError(t, err)
			return
		}
		require.NotNil(t, fault.As(err))
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func TestA201IsAllThatAMarkingPromises(t *testing.T) {
	gateway := newGateway(t, answering(http.StatusCreated, `{}`))
	outcome, err := gateway.client(t).Send(t.Context(), requestOf(t, cybersource.KindMarking))
	require.NoError(t, err)
	require.Equal(t, cybersource.Noted, outcome.Result)
}
