package cybersource

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const captureExampleBody = `{"clientReferenceInformation":{"code":"REF-1"},"orderInformation":{"amountDetails":{"totalAmount":"10.00","currency":"USD"}}}`

// The documented signing examples, byte for byte: a request is past the door when it is refused for its unknown id.
func TestSignatureExamplesOfTheReference(t *testing.T) {
	g := newGateway(t)

	post := newRequest("POST", "/pts/v2/payments/7000000000000000000001/captures", captureExampleBody)
	signedHeaders(post, "host date request-target digest v-c-merchant-id", "3RPcxsDpn+XxHTjLTnJw7fzkYdfN72sPJ/ttBPUVX9Q=")
	post.Header.Set("Digest", "SHA-256=fijT2T2anJ3w3+CKter9TZ4ev0cJIbl+st3jsb+S2EI=")
	a := g.serve(post)
	require.Equal(t, http.StatusBadRequest, a.status, a.raw)
	require.Equal(t, "MISSING_FIELD", a.text("reason"))

	get := newRequest("GET", "/tss/v2/transactions/7000000000000000000001", "")
	signedHeaders(get, "host date request-target v-c-merchant-id", "bBnktaKYK72Z3uyXtgzxHZVxRNu4r8Xh948sRVvys+k=")
	require.Equal(t, http.StatusNotFound, g.serve(get).status)
}

// signedHeaders are the headers that Cybersource's own Node SDK sends.
func signedHeaders(r *http.Request, names, signature string) {
	r.Header.Set("v-c-merchant-id", testMerchant)
	r.Header.Set("Date", "Mon, 05 Jan 2026 08:00:00 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/hal+json;charset=utf-8")
	r.Header.Set("v-c-client-id", "cybs-rest-sdk-node-0.0.83")
	r.Header.Set("v-c-sdk-telemetry-merchant-id", testMerchant)
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.Header.Set("Signature", `keyid="`+testKeyID+`", algorithm="HmacSHA256", headers="`+names+`", signature="`+signature+`"`)
}

// hmacOf signs lines as the guide says.
func hmacOf(lines ...string) string {
	secret, _ := base64.StdEncoding.DecodeString(testSecret)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.Join(lines, "\n")))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestHTTPSignature(t *testing.T) {
	const target = "/tss/v2/transactions/1?x=%2F1"
	const date = "Mon, 05 Jan 2026 08:00:00 GMT"
	good := []string{"host: " + testHost, "date: " + date, "request-target: get " + target, "v-c-merchant-id: " + testMerchant}
	tests := map[string]struct {
		names  string
		lines  []string
		change func(*http.Request)
		at     time.Duration
		want   int
	}{
		"good":                {names: "host date request-target v-c-merchant-id", lines: good, want: 404},
		"another order":       {names: "v-c-merchant-id date host request-target", lines: []string{good[3], good[1], good[0], good[2]}, want: 404},
		"v-c-date":            {names: "host v-c-date request-target v-c-merchant-id", lines: []string{good[0], "v-c-date: " + date, good[2], good[3]}, want: 404},
		"4 minutes slow":      {names: "host date request-target v-c-merchant-id", lines: good, at: 4 * time.Minute, want: 404},
		"6 minutes slow":      {names: "host date request-target v-c-merchant-id", lines: good, at: 6 * time.Minute, want: 401},
		"6 minutes fast":      {names: "host date request-target v-c-merchant-id", lines: good, at: -6 * time.Minute, want: 401},
		"parenthesised":       {names: "host date (request-target) v-c-merchant-id", lines: []string{good[0], good[1], "(request-target): get " + target, good[3]}, want: 401},
		"merchant not signed": {names: "host date request-target", lines: good[:3], want: 401},
		"host not signed":     {names: "date request-target v-c-merchant-id", lines: good[1:], want: 401},
		"no date signed":      {names: "host request-target v-c-merchant-id", lines: []string{good[0], good[2], good[3]}, want: 401},
		"another host": {names: "host date request-target v-c-merchant-id", lines: good, want: 401,
			change: func(r *http.Request) { r.Host = "api.cybersource.com" }},
		"unknown key": {names: "host date request-target v-c-merchant-id", lines: good, want: 401,
			change: func(r *http.Request) {
				r.Header.Set("Signature", strings.Replace(r.Header.Get("Signature"), testKeyID, "another", 1))
			}},
		"unknown merchant": {names: "host date request-target v-c-merchant-id", lines: append(good[:3:3], "v-c-merchant-id: other_mid"), want: 401,
			change: func(r *http.Request) { r.Header.Set("v-c-merchant-id", "other_mid") }},
		"open quote": {names: "host date request-target v-c-merchant-id", lines: good, want: 401,
			change: func(r *http.Request) { r.Header.Set("Signature", `keyid="x`) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			g.clock.Advance(test.at)
			r := newRequest("GET", target, "")
			signedHeaders(r, test.names, hmacOf(test.lines...))
			r.Header.Set("v-c-date", date)
			if test.change != nil {
				test.change(r)
			}
			a := g.serve(r)
			require.Equal(t, test.want, a.status, a.raw)
			if test.want == 401 {
				require.JSONEq(t, `{"response":{"rmsg":"Authentication Failed"}}`, a.raw)
			}
		})
	}
}

func TestHTTPSignatureOfABody(t *testing.T) {
	g := newGateway(t)
	lines := []string{
		"host: " + testHost, "date: Mon, 05 Jan 2026 08:00:00 GMT", "request-target: post /pts/v2/credits",
		"digest: SHA-256=" + bodyDigest("{}"), "v-c-merchant-id: " + testMerchant,
	}
	request := func(body, names string, lines ...string) *http.Request {
		r := newRequest("POST", "/pts/v2/credits", body)
		signedHeaders(r, names, hmacOf(lines...))
		r.Header.Set("Digest", "SHA-256="+bodyDigest("{}"))
		return r
	}
	const names = "host date request-target digest v-c-merchant-id"
	require.Equal(t, 400, g.serve(request("{}", names, lines...)).status)
	require.Equal(t, 401, g.serve(request("{ }", names, lines...)).status, "the digest is of other bytes")
	unsigned := slices.Concat(lines[:3], lines[4:])
	require.Equal(t, 401, g.serve(request("{}", "host date request-target v-c-merchant-id", unsigned...)).status, "a body's digest must be signed")
}

func TestJWT(t *testing.T) {
	const body = `{"clientReferenceInformation":{"code":"x"}}`
	tests := map[string]struct {
		change func(jwt.MapClaims)
		want   int
	}{
		"good":                       {func(jwt.MapClaims) {}, 400},
		"digest as the SDKs name it": {func(c jwt.MapClaims) { delete(c, "digestAlgorithm"); c["digest-algorithm"] = "SHA-256" }, 400},
		"no digest":                  {func(c jwt.MapClaims) { delete(c, "digest") }, 401},
		"digest of other bytes":      {func(c jwt.MapClaims) { c["digest"] = bodyDigest("{}") }, 401},
		"no digest algorithm":        {func(c jwt.MapClaims) { delete(c, "digestAlgorithm") }, 401},
		"life of 121 s":              {func(c jwt.MapClaims) { c["exp"] = c["iat"].(int64) + 121 }, 401},
		"expired":                    {func(c jwt.MapClaims) { c["iat"] = c["iat"].(int64) - 121; c["exp"] = c["exp"].(int64) - 121 }, 401},
		"a little in the future":     {func(c jwt.MapClaims) { c["iat"] = c["iat"].(int64) + 60; c["exp"] = c["exp"].(int64) + 60 }, 400},
		"far in the future":          {func(c jwt.MapClaims) { c["iat"] = c["iat"].(int64) + 600; c["exp"] = c["exp"].(int64) + 600 }, 401},
		"no iat":                     {func(c jwt.MapClaims) { delete(c, "iat") }, 401},
		"no exp":                     {func(c jwt.MapClaims) { delete(c, "exp") }, 401},
		"another host":               {func(c jwt.MapClaims) { c["request-host"] = "api.cybersource.com" }, 401},
		"another method":             {func(c jwt.MapClaims) { c["request-method"] = "get" }, 401},
		"another path":               {func(c jwt.MapClaims) { c["request-resource-path"] = "/pts/v2/payments" }, 401},
		"another issuer":             {func(c jwt.MapClaims) { c["iss"] = "other" }, 401},
		"another merchant":           {func(c jwt.MapClaims) { c["v-c-merchant-id"] = "other" }, 401},
		"version 1":                  {func(c jwt.MapClaims) { c["v-c-jwt-version"] = "1" }, 401},
		"jti is no UUID":             {func(c jwt.MapClaims) { c["jti"] = "1" }, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			claims := g.claims("POST", "/pts/v2/credits?a=1", body)
			test.change(claims)
			r := newRequest("POST", "/pts/v2/credits?a=1", body)
			r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, claims))
			a := g.serve(r)
			require.Equal(t, test.want, a.status, a.raw)
		})
	}
}

func TestJWTReplay(t *testing.T) {
	g := newGateway(t)
	claims := g.claims("GET", "/tss/v2/transactions/1", "")
	try := func() int {
		r := newRequest("GET", "/tss/v2/transactions/1", "")
		r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, claims))
		return g.serve(r).status
	}
	require.Equal(t, 404, try())
	require.Equal(t, 401, try(), "a second use")
	g.clock.Advance(119 * time.Second)
	require.Equal(t, 401, try(), "as long as the token lives")
}

func TestJWTWithCertificate(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	g := newGateway(t, func(c *Config) { c.PublicKeys = map[string]*rsa.PublicKey{"7001": &key.PublicKey} })
	try := func(method jwt.SigningMethod, kid string, signer any) int {
		token := jwt.NewWithClaims(method, g.claims("GET", "/tss/v2/transactions/1", ""))
		token.Header["kid"] = kid
		signed, err := token.SignedString(signer)
		require.NoError(t, err)
		r := newRequest("GET", "/tss/v2/transactions/1", "")
		r.Header.Set("Authorization", "Bearer "+signed)
		return g.serve(r).status
	}
	secret, _ := base64.StdEncoding.DecodeString(testSecret)
	require.Equal(t, 404, try(jwt.SigningMethodRS256, "7001", key))
	require.Equal(t, 404, try(jwt.SigningMethodHS512, testKeyID, secret))
	require.Equal(t, 401, try(jwt.SigningMethodRS256, testKeyID, key), "the key id is the secret's")
	require.Equal(t, 401, try(jwt.SigningMethodHS256, "7001", key.N.Bytes()), "a public key is no secret")
	require.Equal(t, 401, try(jwt.SigningMethodNone, testKeyID, jwt.UnsafeAllowNoneSignatureType))
}

func TestPortfolioKeyActsForItsMerchants(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.PortfolioID = "demo_portfolio" })
	claims := g.claims("GET", "/tss/v2/transactions/1", "")
	claims["iss"] = "demo_portfolio"
	r := newRequest("GET", "/tss/v2/transactions/1", "")
	r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, claims))
	require.Equal(t, 404, g.serve(r).status)

	signed := newRequest("GET", "/tss/v2/transactions/1", "")
	signedHeaders(signed, "host date request-target v-c-merchant-id", hmacOf("host: "+testHost, "date: Mon, 05 Jan 2026 08:00:00 GMT",
		"request-target: get /tss/v2/transactions/1", "v-c-merchant-id: demo_portfolio"))
	require.Equal(t, 404, g.serve(signed).status)
}

func TestMerchantsDoNotSeeEachOther(t *testing.T) {
	g := newGateway(t, func(c *Config) {
		c.Accounts = []Account{{MerchantID: "other_mid", KeyID: "other-key", SharedSecret: testSecret}}
	})
	paid := g.pay(nil)
	claims := g.claims("GET", "/tss/v2/transactions/"+paid.id(), "")
	claims["iss"], claims["v-c-merchant-id"] = "other_mid", "other_mid"
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = "other-key"
	secret, _ := base64.StdEncoding.DecodeString(testSecret)
	signed, err := token.SignedString(secret)
	require.NoError(t, err)
	r := newRequest("GET", "/tss/v2/transactions/"+paid.id(), "")
	r.Header.Set("Authorization", "Bearer "+signed)
	require.Equal(t, 404, g.serve(r).status)
	require.Equal(t, 200, g.get("/tss/v2/transactions/"+paid.id()).status)
}

func TestUnsignedRequestsAreRefusedOnEveryRoute(t *testing.T) {
	g := newGateway(t)
	for _, route := range []string{"POST /pts/v2/payments", "POST /tss/v2/searches", "GET /nowhere", "POST /risk/v1/decisions", "POST /kms/egress/v2/keys-sym"} {
		method, path, _ := strings.Cut(route, " ")
		require.Equal(t, 401, g.serve(newRequest(method, path, "{}")).status, route)
	}
	require.Equal(t, 404, g.get("/nowhere").status)
}

func TestAnswerHeaders(t *testing.T) {
	g := newGateway(t)
	a := g.pay(nil)
	require.Equal(t, "application/hal+json", a.header.Get("Content-Type"))
	require.Equal(t, "no-cache, no-store, must-revalidate", a.header.Get("Cache-Control"))
	require.Equal(t, "no-cache", a.header.Get("Pragma"))
	require.Equal(t, "-1", a.header.Get("Expires"))
	require.Equal(t, "max-age=31536000", a.header.Get("Strict-Transport-Security"))
	require.Regexp(t, `^\d+ms$`, a.header.Get("x-response-time"))
	for _, name := range []string{"v-c-correlation-id", "X-OPNET-Transaction-Trace"} {
		_, err := uuid.Parse(a.header.Get(name))
		require.NoError(t, err, name)
	}
}

func FuzzSignatureHeader(f *testing.F) {
	f.Add(`keyid="a", algorithm="HmacSHA256", headers="host date", signature="x"`)
	f.Add(`keyid="a`)
	f.Add(`keyid="a",keyid="b"`)
	f.Fuzz(func(t *testing.T, header string) {
		parts, err := parseSignatureHeader(header)
		if err == nil && (parts["keyid"] == "" || parts["signature"] == "") {
			t.Fatalf("accepted %q without its parts", header)
		}
	})
}
