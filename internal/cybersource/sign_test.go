package cybersource_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/tenderline/tenderline/internal/cybersource"
)

// capturing is a transport that keeps the last request and answers nothing.
type capturing struct{ request *http.Request }

func (c *capturing) RoundTrip(request *http.Request) (*http.Response, error) {
	c.request = request
	return nil, errors.New("not sent")
}

func signed(t *testing.T, change func(*cybersource.Config), do func(*cybersource.Client)) http.Header {
	t.Helper()
	transport := &capturing{}
	config := cybersource.Config{BaseURL: "https://apitest.cybersource.com", MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret,
		Transport: transport, Clock: func() time.Time { return now }}
	change(&config)
	client, err := cybersource.New(config)
	require.NoError(t, err)
	do(client)
	require.NotNil(t, transport.request)
	require.Equal(t, "https://apitest.cybersource.com", transport.request.URL.Scheme+"://"+transport.request.URL.Host)
	return transport.request.Header
}

const vectorBody = `{"clientReferenceInformation":{"code":"REF-1"},"orderInformation":{"amountDetails":{"totalAmount":"10.00","currency":"USD"}}}`

func sendVector(t *testing.T) func(*cybersource.Client) {
	return func(client *cybersource.Client) {
		_, err := client.Send(t.Context(), cybersource.Request{Kind: cybersource.KindCapture, Method: http.MethodPost,
			Path: "/pts/v2/payments/7000000000000000000001/captures", Body: []byte(vectorBody)})
		require.Error(t, err)
	}
}

func readVector(t *testing.T) func(*cybersource.Client) {
	return func(client *cybersource.Client) {
		_, err := client.Transaction(t.Context(), "7000000000000000000001")
		require.Error(t, err)
	}
}

func TestHTTPSignatureGivesTheValuesOfTheReference(t *testing.T) {
	signature := func(c *cybersource.Config) { c.Auth = cybersource.AuthHTTPSignature }
	header := signed(t, signature, sendVector(t))
	require.Equal(t, "SHA-256=fijT2T2anJ3w3+CKter9TZ4ev0cJIbl+st3jsb+S2EI=", header.Get("Digest"))
	require.Equal(t, "Mon, 05 Jan 2026 08:00:00 GMT", header.Get("Date"))
	require.Equal(t, "demo_mid", header.Get("v-c-merchant-id"))
	require.Equal(t, `keyid="key-1", algorithm="HmacSHA256", headers="host date request-target digest v-c-merchant-id", signature="3RPcxsDpn+XxHTjLTnJw7fzkYdfN72sPJ/ttBPUVX9Q="`,
		header.Get("Signature"))
	require.Equal(t, "application/json", header.Get("Content-Type"))
	require.Contains(t, header.Get("Accept"), "application/hal+json")

	header = signed(t, signature, readVector(t))
	require.Empty(t, header.Get("Digest"))
	require.Equal(t, `keyid="key-1", algorithm="HmacSHA256", headers="host date request-target v-c-merchant-id", signature="bBnktaKYK72Z3uyXtgzxHZVxRNu4r8Xh948sRVvys+k="`,
		header.Get("Signature"))
}

func TestAMetaKeySignsForItsPortfolioAndTransactsForTheMerchant(t *testing.T) {
	header := signed(t, func(c *cybersource.Config) {
		c.Auth, c.MerchantID, c.PortfolioID = cybersource.AuthHTTPSignature, "child_mid", "demo_mid"
	}, sendVector(t))
	require.Equal(t, "child_mid", header.Get("v-c-merchant-id"))
	require.Contains(t, header.Get("Signature"), "3RPcxsDpn+XxHTjLTnJw7fzkYdfN72sPJ/ttBPUVX9Q=", "the signed line names the portfolio")

	claims := claimsOf(t, signed(t, func(c *cybersource.Config) { c.MerchantID, c.PortfolioID = "child_mid", "demo_mid" }, sendVector(t)), sharedKey)
	require.Equal(t, "demo_mid", claims["iss"])
	require.Equal(t, "child_mid", claims["v-c-merchant-id"])
}

func sharedKey(*jwt.Token) (any, error) { return base64.StdEncoding.DecodeString(secret) }

func claimsOf(t *testing.T, header http.Header, key jwt.Keyfunc) jwt.MapClaims {
	t.Helper()
	compact, bearer := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	require.True(t, bearer)
	claims := jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return now })).ParseWithClaims(compact, claims, key)
	require.NoError(t, err)
	claims["kid"], claims["alg"] = token.Header["kid"], token.Header["alg"]
	for _, name := range []string{"Signature", "Digest", "Date", "v-c-merchant-id"} {
		require.Empty(t, header.Get(name))
	}
	return claims
}

func TestJWTHasTheClaimsOfTheReference(t *testing.T) {
	shared := func(*cybersource.Config) {}
	claims := claimsOf(t, signed(t, shared, sendVector(t)), sharedKey)
	sum := sha256.Sum256([]byte(vectorBody))
	jti := claims["jti"]
	delete(claims, "jti")
	require.Equal(t, jwt.MapClaims{
		"kid": "key-1", "alg": "HS256", "iss": "demo_mid", "v-c-merchant-id": "demo_mid", "v-c-jwt-version": "2",
		"iat": float64(now.Unix()), "exp": float64(now.Unix() + 120),
		"digest": base64.StdEncoding.EncodeToString(sum[:]), "digestAlgorithm": "SHA-256", "digest-algorithm": "SHA-256",
		"request-host": "apitest.cybersource.com", "request-method": "post",
		"request-resource-path": "/pts/v2/payments/7000000000000000000001/captures",
	}, claims)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, jti)

	reading := claimsOf(t, signed(t, shared, readVector(t)), sharedKey)
	require.NotContains(t, reading, "digest")
	require.NotContains(t, reading, "digestAlgorithm")
	require.Equal(t, "get", reading["request-method"])
	require.NotEqual(t, jti, reading["jti"], "each request has an id of its own")
}

func TestJWTCanBeSignedWithAP12File(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file := p12(t, key, &key.PublicKey, "key-of-certificate")
	header := signed(t, func(c *cybersource.Config) {
		c.Auth, c.P12, c.P12Password, c.KeyID, c.SharedSecret = cybersource.AuthJWTP12, file, "p12-password", "", ""
	}, sendVector(t))
	claims := claimsOf(t, header, func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
	require.Equal(t, "RS256", claims["alg"])
	require.Equal(t, "key-of-certificate", claims["kid"])
}

func p12(t *testing.T, private, public any, serialNumber string) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "demo_mid", SerialNumber: serialNumber},
		NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	file, err := pkcs12.Modern.Encode(private, certificate, nil, "p12-password")
	require.NoError(t, err)
	return file
}

func TestWhatCannotSignIsRefusedAtStart(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, change := range map[string]func(*cybersource.Config){
		"no host":           func(c *cybersource.Config) { c.BaseURL = "apitest.cybersource.com" },
		"path in base URL":  func(c *cybersource.Config) { c.BaseURL = "https://apitest.cybersource.com/pts" },
		"password in URL":   func(c *cybersource.Config) { c.BaseURL = "https://a:secret-word@apitest.cybersource.com" },
		"no merchant":       func(c *cybersource.Config) { c.MerchantID = "" },
		"no key id":         func(c *cybersource.Config) { c.KeyID = "" },
		"no secret":         func(c *cybersource.Config) { c.SharedSecret = "" },
		"secret not base64": func(c *cybersource.Config) { c.SharedSecret = "secret-word!" },
		"unknown auth":      func(c *cybersource.Config) { c.Auth = "oauth" },
		"P12 is none":       func(c *cybersource.Config) { c.Auth, c.P12 = cybersource.AuthJWTP12, []byte("secret-word") },
		"P12 with wrong word": func(c *cybersource.Config) {
			c.Auth, c.P12, c.P12Password = cybersource.AuthJWTP12, p12(t, rsaKey, &rsaKey.PublicKey, "k"), "secret-word"
		},
		"P12 without key id": func(c *cybersource.Config) {
			c.Auth, c.P12, c.P12Password = cybersource.AuthJWTP12, p12(t, rsaKey, &rsaKey.PublicKey, ""), "p12-password"
		},
		"P12 with other key": func(c *cybersource.Config) {
			c.Auth, c.P12, c.P12Password = cybersource.AuthJWTP12, p12(t, ecKey, &ecKey.PublicKey, "k"), "p12-password"
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := cybersource.Config{BaseURL: "https://apitest.cybersource.com", MerchantID: "demo_mid", KeyID: "key-1", SharedSecret: secret}
			change(&config)
			_, err := cybersource.New(config)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "secret-word")
		})
	}
}
