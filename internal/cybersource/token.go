package cybersource

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// ErrNoExpiry says that the token is no JWT with an expiry; its end can't be told from outside.
var ErrNoExpiry = errors.New("token carries no readable expiry")

// TransientTokenExpiry reads when a browser token ends (15 minutes after it was made). The token is not verified: the gateway does that,
// and a forged expiry gains nothing. Errors never quote the token.
func TransientTokenExpiry(token string) (time.Time, error) {
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		return time.Time{}, ErrNoExpiry
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segments[1], "="))
	if err != nil {
		return time.Time{}, ErrNoExpiry
	}
	var claims struct {
		Expiry json.Number `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return time.Time{}, ErrNoExpiry
	}
	seconds, err := claims.Expiry.Float64()
	const endOfTime = 253402300799 // 9999-12-31, beyond which times can't be written as RFC 3339
	if err != nil || seconds <= 0 || seconds > endOfTime {
		return time.Time{}, ErrNoExpiry
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
