package sagepro

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/tenderline/tenderline/internal/canonical"
)

// currencyLength is that of an ISO 4217 code.
const currencyLength = 3

// minorUnits are the decimals of a currency; two of one that is not known, which nobody can pay in anyway.
func minorUnits(currency string) int {
	places, err := canonical.MinorUnits(currency)
	if err != nil {
		return 2
	}
	return int(places)
}

// size is how many characters a column holds; 0 for any.
func (s *site) size(table, name string) int {
	known, _ := s.column(table, name)
	return known.size
}

// fitted makes a reference fit its column as our order number is made to fit somast.ponum: cyb_xref keeps the whole of it.
func (q querier) fitted(table, name, reference string) string {
	return shortened(reference, q.site.size(table, name))
}

// shortened is a name where it fits, else its beginning, "-" and 8 hex digits of its SHA-256, so that two names do not become one. A column of
// any length (0) takes all of it.
func shortened(name string, most int) string {
	const mark = 9 // characters of "-" and the digits
	if most <= mark || len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:most-mark], "") + "-" + hex.EncodeToString(sum[:4])
}

// cut leaves so much of a text for people as its column holds.
func (q querier) cut(table, name, words string) string {
	most := q.site.size(table, name)
	words = strings.TrimSpace(words)
	if most == 0 || utf8.RuneCountInString(words) <= most {
		return words
	}
	return strings.TrimSpace(string([]rune(words)[:most]))
}
