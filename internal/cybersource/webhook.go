package cybersource

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The reasons for which a delivery is not trusted. None of them quotes what was sent.
var (
	ErrNoSignature   = errors.New("webhook carries no readable signature")
	ErrUnknownKey    = errors.New("webhook is signed with an unknown key")
	ErrBadSignature  = errors.New("webhook signature does not fit")
	ErrOutsideWindow = errors.New("webhook signature is too old or from the future")
)

// defaultMaxAge is the window of the gateway's own sample; retries are signed anew.
const defaultMaxAge = time.Hour

// Verifier checks webhook signatures. Several keys may be valid at once: a new key replaces the old one for signing at a moment
// that the gateway chooses.
type Verifier struct {
	Keys   map[string]string // key id to key, base64, as the gateway shows it
	MaxAge time.Duration     // of the signature, in either direction; default 60 min, negative: any
	Clock  func() time.Time  // default time.Now
}

// Verify checks the v-c-signature header against the body exactly as it was received. The gateway's guide leaves open whether the body
// or the payload inside is signed; either is accepted, the payload as it stands or without white space.
func (v Verifier) Verify(header http.Header, body []byte) error {
	signature, err := parseSignature(header.Get("v-c-signature"))
	if err != nil {
		return err
	}
	encoded, known := v.Keys[signature.keyID]
	if !known {
		return ErrUnknownKey
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return ErrUnknownKey
	}
	for _, signed := range signedForms(body) {
		if signature.fits(key, signed) {
			return v.checkAge(signature.at)
		}
	}
	return ErrBadSignature
}

func (v Verifier) checkAge(at time.Time) error {
	maxAge := v.MaxAge
	if maxAge == 0 {
		maxAge = defaultMaxAge
	}
	clock := v.Clock
	if clock == nil {
		clock = time.Now
	}
	if maxAge > 0 && clock().Sub(at).Abs() > maxAge {
		return ErrOutsideWindow
	}
	return nil
}

// signature is the v-c-signature header: t=<milliseconds>;keyId=<uuid>;sig=<base64>.
type signature struct {
	stamp string // t as it was sent: it is part of what is signed
	at    time.Time
	keyID string
	mac   []byte
}

const maxSignatureHeader = 1024

func parseSignature(header string) (signature, error) {
	if len(header) > maxSignatureHeader {
		return signature{}, ErrNoSignature
	}
	values := map[string]string{}
	for _, pair := range strings.Split(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if _, twice := values[name]; twice {
			return signature{}, ErrNoSignature
		}
		values[name] = value
	}
	milliseconds, err := strconv.ParseInt(values["t"], 10, 64)
	if err != nil || milliseconds < 0 {
		return signature{}, ErrNoSignature
	}
	mac, err := base64.StdEncoding.DecodeString(values["sig"])
	if err != nil || len(mac) != sha256.Size || values["keyId"] == "" {
		return signature{}, ErrNoSignature
	}
	return signature{stamp: values["t"], at: time.UnixMilli(milliseconds), keyID: values["keyId"], mac: mac}, nil
}

func (s signature) fits(key, signed []byte) bool {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s.stamp))
	mac.Write([]byte{'.'})
	mac.Write(signed)
	return hmac.Equal(mac.Sum(nil), s.mac)
}

// signedForms are the texts that may have been signed: the body, the payload inside, the payload without white space.
func signedForms(body []byte) [][]byte {
	forms := [][]byte{body}
	var envelope struct {
		Payload json.RawMessage `json:"payload"`
	}
	if json.Unmarshal(body, &envelope) != nil || len(envelope.Payload) == 0 {
		return forms
	}
	forms = append(forms, envelope.Payload)
	var compact bytes.Buffer
	if json.Compact(&compact, envelope.Payload) == nil && !bytes.Equal(compact.Bytes(), envelope.Payload) {
		forms = append(forms, compact.Bytes())
	}
	return forms
}
