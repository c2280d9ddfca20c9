package syspro

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// number is money, a price or a quantity in the state and in answers: a JSON number with the decimals that it holds,
// so money shows the minor units of its currency.
type number struct{ decimal.Decimal }

// MarshalJSON writes a plain JSON number.
func (n number) MarshalJSON() ([]byte, error) {
	return []byte(n.StringFixed(max(0, -n.Exponent()))), nil
}

// minorUnits gives the decimals of a currency.
func minorUnits(code string) int32 {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return 2
	}
	scale, _ := currency.Standard.Rounding(unit)
	return int32(scale)
}

// money rounds to the minor unit, half away from zero.
func money(d decimal.Decimal, code string) number { return number{d.Round(minorUnits(code))} }

// quantity drops trailing zeros, so that 2 shows as 2 whatever it was computed from.
func quantity(d decimal.Decimal) number {
	plain, err := decimal.NewFromString(d.String())
	if err != nil {
		return number{d}
	}
	return number{plain}
}

// numeric is a number in a request: a JSON number, or a string that holds one. A bad one is kept as it came, so that the
// check can name its field.
type numeric struct{ text string }

const maxNumericText = 40

// UnmarshalJSON never fails: see numeric.
func (n *numeric) UnmarshalJSON(raw []byte) error {
	text := strings.TrimSpace(string(raw))
	if text == "null" {
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		var inner string
		if json.Unmarshal(raw, &inner) == nil {
			text = strings.TrimSpace(inner)
		}
	}
	n.text = text
	return nil
}

func (n numeric) set() bool { return n.text != "" }

// checks collects what is wrong with a request's fields, so that the caller learns everything at once.
type checks struct{ faults []fault }

func (c *checks) add(code, field, format string, args ...any) {
	c.faults = append(c.faults, fault{Code: code, Message: fmt.Sprintf(format, args...), Field: field})
}

func (c *checks) problem() *problem {
	if len(c.faults) == 0 {
		return nil
	}
	return &problem{status: http.StatusBadRequest, faults: c.faults}
}

// text checks the length in characters.
func (c *checks) text(field, value string, limit int) {
	if utf8.RuneCountInString(value) > limit {
		c.add(codeTooLong, field, "%s takes %d characters", field, limit)
	}
}

// required checks that there is a value, and its length.
func (c *checks) required(field, value string, limit int) {
	if strings.TrimSpace(value) == "" {
		c.add(codeMissing, field, "%s is required", field)
		return
	}
	c.text(field, value, limit)
}

// number reads a number of at most `whole` digits before the point and `places` after it; absent is zero.
func (c *checks) number(field string, n numeric, whole int, places int32) decimal.Decimal {
	if !n.set() {
		return decimal.Zero
	}
	if len(n.text) > maxNumericText || strings.ContainsAny(n.text, "eE") {
		c.add(codeInvalid, field, "%s is not a plain decimal number", field)
		return decimal.Zero
	}
	d, err := decimal.NewFromString(n.text)
	if err != nil {
		c.add(codeInvalid, field, "%s is not a number", field)
		return decimal.Zero
	}
	if !d.Equal(d.Truncate(places)) {
		c.add(codeInvalid, field, "%s has more than %d decimals", field, places)
		return decimal.Zero
	}
	if d.Abs().GreaterThanOrEqual(decimal.New(1, int32(whole))) {
		c.add(codeTooLong, field, "%s has more than %d digits before the point", field, whole)
		return decimal.Zero
	}
	return d
}

// amount reads money of at most 12 digits before the point, in whole minor units, not negative.
func (c *checks) amount(field string, n numeric, code string) decimal.Decimal {
	d := c.number(field, n, 12, minorUnits(code))
	if d.IsNegative() {
		c.add(codeInvalid, field, "%s is negative", field)
		return decimal.Zero
	}
	return d
}

// positive reads money above zero.
func (c *checks) positive(field string, n numeric, code string) decimal.Decimal {
	if !n.set() {
		c.add(codeMissing, field, "%s is required", field)
		return decimal.Zero
	}
	before := len(c.faults)
	d := c.amount(field, n, code)
	if len(c.faults) == before && !d.IsPositive() {
		c.add(codeInvalid, field, "%s must be above zero", field)
	}
	return d
}

// date checks a required business date.
func (c *checks) date(field, value string) {
	if value == "" {
		c.add(codeMissing, field, "%s is required", field)
		return
	}
	c.optionalDate(field, value)
}

func (c *checks) optionalDate(field, value string) {
	if value == "" {
		return
	}
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		c.add(codeInvalid, field, "%s is not a date (YYYY-MM-DD)", field)
	}
}

func (c *checks) timestamp(field, value string) {
	if value == "" {
		return
	}
	if _, err := time.Parse(time.RFC3339, value); err != nil {
		c.add(codeInvalid, field, "%s is not an RFC 3339 timestamp", field)
	}
}

// currency checks the field Currency, a required ISO 4217 code.
func (c *checks) currency(code string) {
	if code == "" {
		c.add(codeMissing, "Currency", "Currency is required")
		return
	}
	if !validCurrency(code) {
		c.add(codeInvalid, "Currency", "Currency is not an ISO 4217 code")
	}
}

func validCurrency(code string) bool {
	_, err := currency.ParseISO(code)
	return err == nil && code == strings.ToUpper(code)
}

func (c *checks) country(field, code string) {
	if code == "" {
		return
	}
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		c.add(codeInvalid, field, "%s is not an ISO 3166 alpha-2 code", field)
	}
}

// oneOf checks a value that has to be in a set; "" passes.
func (c *checks) oneOf(field, value string, set ...string) {
	if value == "" {
		return
	}
	for _, s := range set {
		if value == s {
			return
		}
	}
	c.add(codeInvalid, field, "%s is none of %s", field, strings.Join(set, ", "))
}

// key trims blanks, and the leading zeros of a code that is all digits: SYSPRO pads such keys at will.
func key(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return s
	}
	if trimmed := strings.TrimLeft(s, "0"); trimmed != "" {
		return trimmed
	}
	return "0"
}
