package erp

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
)

// plainKey is what an ERP takes as an idempotency key.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// IdempotencyKey turns an operation's key into one that an ERP takes: 1 to 64 of A-Z a-z 0-9 . _ : -. A key of that shape stays as it
// is, any other becomes "sha256:" and the base32 of its hash. Applying it twice changes nothing; an empty key stays empty, so that it is
// refused and never shared.
func IdempotencyKey(operationKey string) string {
	if operationKey == "" || plainKey.MatchString(operationKey) {
		return operationKey
	}
	sum := sha256.Sum256([]byte(operationKey))
	return "sha256:" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
}
