package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Hash is the SHA-256, in hexadecimal, of what the order says, however it was written: the order of members, white space,
// trailing zeros of amounts and the zone of times make no difference; an empty map is as good as none.
func Hash(o Order) string {
	// Decimals marshal without trailing zeros and maps sorted by key. The time is written here because a year
	// beyond 9999, which Validate refuses, would not marshal.
	at := o.PlacedAt.UTC().Format(time.RFC3339Nano)
	o.PlacedAt = time.Time{}
	if o.Lines == nil {
		o.Lines = []LineItem{}
	}
	body, err := json.Marshal(struct {
		PlacedAt string
		Order    Order
	}{at, o})
	if err != nil {
		panic("canonical: order does not marshal: " + err.Error()) // strings and decimals only: can't happen
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
