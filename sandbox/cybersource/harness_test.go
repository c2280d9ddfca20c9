package cybersource

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const (
	testMerchant = "demo_mid"
	testKeyID    = "08c94330-f618-42a3-b09d-e1e43be5efda"
	testSecret   = "cmVmZXJlbmNlIGV4YW1wbGUgc2VjcmV0IDAwMDAwMDE=" // of the documented signing example
	testHost     = "apitest.cybersource.com"
)

var browserKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// testClock only moves when told.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// gateway is a Server under test with a client that signs by itself: it shares no code with the verifier.
type gateway struct {
	t      *testing.T
	server *Server
	clock  *testClock
}

func newGateway(t *testing.T, change ...func(*Config)) *gateway {
	t.Helper()
	g := &gateway{t: t, clock: &testClock{now: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)}}
	cfg := Config{MerchantID: testMerchant, KeyID: testKeyID, SharedSecret: testSecret, Clock: g.clock.Now}
	for _, c := range change {
		c(&cfg)
	}
	server, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	if cfg.StateDir == "" {
		server.flex.key, server.flex.kid = browserKey(), "0TESTKEY" // making one takes long
	}
	g.server = server
	return g
}

// answer is a decoded reply.
type answer struct {
	status int
	header http.Header
	raw    string
	body   any
}

// at follows a dotted path through objects; "" where there is nothing.
func (a answer) at(path string) any {
	current := a.body
	for _, name := range strings.Split(path, ".") {
		object, ok := current.(map[string]any)
		if !ok {
			return nil
		}
		current = object[name]
	}
	return current
}

func (a answer) text(path string) string {
	text, _ := a.at(path).(string)
	return text
}

func (a answer) id() string { return a.text("id") }

// fields are the fields that the details name.
func (a answer) fields() []string {
	var names []string
	list, _ := a.at("details").([]any)
	for _, one := range list {
		names = append(names, one.(map[string]any)["field"].(string))
	}
	return names
}

func bodyDigest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// claims are those of a good token for a request.
func (g *gateway) claims(method, target, body string) jwt.MapClaims {
	now := g.clock.Now()
	claims := jwt.MapClaims{
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "iss": testMerchant, "jti": uuid.NewString(),
		"request-host": testHost, "request-method": strings.ToLower(method), "request-resource-path": target,
		"v-c-jwt-version": "2", "v-c-merchant-id": testMerchant,
	}
	if body != "" {
		claims["digest"], claims["digestAlgorithm"] = bodyDigest(body), "SHA-256"
	}
	return claims
}

func sharedSecretToken(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(testSecret)
	require.NoError(t, err)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = testKeyID
	signed, err := token.SignedString(secret)
	require.NoError(t, err)
	return signed
}

// send signs and sends; body is a string of JSON, "" or something to encode.
func (g *gateway) send(method, target string, body any) answer {
	g.t.Helper()
	text, isText := body.(string)
	if !isText && body != nil {
		raw, err := json.Marshal(body)
		require.NoError(g.t, err)
		text = string(raw)
	}
	r := newRequest(method, target, text)
	r.Header.Set("Authorization", "Bearer "+sharedSecretToken(g.t, g.claims(method, target, text)))
	return g.serve(r)
}

func (g *gateway) post(target string, body any) answer {
	g.t.Helper()
	return g.send("POST", target, body)
}
func (g *gateway) get(target string) answer { g.t.Helper(); return g.send("GET", target, nil) }

// control calls the control surface, which takes no signature.
func (g *gateway) control(method, target string, body any) answer {
	g.t.Helper()
	raw := []byte{}
	if body != nil {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(g.t, err)
	}
	return g.serve(newRequest(method, target, string(raw)))
}

func newRequest(method, target, body string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.Host = testHost
	return r
}

func (g *gateway) serve(r *http.Request) answer {
	g.t.Helper()
	recorder := httptest.NewRecorder()
	g.server.Handler().ServeHTTP(recorder, r)
	a := answer{status: recorder.Code, header: recorder.Result().Header, raw: recorder.Body.String()}
	if bytes.HasPrefix(recorder.Body.Bytes(), []byte("{")) || bytes.HasPrefix(recorder.Body.Bytes(), []byte("[")) {
		require.NoError(g.t, json.Unmarshal(recorder.Body.Bytes(), &a.body), a.raw)
	}
	return a
}

// payment is a request that is approved, with changes by dotted path; a nil value takes the field away.
func payment(changes map[string]any) map[string]any {
	var made map[string]any
	const good = `{"clientReferenceInformation":{"code":"ORD-1001"},
	 "processingInformation":{"capture":false,"commerceIndicator":"internet"},
	 "paymentInformation":{"card":{"number":"4111111111111111","expirationMonth":"12","expirationYear":"2031","securityCode":"123","type":"001"}},
	 "orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},
	  "billTo":{"firstName":"Ada","lastName":"Byron","address1":"1 Market St","locality":"San Francisco","administrativeArea":"CA","postalCode":"94105","country":"US","email":"ada@example.com","phoneNumber":"4155550100"},
	  "shipTo":{"firstName":"Ada","lastName":"Byron","address1":"2 Pier Rd","locality":"Oakland","administrativeArea":"CA","postalCode":"94607","country":"US"}},
	 "merchantDefinedInformation":[{"key":"1","value":"web"},{"key":"2","value":"tier-gold"}]}`
	if err := json.Unmarshal([]byte(good), &made); err != nil {
		panic(err)
	}
	for path, value := range changes {
		set(made, strings.Split(path, "."), value)
	}
	return made
}

func set(into map[string]any, path []string, value any) {
	if len(path) == 1 {
		if value == nil {
			delete(into, path[0])
			return
		}
		into[path[0]] = value
		return
	}
	next, ok := into[path[0]].(map[string]any)
	if !ok {
		next = map[string]any{}
		into[path[0]] = next
	}
	set(next, path[1:], value)
}

// tokenPayment pays with a fresh browser token.
func (g *gateway) tokenPayment(scenario string, changes map[string]any) map[string]any {
	g.t.Helper()
	token, err := g.server.MintToken(scenario, "")
	require.NoError(g.t, err)
	made := payment(changes)
	delete(made, "paymentInformation")
	made["tokenInformation"] = map[string]any{"transientTokenJwt": token}
	return made
}

// pay sends a payment that must be answered 201.
func (g *gateway) pay(changes map[string]any) answer {
	g.t.Helper()
	a := g.post("/pts/v2/payments", payment(changes))
	require.Equal(g.t, http.StatusCreated, a.status, a.raw)
	return a
}

func sale(changes map[string]any) map[string]any {
	all := map[string]any{"processingInformation.capture": true}
	for k, v := range changes {
		all[k] = v
	}
	return all
}

func amountBody(reference, amount string) map[string]any {
	return map[string]any{
		"clientReferenceInformation": map[string]any{"code": reference},
		"orderInformation":           map[string]any{"amountDetails": map[string]any{"totalAmount": amount, "currency": "USD"}},
	}
}

func reversalBody(amount string) map[string]any {
	return map[string]any{
		"clientReferenceInformation": map[string]any{"code": "REV"},
		"reversalInformation":        map[string]any{"amountDetails": map[string]any{"totalAmount": amount, "currency": "USD"}, "reason": "cancelled"},
	}
}

func voidBody() map[string]any {
	return map[string]any{"clientReferenceInformation": map[string]any{"code": "VOID"}}
}

func (g *gateway) capture(id, amount string) answer {
	g.t.Helper()
	return g.post("/pts/v2/payments/"+id+"/captures", amountBody("CAP", amount))
}

func (g *gateway) reverse(id, amount string) answer {
	g.t.Helper()
	return g.post("/pts/v2/payments/"+id+"/reversals", reversalBody(amount))
}

func (g *gateway) settle() {
	g.t.Helper()
	a := g.control("POST", "/_sandbox/settle", nil)
	require.Equal(g.t, http.StatusOK, a.status, a.raw)
}

// entry is a transaction of the ledger.
func (g *gateway) entry(id string) LedgerEntry {
	g.t.Helper()
	for _, e := range g.server.Ledger().Transactions {
		if e.ID == id {
			return e
		}
	}
	require.Fail(g.t, "not in the ledger", id)
	return LedgerEntry{}
}

// balance is that of a reference in its only currency, as text.
func (g *gateway) balance(reference string) (held, captured, refunded string) {
	g.t.Helper()
	sums := g.server.Balances(reference)
	require.Len(g.t, sums, 1)
	return sums[0].Held.StringFixed(2), sums[0].Captured.StringFixed(2), sums[0].Refunded.StringFixed(2)
}

// unverified reads the claims of a JWT.
func unverified(t *testing.T, token string) answer {
	t.Helper()
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(token, claims)
	require.NoError(t, err)
	return answer{body: map[string]any(claims)}
}
