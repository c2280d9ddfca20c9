package erp

import (
	"crypto/sha256"
	"encoding/hex"
)

// MaxReference is the longest reference that every ERP keeps.
const MaxReference = 30

// Reference turns an operation's key into a document reference: the key where it fits, else its first 21 characters, "-" and 8 hex digits
// of its SHA-256, so that two keys never share one.
func Reference(operationKey string) string {
	if len(operationKey) <= MaxReference {
		return operationKey
	}
	sum := sha256.Sum256([]byte(operationKey))
	return operationKey[:21] + "-" + hex.EncodeToString(sum[:4])
}
