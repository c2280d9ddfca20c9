package sagepro

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// currencyLength is that of an ISO 4217 code.
const currencyLength = 3

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

// checkDate refuses what is no day, YYYY-MM-DD.
func (c *Client) checkDate(path, date string) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return c.refuse(fault.Value, codeInvalidField, "a date is not one, nothing was written", fault.Field{Path: path, Rule: codeInvalidField + ": must be a date, YYYY-MM-DD"})
	}
	return nil
}

// checkMoney refuses an amount that is not above zero, or finer than its currency.
func (c *Client) checkMoney(path string, value decimal.Decimal, currency string) error {
	if value.IsPositive() && value.Equal(canonical.RoundAmount(value, currency)) {
		return nil
	}
	return c.refuse(fault.Value, codeInvalidField, "an amount is not one of its currency, nothing was written",
		fault.Field{Path: path, Rule: codeInvalidField + ": must be above zero, and no finer than the currency"})
}

// tooLong refuses a text that a column does not hold.
func (c *Client) tooLong(path string, most int) error {
	return c.refuse(fault.Value, codeTooLong, "a text is too long, nothing was written", fault.Field{Path: path, Rule: fmt.Sprintf("%s: at most %d characters", codeTooLong, most)})
}
