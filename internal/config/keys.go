package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Role is what an API key may do.
type Role string

// The roles.
const (
	RoleShop     Role = "shop"     // posts and follows orders of its channels
	RoleAnalyst  Role = "analyst"  // decides fraud reviews
	RoleOperator Role = "operator" // sees every order, resolves what is parked, decodes payloads
	RoleFinance  Role = "finance"  // sees every order and settlement
)

func (r Role) known() bool {
	return r == RoleShop || r == RoleAnalyst || r == RoleOperator || r == RoleFinance
}

// AllChannels stands for every channel.
const AllChannels = "*"

// Key is an API key as it is kept: its hash, never itself.
type Key struct {
	Name     string // who acts: it is what the audit shows
	Roles    []Role
	Channels []string // of role shop; "*" alone: all
	Hash     [sha256.Size]byte
}

// Has tells whether the key carries one of the roles.
func (k Key) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(k.Roles, r) })
}

// Covers tells whether the key may post to, and follow the orders of, a channel.
func (k Key) Covers(channel string) bool {
	return slices.Contains(k.Channels, AllChannels) || slices.Contains(k.Channels, channel)
}

// Keys are all API keys.
type Keys []Key

// HashKey gives what stands for an API key in the settings.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Find gives the key that a caller presented. It compares with every key in constant time, so that neither a hit nor its place shows.
func (k Keys) Find(presented string) (Key, bool) {
	sum := sha256.Sum256([]byte(presented))
	at := -1
	for i := range k {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k[i].Hash[:]), i, at)
	}
	if at < 0 {
		return Key{}, false
	}
	return k[at], true
}

// Decode reads "name|role+role|channel+channel|hash, ...".
func (k *Keys) Decode(text string) error {
	*k = nil
	for i, entry := range strings.Split(text, ",") {
		key, err := parseKey(strings.TrimSpace(entry))
		if err != nil {
			return fmt.Errorf("entry %d %w", i+1, err)
		}
		if slices.ContainsFunc(*k, func(other Key) bool { return other.Name == key.Name }) {
			return fmt.Errorf("entry %d has the name of an earlier one: %q", i+1, key.Name)
		}
		if slices.ContainsFunc(*k, func(other Key) bool { return other.Hash == key.Hash }) {
			return fmt.Errorf("entry %d is the same key as an earlier one", i+1)
		}
		*k = append(*k, key)
	}
	return nil
}

func parseKey(entry string) (Key, error) {
	parts := strings.Split(entry, "|")
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("has %d parts instead of name|roles|channels|hash", len(parts))
	}
	key := Key{Name: strings.TrimSpace(parts[0])}
	if key.Name == "" {
		return Key{}, fmt.Errorf("has no name")
	}
	for name := range strings.SplitSeq(parts[1], "+") {
		role := Role(strings.TrimSpace(name))
		if !role.known() {
			return Key{}, fmt.Errorf("(%s) has a role that is none of shop, analyst, operator, finance", key.Name)
		}
		key.Roles = append(key.Roles, role)
	}
	for channel := range strings.SplitSeq(parts[2], "+") {
		if channel = strings.TrimSpace(channel); channel != "" {
			key.Channels = append(key.Channels, channel)
		}
	}
	if key.Has(RoleShop) && len(key.Channels) == 0 {
		return Key{}, fmt.Errorf("(%s) has role shop, but no channel", key.Name)
	}
	hash, err := hex.DecodeString(strings.TrimSpace(parts[3]))
	if err != nil || len(hash) != sha256.Size {
		return Key{}, fmt.Errorf("(%s) ends in something else than the SHA-256 of the key in 64 hexadecimal digits", key.Name)
	}
	copy(key.Hash[:], hash)
	return key, nil
}
