package cybersource

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// maxTokenLife is how far exp may lie behind iat.
const maxTokenLife = 120 * time.Second

// credential is one key: a shared secret or a P12's public key.
type credential struct {
	owner  string // merchant or portfolio that the key belongs to
	secret []byte
	public *rsa.PublicKey
}

// verifier tells who sent a request: it takes JWT (version 2) and HTTP Signature.
type verifier struct {
	keys      map[string]credential
	merchants map[string]bool
	portfolio string
	clock     func() time.Time
	skew      time.Duration
	replays   *replayGuard
}

func newVerifier(cfg Config) (*verifier, error) {
	v := &verifier{
		keys: map[string]credential{}, merchants: map[string]bool{}, portfolio: cfg.PortfolioID,
		clock: cfg.Clock, skew: cfg.ClockSkew, replays: newReplayGuard(maxTokenLife + cfg.ClockSkew),
	}
	owner := cfg.MerchantID
	if cfg.PortfolioID != "" {
		owner = cfg.PortfolioID
	}
	first := Account{MerchantID: cfg.MerchantID, KeyID: cfg.KeyID, SharedSecret: cfg.SharedSecret, PublicKeys: cfg.PublicKeys}
	if err := v.add(first, owner); err != nil {
		return nil, err
	}
	for _, account := range cfg.Accounts {
		if err := v.add(account, account.MerchantID); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *verifier) add(a Account, owner string) error {
	if a.MerchantID == "" {
		return errors.New("account without a merchant id")
	}
	v.merchants[a.MerchantID] = true
	if a.KeyID != "" {
		secret, err := base64.StdEncoding.DecodeString(a.SharedSecret)
		if err != nil || len(secret) == 0 {
			return fmt.Errorf("shared secret of %s is not base64", a.MerchantID)
		}
		v.keys[a.KeyID] = credential{owner: owner, secret: secret}
	}
	for kid, key := range a.PublicKeys {
		v.keys[kid] = credential{owner: owner, public: key}
	}
	return nil
}

// authenticate returns the transacting merchant, or why the request is refused. The caller hears the same words
// whatever it was; the reason is for the log.
func (v *verifier) authenticate(r *http.Request, body []byte) (string, error) {
	if token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		return v.verifyJWT(r, body, strings.TrimSpace(token))
	}
	if signature := r.Header.Get("Signature"); signature != "" {
		return v.verifySignature(r, body, signature)
	}
	return "", errors.New("neither a bearer token nor a signature")
}

// transacting checks that the key may act for the merchant.
func (v *verifier) transacting(owner, merchant string) (string, error) {
	if !v.merchants[merchant] {
		return "", fmt.Errorf("unknown merchant %q", merchant)
	}
	if owner != merchant && owner != v.portfolio {
		return "", fmt.Errorf("the key is not the merchant's %q", merchant)
	}
	return merchant, nil
}

// requestClaims are the claims of a version 2 token. The guide spells the digest's algorithm one way, the SDKs the
// other.
type requestClaims struct {
	Digest             string `json:"digest"`
	DigestAlgorithm    string `json:"digestAlgorithm"`
	SDKDigestAlgorithm string `json:"digest-algorithm"`
	Host               string `json:"request-host"`
	Method             string `json:"request-method"`
	ResourcePath       string `json:"request-resource-path"`
	Version            string `json:"v-c-jwt-version"`
	MerchantID         string `json:"v-c-merchant-id"`
	jwt.RegisteredClaims
}

func (v *verifier) verifyJWT(r *http.Request, body []byte, token string) (string, error) {
	var claims requestClaims
	var key credential
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512", "RS256"}),
		jwt.WithoutClaimsValidation(), // times are checked below, against the injected clock
	)
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		known, found := v.keys[kid]
		if !found {
			return nil, fmt.Errorf("unknown key id %q", kid)
		}
		key = known
		_, symmetric := t.Method.(*jwt.SigningMethodHMAC)
		// A public key must never serve as a shared secret, nor the reverse.
		if symmetric == (key.public != nil) {
			return nil, fmt.Errorf("algorithm %s does not fit the key", t.Method.Alg())
		}
		if symmetric {
			return key.secret, nil
		}
		return key.public, nil
	})
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	if err := v.checkClaims(r, body, claims, key); err != nil {
		return "", err
	}
	merchant, err := v.transacting(key.owner, claims.MerchantID)
	if err != nil {
		return "", err
	}
	if !v.replays.first(claims.ID, v.clock()) {
		return "", errors.New("jti was used before")
	}
	return merchant, nil
}

func (v *verifier) checkClaims(r *http.Request, body []byte, c requestClaims, key credential) error {
	if c.Version != "2" {
		return fmt.Errorf("v-c-jwt-version is %q", c.Version)
	}
	if c.Issuer != key.owner {
		return errors.New("iss does not own the key")
	}
	if !strings.EqualFold(c.Host, r.Host) {
		return fmt.Errorf("request-host is %q, Host is %q", c.Host, r.Host)
	}
	if c.Method != strings.ToLower(r.Method) {
		return fmt.Errorf("request-method is %q", c.Method)
	}
	if c.ResourcePath != r.RequestURI {
		return errors.New("request-resource-path is not the path with its query")
	}
	if _, err := uuid.Parse(c.ID); err != nil {
		return errors.New("jti is not a UUID")
	}
	if err := v.checkTimes(c); err != nil {
		return err
	}
	return checkTokenDigest(c, body)
}

func (v *verifier) checkTimes(c requestClaims) error {
	if c.IssuedAt == nil || c.ExpiresAt == nil {
		return errors.New("iat or exp is missing")
	}
	now := v.clock()
	switch {
	case c.ExpiresAt.Sub(c.IssuedAt.Time) > maxTokenLife:
		return errors.New("exp is more than 120 s after iat")
	case !now.Before(c.ExpiresAt.Time):
		return errors.New("the token has expired")
	case c.IssuedAt.After(now.Add(v.skew)):
		return errors.New("iat is in the future")
	}
	return nil
}

func checkTokenDigest(c requestClaims, body []byte) error {
	if len(body) == 0 && c.Digest == "" {
		return nil
	}
	algorithm := c.DigestAlgorithm
	if algorithm == "" {
		algorithm = c.SDKDigestAlgorithm
	}
	if algorithm != "SHA-256" {
		return fmt.Errorf("digest algorithm is %q", algorithm)
	}
	if !same(c.Digest, digestOf(body)) {
		return errors.New("digest is not that of the body")
	}
	return nil
}

func (v *verifier) verifySignature(r *http.Request, body []byte, header string) (string, error) {
	parts, err := parseSignatureHeader(header)
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(parts["algorithm"], "HmacSHA256") {
		return "", fmt.Errorf("algorithm is %q", parts["algorithm"])
	}
	key, found := v.keys[parts["keyid"]]
	if !found || key.secret == nil {
		return "", fmt.Errorf("unknown key id %q", parts["keyid"])
	}
	names := strings.Fields(strings.ToLower(parts["headers"]))
	if err := requireSigned(names, r.Method); err != nil {
		return "", err
	}
	merchant := r.Header.Get("v-c-merchant-id")
	signed, err := v.signingString(r, names, key.owner)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key.secret)
	mac.Write([]byte(signed))
	if !same(parts["signature"], base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
		return "", errors.New("signature does not fit")
	}
	if err := v.checkDate(r, names); err != nil {
		return "", err
	}
	if digest := r.Header.Get("Digest"); digest != "" || len(body) > 0 {
		if !same(digest, "SHA-256="+digestOf(body)) {
			return "", errors.New("digest is not that of the body")
		}
	}
	return v.transacting(key.owner, merchant)
}

// signingString puts the lines together in the order that the caller named them.
func (v *verifier) signingString(r *http.Request, names []string, owner string) (string, error) {
	lines := make([]string, 0, len(names))
	for _, name := range names {
		value := r.Header.Get(name)
		switch {
		case name == "host":
			value = r.Host
		case name == "request-target":
			value = strings.ToLower(r.Method) + " " + r.RequestURI
		case name == "v-c-merchant-id" && owner == v.portfolio && v.portfolio != "":
			value = v.portfolio // a meta key signs its own id; the header names the merchant
		}
		if value == "" {
			return "", fmt.Errorf("signed header %q is missing", name)
		}
		lines = append(lines, name+": "+value)
	}
	return strings.Join(lines, "\n"), nil
}

// requireSigned refuses a signature that leaves something out that must be signed.
func requireSigned(names []string, method string) error {
	signed := map[string]bool{}
	for _, name := range names {
		signed[name] = true
	}
	if signed["(request-target)"] {
		return errors.New("(request-target) in parentheses is no longer taken")
	}
	required := []string{"host", "request-target", "v-c-merchant-id"}
	if method != http.MethodGet && method != http.MethodDelete {
		required = append(required, "digest")
	}
	for _, name := range required {
		if !signed[name] {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	if !signed["date"] && !signed["v-c-date"] {
		return errors.New("no date is signed")
	}
	return nil
}

func (v *verifier) checkDate(r *http.Request, names []string) error {
	for _, name := range names {
		if name != "date" && name != "v-c-date" {
			continue
		}
		sent, err := http.ParseTime(r.Header.Get(name))
		if err != nil {
			return fmt.Errorf("%s is not a date", name)
		}
		if off := v.clock().Sub(sent).Abs(); off > v.skew {
			return fmt.Errorf("%s is off by %s", name, off)
		}
	}
	return nil
}

// parseSignatureHeader reads `keyid="..", algorithm="..", headers="..", signature=".."`.
func parseSignatureHeader(header string) (map[string]string, error) {
	parts := map[string]string{}
	rest := strings.TrimSpace(header)
	for rest != "" {
		name, after, found := strings.Cut(rest, `="`)
		if !found {
			return nil, errors.New("signature header is malformed")
		}
		value, tail, found := strings.Cut(after, `"`)
		if !found {
			return nil, errors.New("signature header has an open quote")
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := parts[name]; twice {
			return nil, fmt.Errorf("signature header names %q twice", name)
		}
		parts[name] = value
		rest = strings.TrimSpace(tail)
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, errors.New("signature header is malformed")
		}
		rest = strings.TrimSpace(rest[1:])
	}
	for _, name := range []string{"keyid", "algorithm", "headers", "signature"} {
		if parts[name] == "" {
			return nil, fmt.Errorf("signature header has no %s", name)
		}
	}
	return parts, nil
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// replayGuard remembers token ids for at least their life. Two generations make forgetting cheap.
type replayGuard struct {
	keep time.Duration

	mu           sync.Mutex
	young, old   map[string]struct{}
	youngSince   time.Time
	youngStarted bool
}

func newReplayGuard(keep time.Duration) *replayGuard {
	return &replayGuard{keep: keep, young: map[string]struct{}{}}
}

// first says whether the id is new, and remembers it.
func (g *replayGuard) first(id string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.youngStarted || now.Sub(g.youngSince) > g.keep {
		g.old, g.young = g.young, map[string]struct{}{}
		g.youngSince, g.youngStarted = now, true
	}
	id = strings.ToLower(id)
	if _, seen := g.young[id]; seen {
		return false
	}
	if _, seen := g.old[id]; seen {
		return false
	}
	g.young[id] = struct{}{}
	return true
}
