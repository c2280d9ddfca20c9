package cybersource_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/cybersource"
)

const (
	webhookKey = "d2ViaG9vayBleGFtcGxlIGtleSAwMDAwMDAwMDAwMQ==" // of cybersource.md 5.4
	keyID      = "0b4f7a55-0000-4000-8000-00000000aa01"
	otherKey   = "b3RoZXIga2V5"
)

var signedAt = time.UnixMilli(1767600000000)

func verifier() cybersource.Verifier {
	return cybersource.Verifier{Keys: map[string]string{keyID: webhookKey, "other": otherKey}, Clock: func() time.Time { return signedAt.Add(time.Minute) }}
}

func signatureHeader(value string) http.Header {
	header := http.Header{}
	header.Set("v-c-signature", value)
	return header
}

func sign(key, signed string) string {
	raw, _ := base64.StdEncoding.DecodeString(key)
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("1767600000000." + signed))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestVerifyAcceptsTheSignatureOfTheReference(t *testing.T) {
	header := signatureHeader("t=1767600000000;keyId=" + keyID + ";sig=5VtlVPxZRtEHSQ0wFEGBvV2U6pIRxuVbCA9H2jsyNtc=")
	for name, body := range map[string]string{
		"body":                         `{"data":{"id":"1"}}`,
		"payload within":               `{"eventType":"x","payload":{"data":{"id":"1"}}}`,
		"payload without white space":  "{\"payload\": {\n \"data\": {\"id\": \"1\"} } }",
		"payload between other fields": `{"a":1,"payload":{"data":{"id":"1"}},"b":2}`,
	} {
		require.NoError(t, verifier().Verify(header, []byte(body)), name)
	}
	require.NoError(t, verifier().Verify(signatureHeader("t=1767600000000; keyId="+keyID+"; sig=5VtlVPxZRtEHSQ0wFEGBvV2U6pIRxuVbCA9H2jsyNtc="),
		[]byte(`{"data":{"id":"1"}}`)))
}

func TestVerifyRefusesWhatIsNotSignedHere(t *testing.T) {
	const body = `{"payload":{"data":{"id":"1"}}}`
	good := sign(webhookKey, body)
	tests := []struct {
		name, header, body string
		want               error
	}{
		{"no header", "", body, cybersource.ErrNoSignature},
		{"another body", "t=1767600000000;keyId=" + keyID + ";sig=" + good, `{"payload":{"data":{"id":"2"}}}`, cybersource.ErrBadSignature},
		{"another time", "t=1767600000001;keyId=" + keyID + ";sig=" + good, body, cybersource.ErrBadSignature},
		{"another key's name", "t=1767600000000;keyId=other;sig=" + good, body, cybersource.ErrBadSignature},
		{"unknown key", "t=1767600000000;keyId=third;sig=" + good, body, cybersource.ErrUnknownKey},
		{"no key", "t=1767600000000;sig=" + good, body, cybersource.ErrNoSignature},
		{"no time", "keyId=" + keyID + ";sig=" + good, body, cybersource.ErrNoSignature},
		{"time is no number", "t=now;keyId=" + keyID + ";sig=" + good, body, cybersource.ErrNoSignature},
		{"no signature", "t=1767600000000;keyId=" + keyID, body, cybersource.ErrNoSignature},
		{"short signature", "t=1767600000000;keyId=" + keyID + ";sig=AAAA", body, cybersource.ErrNoSignature},
		{"two signatures", "t=1767600000000;keyId=" + keyID + ";sig=" + good + ";sig=" + good, body, cybersource.ErrNoSignature},
		{"endless header", strings.Repeat("a=b;", 1000), body, cybersource.ErrNoSignature},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorIs(t, verifier().Verify(signatureHeader(test.header), []byte(test.body)), test.want)
		})
	}
	require.NoError(t, verifier().Verify(signatureHeader("t=1767600000000;keyId="+keyID+";sig="+good), []byte(body)))
	require.NoError(t, verifier().Verify(signatureHeader("t=1767600000000;keyId=other;sig="+sign(otherKey, body)), []byte(body)), "both keys serve during roll-over")

	broken := cybersource.Verifier{Keys: map[string]string{keyID: ""}}
	empty := hmac.New(sha256.New, nil)
	empty.Write([]byte("1767600000000." + body))
	require.ErrorIs(t, broken.Verify(signatureHeader("t=1767600000000;keyId="+keyID+";sig="+base64.StdEncoding.EncodeToString(empty.Sum(nil))), []byte(body)),
		cybersource.ErrUnknownKey, "an empty key signs nothing")
}

func TestVerifyKeepsAWindow(t *testing.T) {
	header := signatureHeader("t=1767600000000;keyId=" + keyID + ";sig=" + sign(webhookKey, "{}"))
	for _, test := range []struct {
		maxAge, age time.Duration
		want        error
	}{
		{0, time.Hour, nil},
		{0, time.Hour + time.Millisecond, cybersource.ErrOutsideWindow},
		{0, -time.Hour - time.Millisecond, cybersource.ErrOutsideWindow},
		{5 * time.Minute, 6 * time.Minute, cybersource.ErrOutsideWindow},
		{-1, 1000 * time.Hour, nil},
	} {
		v := verifier()
		v.MaxAge, v.Clock = test.maxAge, func() time.Time { return signedAt.Add(test.age) }
		require.ErrorIs(t, v.Verify(header, []byte("{}")), test.want, "%+v", test)
	}
}

const decisionEvent = `{"eventType":"risk.casemanagement.decision.accept","webhookId":"e33b4ff7-f94a-2de4-e053-a2588e0a0403","productId":"decisionManager","organizationId":"demo_mid",
 "eventDate":"2026-01-05T08:10:00","transactionTraceId":"7ac2ad9f-0000-4000-8000-34b8d30aaf40-0","retryNumber":0,
 "payload":{"data":{"id":"7000000000000000000001","referenceNumber":"ORD-1003","version":"1.0","notes":[{"comment":"ok"}],
  "_embedded":{"capture":{"_links":{"self":{"href":"/pts/v2/captures/7000000000000000000002"}}}}},"organizationId":"demo_mid"},"requestType":"NEW"}`

func TestParseEventReadsEveryKnownShape(t *testing.T) {
	event, err := cybersource.ParseEvent([]byte(decisionEvent))
	require.NoError(t, err)
	require.NotEmpty(t, event.Fingerprint)
	event.Fingerprint = ""
	require.Equal(t, cybersource.Event{Type: "risk.casemanagement.decision.accept", OrganizationID: "demo_mid", ProductID: "decisionManager",
		WebhookID: "e33b4ff7-f94a-2de4-e053-a2588e0a0403", ResourceID: "7000000000000000000001", Reference: "ORD-1003", Comments: []string{"ok"},
		CaptureID: "7000000000000000000002", At: now.Add(10 * time.Minute)}, event)

	for name, payload := range map[string]string{
		"data":                `{"data":{"id":"7","referenceNumber":"ORD-1","status":"BATCHED"}}`,
		"list of data":        `[{"data":{"id":"7","referenceNumber":"ORD-1","status":"BATCHED"}}]`,
		"data is a list":      `{"data":[{"id":"7","referenceNumber":"ORD-1","status":"BATCHED"}]}`,
		"transaction result":  `{"transactionResult":{"details":{"id":"7","status":"batched","clientReferenceInformation":{"code":"ORD-1"}}}}`,
		"the payload itself":  `{"id":7,"status":"BATCHED","clientReferenceInformation":{"code":"ORD-1"}}`,
		"id under other name": `{"data":{"transactionId":"7","referenceNumber":"ORD-1","status":"BATCHED","notes":"none"}}`,
	} {
		event, err := cybersource.ParseEvent([]byte(`{"eventType":"payments.capture.status.updated","payload":` + payload + `}`))
		require.NoError(t, err, name)
		require.Equal(t, "7", event.ResourceID, name)
		require.Equal(t, "ORD-1", event.Reference, name)
		require.Equal(t, "payments.capture.status.updated|7|BATCHED", event.Key(), name)
		require.False(t, event.Test)
	}

	event, err = cybersource.ParseEvent([]byte(`{"eventType":"payments.capture.status.updated","payloads":{"testPayload":{"message":"hello"}}}`))
	require.NoError(t, err)
	require.True(t, event.Test)

	for _, body := range []string{``, `null`, `[]`, `"x"`, `{}`, `{"payload":{}}`, `{"eventType":"x"`} {
		_, err := cybersource.ParseEvent([]byte(body))
		require.Error(t, err, body)
	}
}

func TestTheKeyOfAnEventIsTheSameForEveryDelivery(t *testing.T) {
	first, err := cybersource.ParseEvent([]byte(decisionEvent))
	require.NoError(t, err)
	again, err := cybersource.ParseEvent([]byte(strings.NewReplacer("aaf40-0", "bbbbb-1", `"retryNumber":0`, `"retryNumber":1`, "NEW", "RETRY", "08:10:00", "08:11:00").Replace(decisionEvent)))
	require.NoError(t, err)
	require.Equal(t, first.Key(), again.Key())
	rejected, err := cybersource.ParseEvent([]byte(strings.Replace(decisionEvent, "decision.accept", "decision.reject", 1)))
	require.NoError(t, err)
	require.NotEqual(t, first.Key(), rejected.Key())

	nameless := func(payload string) string {
		event, err := cybersource.ParseEvent([]byte(`{"eventType":"tms.token.updated","payload":` + payload + `}`))
		require.NoError(t, err)
		return event.Key()
	}
	one, same := nameless(`{"a":1}`), nameless(`{"a":1}`)
	require.Equal(t, one, same)
	require.NotEqual(t, one, nameless(`{"a":2}`), "events that name nothing are told apart by their content")
}

func seal(t *testing.T, key *rsa.PublicKey, algorithm jose.KeyAlgorithm, plain string) string {
	t.Helper()
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: algorithm, Key: key}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
	require.NoError(t, err)
	object, err := encrypter.Encrypt([]byte(plain))
	require.NoError(t, err)
	compact, err := object.CompactSerialize()
	require.NoError(t, err)
	return compact
}

func TestEncryptedDeliveriesAreOpened(t *testing.T) {
	retired, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	current, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	payload := seal(t, &current.PublicKey, jose.RSA_OAEP_256, `{"data":{"id":"7","status":"BATCHED"}}`)
	for name, body := range map[string]string{
		"payload.encData":          `{"eventType":"x","payload":{"encData":"` + payload + `"}}`,
		"payload.encryptedRequest": `{"eventType":"x","payload":{"encryptedRequest":"` + payload + `"}}`,
		"payload is the JWE":       `{"eventType":"x","payload":"` + payload + `"}`,
		"body is the JWE":          seal(t, &current.PublicKey, jose.RSA_OAEP_256, `{"eventType":"x","payload":{"data":{"id":"7","status":"BATCHED"}}}`),
	} {
		event, err := cybersource.ParseEvent([]byte(body), retired, current)
		require.NoError(t, err, name)
		require.Equal(t, "x|7|BATCHED", event.Key(), name)
		_, err = cybersource.ParseEvent([]byte(body), retired)
		require.ErrorIs(t, err, cybersource.ErrEncrypted, name)
		_, err = cybersource.ParseEvent([]byte(body))
		require.ErrorIs(t, err, cybersource.ErrEncrypted, name)
	}
	weak := seal(t, &current.PublicKey, jose.RSA1_5, `{"eventType":"x"}`)
	_, err = cybersource.ParseEvent([]byte(weak), current)
	require.Error(t, err, "algorithms beside the documented ones are refused")
}

func TestTransientTokenExpiry(t *testing.T) {
	at, err := cybersource.TransientTokenExpiry(browserToken)
	require.NoError(t, err)
	require.Equal(t, now.Add(15*time.Minute), at)
	claims := func(text string) string { return "a." + base64.RawURLEncoding.EncodeToString([]byte(text)) + ".c" }
	for _, token := range []string{"", "1C0D", "a.b", "a.!.c", claims("{}"), claims(`{"exp":"soon"}`), claims(`{"exp":-1}`), claims(`{"exp":1e300}`), claims("[]"), "a.b.c.d.e"} {
		_, err := cybersource.TransientTokenExpiry(token)
		require.ErrorIs(t, err, cybersource.ErrNoExpiry, token)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(decisionEvent))
	f.Add([]byte(`{"eventType":"x","payload":[{"data":{"id":7}}]}`))
	f.Add([]byte(`a.b.c.d.e`))
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := cybersource.ParseEvent(body)
		if err != nil {
			return
		}
		again, err := cybersource.ParseEvent(body)
		require.NoError(t, err)
		require.Equal(t, event.Key(), again.Key())
		require.True(t, event.Test || event.Type != "")
		_, err = json.Marshal(event)
		require.NoError(t, err)
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("t=1767600000000;keyId="+keyID+";sig=5VtlVPxZRtEHSQ0wFEGBvV2U6pIRxuVbCA9H2jsyNtc=", []byte(`{"data":{"id":"2"}}`))
	f.Add(";;=;t=;", []byte(`{"payload":`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if verifier().Verify(signatureHeader(header), body) != nil {
			return
		}
		// Nobody but the reference has signed anything with this key, and it signed one payload.
		require.Contains(t, strings.Join(strings.Fields(string(body)), ""), `{"data":{"id":"1"}}`)
	})
}

func FuzzTransientTokenExpiry(f *testing.F) {
	f.Add(browserToken)
	f.Fuzz(func(t *testing.T, token string) {
		at, err := cybersource.TransientTokenExpiry(token)
		if err == nil {
			_, err = at.MarshalJSON()
			require.NoError(t, err)
		}
	})
}
