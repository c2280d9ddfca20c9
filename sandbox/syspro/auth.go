package syspro

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// tokenMint makes opaque tokens that carry their own expiry, so that an expired token can be told from a foreign one
// without keeping any. The key lives as long as the process: a restart forgets all tokens, as a real service does.
type tokenMint struct{ key [32]byte }

const tokenBody = 8 + 16 // expiry in Unix milliseconds, nonce

func (m *tokenMint) issue(expires time.Time) string {
	raw := make([]byte, tokenBody, tokenBody+sha256.Size)
	binary.BigEndian.PutUint64(raw, uint64(expires.UnixMilli()))
	_, _ = rand.Read(raw[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(raw, m.sum(raw)...))
}

// check returns the error code for a token, "" when it is good.
func (m *tokenMint) check(token string, now time.Time) string {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != tokenBody+sha256.Size || !hmac.Equal(raw[tokenBody:], m.sum(raw[:tokenBody])) {
		return "TOKEN_INVALID"
	}
	if now.UnixMilli() >= int64(binary.BigEndian.Uint64(raw)) {
		return "TOKEN_EXPIRED"
	}
	return ""
}

func (m *tokenMint) sum(raw []byte) []byte {
	mac := hmac.New(sha256.New, m.key[:])
	mac.Write(raw)
	return mac.Sum(nil)
}

type tokenInput struct {
	GrantType, ClientId, ClientSecret, CompanyId string
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	raw, p := readBody(r)
	if p != nil {
		p.write(w)
		return
	}
	var in tokenInput
	if p := decodeBody(raw, &in); p != nil {
		p.write(w)
		return
	}
	if in.GrantType != "client_credentials" {
		refuse(http.StatusBadRequest, codeInvalid, "GrantType must be client_credentials").at("GrantType", "").write(w)
		return
	}
	known := same(in.ClientId, s.config.ClientID) & same(in.ClientSecret, s.config.ClientSecret)
	if s.config.ClientID == "" || s.config.ClientSecret == "" || known == 0 ||
		in.CompanyId != "" && in.CompanyId != s.config.CompanyID {
		refuse(http.StatusUnauthorized, "AUTH_INVALID_CLIENT", "client, secret or company is wrong").write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{
		"AccessToken": s.tokens.issue(s.config.Clock().Add(s.config.TokenTTL)), "TokenType": "Bearer",
		"ExpiresIn": int(s.config.TokenTTL / time.Second), "CompanyId": s.config.CompanyID,
	})
}

// authenticate accepts a bearer token or an API key.
func (s *Server) authenticate(r *http.Request) *problem {
	if p := s.credential(r); p != nil {
		return p
	}
	if company := r.Header.Get("X-Company-Id"); company != "" && company != s.config.CompanyID {
		return refuse(http.StatusForbidden, "OPERATOR_NOT_AUTHORISED", "the credential is not for this company")
	}
	return nil
}

func (s *Server) credential(r *http.Request) *problem {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		known := 0
		for _, valid := range s.config.APIKeys {
			known |= same(key, valid)
		}
		if known == 0 {
			return refuse(http.StatusUnauthorized, "API_KEY_INVALID", "the API key is not known")
		}
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return refuse(http.StatusUnauthorized, "TOKEN_INVALID", "a bearer token or an API key is needed")
	}
	switch code := s.tokens.check(token, s.config.Clock()); code {
	case "":
		return nil
	case "TOKEN_EXPIRED":
		return refuse(http.StatusUnauthorized, code, "the token has expired")
	default:
		return refuse(http.StatusUnauthorized, code, "the token is not known")
	}
}

// same compares in constant time, whatever the lengths.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}
