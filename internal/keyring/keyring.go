// Package keyring seals personal data at rest and in Temporal payloads: AES-256-GCM under one of several keys, so that keys
// can be rotated. The primary key seals; every key of the ring opens.
//
// A sealed text is
//
//	version (1 byte) | length of key id (1 byte) | key id | nonce (12 bytes) | ciphertext and tag (16 bytes)
//
// The part before the nonce is authenticated together with the caller's additional data. Nonces are random: a key should
// be rotated before it has sealed 2^32 texts.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	formatVersion = 1
	maxKeyID      = 64
	overhead      = 12 + 16 // nonce and tag
)

// The errors of Open. None of them tells anything of the content.
var (
	// ErrMalformed: the bytes are not a sealed text.
	ErrMalformed = errors.New("not a sealed text")
	// ErrUnknownKey: the text was sealed under a key that the ring does not hold.
	ErrUnknownKey = errors.New("sealed under a key that is not in the key ring")
	// ErrTampered: text, key or additional data are not those it was sealed with.
	ErrTampered = errors.New("sealed text does not authenticate")
)

// Ring holds the keys. It is safe for concurrent use; it never shows a key.
type Ring struct {
	primary string
	header  []byte // of everything the primary key seals
	keys    map[string]cipher.AEAD
}

// New makes a ring of 32-byte keys by id (1 to 64 of A-Z a-z 0-9 . _ -); the key primaryID seals.
func New(primaryID string, keys map[string][]byte) (*Ring, error) {
	if _, ok := keys[primaryID]; !ok {
		return nil, fmt.Errorf("key ring has no key with the primary id %q", primaryID)
	}
	ring := &Ring{
		primary: primaryID,
		header:  append([]byte{formatVersion, byte(len(primaryID))}, primaryID...),
		keys:    make(map[string]cipher.AEAD, len(keys)),
	}
	for id, key := range keys {
		if !validID(id) {
			return nil, fmt.Errorf("key id %q: want 1 to %d of A-Z a-z 0-9 . _ -", id, maxKeyID)
		}
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", id, err)
		}
		ring.keys[id] = aead
	}
	return ring, nil
}

// Parse reads "id1:base64key,id2:base64key" (standard or URL alphabet, padded or not); the first key is the primary one.
// Its errors never repeat key material.
func Parse(text string) (*Ring, error) {
	var primary string
	keys := map[string][]byte{}
	for i, entry := range strings.Split(text, ",") {
		id, encoded, found := strings.Cut(strings.TrimSpace(entry), ":")
		if !found {
			return nil, fmt.Errorf("key ring entry %d: want id:base64", i+1)
		}
		key, err := decodeKey(encoded)
		if err != nil {
			return nil, fmt.Errorf("key ring entry %d: key is not base64", i+1)
		}
		if _, twice := keys[id]; twice {
			return nil, fmt.Errorf("key ring entry %d: key id %q is there twice", i+1, id)
		}
		if i == 0 {
			primary = id
		}
		keys[id] = key
	}
	return New(primary, keys)
}

// PrimaryID names the key that seals.
func (r *Ring) PrimaryID() string { return r.primary }

// Has tells whether the ring can open what the key id has sealed.
func (r *Ring) Has(id string) bool {
	_, ok := r.keys[id]
	return ok
}

// Seal encrypts plaintext under the primary key. aad is authenticated, not stored: Open needs the same; give it the place the
// text belongs to, so that it can't be moved elsewhere.
func (r *Ring) Seal(plaintext, aad []byte) ([]byte, error) {
	aead := r.keys[r.primary]
	sealed := make([]byte, len(r.header), len(r.header)+overhead+len(plaintext))
	copy(sealed, r.header)
	return aead.Seal(sealed, nil, plaintext, bound(r.header, aad)), nil //nolint:gosec // no nonce: the cipher draws one itself and writes it first
}

// Open decrypts what Seal has made, under whichever key of the ring sealed it.
func (r *Ring) Open(sealed, aad []byte) ([]byte, error) {
	id, body, err := split(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := r.keys[id]
	if !ok {
		return nil, fmt.Errorf("key id %q: %w", id, ErrUnknownKey)
	}
	header := sealed[:len(sealed)-len(body)]
	plaintext, err := aead.Open(nil, nil, body, bound(header, aad))
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}

// KeyID names the key a text was sealed under, which need not be in any ring.
func KeyID(sealed []byte) (string, error) {
	id, _, err := split(sealed)
	return id, err
}

// newAEAD makes a GCM that draws a random nonce for each text and puts it in front.
func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("is %d bytes long, want %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// split takes a sealed text apart: key id, and the rest from the nonce on.
func split(sealed []byte) (id string, body []byte, err error) {
	if len(sealed) < 2 || sealed[0] != formatVersion {
		return "", nil, ErrMalformed
	}
	end := 2 + int(sealed[1])
	if len(sealed) < end+overhead || !validID(string(sealed[2:end])) {
		return "", nil, ErrMalformed
	}
	return string(sealed[2:end]), sealed[end:], nil
}

// bound joins the header, whose length it tells itself, and the caller's additional data.
func bound(header, aad []byte) []byte {
	return bytes.Join([][]byte{header, aad}, nil)
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > maxKeyID {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && !slices.Contains([]byte("._-"), c) {
			return false
		}
	}
	return true
}

func decodeKey(encoded string) ([]byte, error) {
	encoded = strings.TrimRight(encoded, "=")
	if strings.ContainsAny(encoded, "-_") {
		return base64.RawURLEncoding.DecodeString(encoded)
	}
	return base64.RawStdEncoding.DecodeString(encoded)
}
