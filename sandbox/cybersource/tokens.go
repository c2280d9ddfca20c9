package cybersource

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tenderline/tenderline/sandbox/control"
)

// transientLife is how long a browser token can be used.
const transientLife = 15 * time.Minute

// transientToken is a browser token: what is kept of the card, until when, and how its payments end.
type transientToken struct {
	JTI       string    `json:"jti"`
	Card      card      `json:"card"`
	Scenario  string    `json:"scenario,omitempty"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// flexKey signs capture contexts and browser tokens. It is made at its first use.
type flexKey struct {
	mu  sync.Mutex
	key *rsa.PrivateKey
	kid string
}

// signingKey is a flexKey in the state file.
type signingKey struct {
	KID string `json:"kid"`
	DER []byte `json:"der"` // PKCS #1
}

func (f *flexKey) restore(k *signingKey) {
	if key, err := x509.ParsePKCS1PrivateKey(k.DER); err == nil {
		f.key, f.kid = key, k.KID
	}
}

// use gives the key, and makes and keeps it first where there is none.
func (f *flexKey) use(s *Server) (*rsa.PrivateKey, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, "", fmt.Errorf("make signing key: %w", err)
		}
		f.key, f.kid = key, "0"+randomText(upperAlphanumeric, 7)
		s.put(f.entity())
	}
	return f.key, f.kid, nil
}

// persist writes the key to a state file that was emptied.
func (f *flexKey) persist(s *Server) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.key != nil {
		s.put(f.entity())
	}
}

func (f *flexKey) entity() control.Entry {
	return control.Entry{Kind: entitySigningKey, ID: "flex", Doc: &signingKey{KID: f.kid, DER: x509.MarshalPKCS1PrivateKey(f.key)}}
}

func (f *flexKey) sign(s *Server, claims jwt.MapClaims) (string, error) {
	key, kid, err := f.use(s)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = kid
	return token.SignedString(key)
}

// verify checks a browser token's signature and returns its id. Its life is checked against the books.
func (f *flexKey) verify(token string) (string, error) {
	f.mu.Lock()
	key := f.key
	f.mu.Unlock()
	if key == nil {
		return "", errors.New("no token was made yet")
	}
	var claims jwt.RegisteredClaims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	if _, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }); err != nil {
		return "", err
	}
	return claims.ID, nil
}

// sessionRequest is the body of a capture context request.
type sessionRequest struct {
	ClientVersion       string   `json:"clientVersion"`
	TargetOrigins       []string `json:"targetOrigins"`
	AllowedCardNetworks []string `json:"allowedCardNetworks"`
	AllowedPaymentTypes []string `json:"allowedPaymentTypes"`
}

// createMicroformSession is POST /microform/v2/sessions and its relatives: the answer is a JWT that a browser library
// starts from.
func (s *Server) createMicroformSession(c *call) reply {
	var r sessionRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	if refused := r.check(); refused != nil {
		return refused.reply(c.now)
	}
	key, kid, err := s.flex.use(s)
	if err != nil {
		return failure("SYSTEM_ERROR").reply(c.now)
	}
	origin := "https://" + c.Host
	token, err := s.flex.sign(s, jwt.MapClaims{
		"iss": "Flex API", "iat": c.now.Unix(), "exp": c.now.Add(transientLife).Unix(), "jti": randomText(upperAlphanumeric, 16),
		"flx": object{"path": "/flex/v2/tokens", "data": randomSecret(), "origin": origin, "jwk": publicJWK(&key.PublicKey, kid)},
		"ctx": []object{{"type": "mf-2.1.0", "data": object{
			"clientLibrary":          origin + "/microform/bundle/" + orElse(r.ClientVersion, "v2") + "/flex-microform.min.js",
			"clientLibraryIntegrity": "sha256-" + digestOf([]byte(origin)), "targetOrigins": r.TargetOrigins,
			"allowedCardNetworks": r.AllowedCardNetworks, "allowedPaymentTypes": r.AllowedPaymentTypes, "mfOrigin": origin,
		}}},
	})
	if err != nil {
		return failure("SYSTEM_ERROR").reply(c.now)
	}
	return reply{status: http.StatusCreated, raw: []byte(token), contentType: "application/jwt"}
}

func (r sessionRequest) check() *refusal {
	if len(r.TargetOrigins) == 0 {
		return missing("targetOrigins")
	}
	for _, origin := range r.TargetOrigins {
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Scheme != "https" || parsed.Host == "" || strings.Trim(parsed.Path, "/") != "" {
			return invalid("targetOrigins")
		}
	}
	return nil
}

func publicJWK(key *rsa.PublicKey, kid string) object {
	return object{
		"kty": "RSA", "use": "enc", "kid": kid,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

// paymentDetails is GET /up/v1/payment-details/{token} and /flex/v2/payment-details/{jti}.
func (s *Server) paymentDetails(c *call) reply {
	id := c.PathValue("transientToken")
	if strings.Contains(id, ".") {
		id, _ = s.flex.verify(id)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	token := s.books.transients[id]
	if token == nil || !c.now.Before(token.ExpiresAt) {
		return notFound("The token was not found").reply(c.now)
	}
	return reply{status: http.StatusOK, body: object{"paymentInformation": object{"card": object{
		"expirationMonth": token.Card.ExpirationMonth, "expirationYear": token.Card.ExpirationYear,
		"number": token.Card.masked(), "type": token.Card.Type,
	}}}}
}

// tokenOrder is the body of POST /_sandbox/tokens.
type tokenOrder struct {
	Scenario        string `json:"scenario"`
	CardNumber      string `json:"cardNumber"`
	ExpirationMonth string `json:"expirationMonth"`
	ExpirationYear  string `json:"expirationYear"`
	ExpiresIn       *int   `json:"expiresIn"` // seconds; 0 or less: expired already
}

// testCards are the numbers that tokens can be made of.
var testCards = []string{
	"4111111111111111", "4622943127013705", "2222420000001113", "2222630000001125", "5555555555554444", "378282246310005",
	"6011111111111117", "3566111111111113", "50339619890917", "586824160825533338", "6759411100000008", "135412345678911",
}

// MintToken makes a browser token as POST /_sandbox/tokens does: scenario is a name of TRIGGERS.md or "", number a test
// card or "". It returns the whole JWT.
func (s *Server) MintToken(scenario, number string) (string, error) {
	token, _, err := s.mint(tokenOrder{Scenario: scenario, CardNumber: number})
	return token, err
}

func (s *Server) mint(order tokenOrder) (string, *transientToken, error) {
	order.CardNumber = orElse(order.CardNumber, testCards[0])
	if !slices.Contains(testCards, order.CardNumber) {
		return "", nil, errors.New("cardNumber is not a test card")
	}
	if order.Scenario != "" {
		if _, known := findScenario(order.Scenario); !known {
			return "", nil, fmt.Errorf("unknown scenario %q", order.Scenario)
		}
	}
	life := transientLife
	if order.ExpiresIn != nil {
		life = time.Duration(*order.ExpiresIn) * time.Second
	}
	now := s.cfg.Clock().UTC()
	month, year := orElse(order.ExpirationMonth, "12"), orElse(order.ExpirationYear, now.AddDate(5, 0, 0).Format("2006"))
	var problems checks
	if problems.expiry(month, year); len(problems.details) > 0 {
		return "", nil, errors.New("expirationMonth or expirationYear is not valid")
	}
	token := &transientToken{
		JTI: randomText(upperHex, 64), Card: cardOf(order.CardNumber, month, year), Scenario: order.Scenario, ExpiresAt: now.Add(life),
	}
	signed, err := s.flex.sign(s, transientClaims(token, maskAll(order.CardNumber), life))
	if err != nil {
		return "", nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetTransients(now)
	s.books.transients[token.JTI] = token
	s.put(control.Entry{Kind: entityTransient, ID: token.JTI, Doc: token})
	return signed, token, nil
}

func transientClaims(t *transientToken, masked string, life time.Duration) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "Flex/00", "type": "mf-2.0.0", "iat": t.ExpiresAt.Add(-max(life, transientLife)).Unix(), "exp": t.ExpiresAt.Unix(), "jti": t.JTI,
		"content": object{"paymentInformation": object{"card": object{
			"expirationMonth": object{"value": t.Card.ExpirationMonth}, "expirationYear": object{"value": t.Card.ExpirationYear},
			"number":       object{"detectedCardTypes": []string{t.Card.Type}, "maskedValue": masked, "bin": t.Card.Prefix},
			"securityCode": object{},
		}}},
	}
}

// forgetTransients drops tokens that expired long ago, now and then, so that a long run does not fill up.
func (s *Server) forgetTransients(now time.Time) {
	if n := len(s.books.transients); n == 0 || n%4096 != 0 {
		return
	}
	var gone []control.Entry
	for jti, token := range s.books.transients {
		if now.Sub(token.ExpiresAt) > time.Hour {
			delete(s.books.transients, jti)
			gone = append(gone, control.Entry{Kind: entityTransient, ID: jti})
		}
	}
	s.put(gone...)
}
