package cybersource

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// The gateway's JSON is looser than its models: numbers and booleans arrive as strings and the reverse, one string where a
// list is modelled, null for absent. The types below read all of that, and never fail on a wrong shape: a field that makes no
// sense is an absent field, because an answer about money must not be lost over its decoration.

// text is a string, number or boolean as text.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	switch value := value.(type) {
	case string:
		*t = text(strings.TrimSpace(value))
	case json.Number:
		*t = text(value.String())
	case bool:
		*t = text(strconv.FormatBool(value))
	default:
		*t = ""
	}
	return nil
}

// flag is a boolean, or a string or number that means one.
type flag bool

func (f *flag) UnmarshalJSON(data []byte) error {
	var value text
	if err := value.UnmarshalJSON(data); err != nil {
		return err
	}
	yes, _ := strconv.ParseBool(strings.ToLower(string(value)))
	*f = flag(yes)
	return nil
}

// texts is a list of texts, or a single one.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	for _, item := range items(data) {
		var value text
		if value.UnmarshalJSON(item) == nil && value != "" {
			*t = append(*t, string(value))
		}
	}
	return nil
}

// list is a list of objects, or a single one; elements of another shape are left out.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	for _, item := range items(data) {
		var value T
		if isObject(item) && json.Unmarshal(item, &value) == nil {
			*l = append(*l, value)
		}
	}
	return nil
}

// part is an object that may as well be something else, which then counts as absent.
type part[T any] struct{ value T }

func (p *part[T]) UnmarshalJSON(data []byte) error {
	var value T
	if isObject(data) && json.Unmarshal(data, &value) == nil {
		p.value = value
	}
	return nil
}

func items(data []byte) []json.RawMessage {
	var many []json.RawMessage
	if json.Unmarshal(data, &many) == nil {
		return many
	}
	return []json.RawMessage{data}
}

func isObject(data []byte) bool {
	trimmed := bytes.TrimSpace(data)
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// money reads an amount with its currency; what is no plain decimal is no money. Exponents are refused: "1e999999999" is a
// valid decimal that fills the memory once it is written out.
func money(amount, currency string) canonical.Money {
	if !plainDecimal.MatchString(amount) {
		return canonical.Money{}
	}
	value, err := decimal.NewFromString(amount)
	if err != nil {
		return canonical.Money{}
	}
	return canonical.NewMoney(value, strings.ToUpper(currency))
}

var (
	plainDecimal = regexp.MustCompile(`^-?\d{1,19}(\.\d{1,10})?$`)
	searchable   = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// instant reads a time with zone, with or without fractions, or without zone, which is UTC; unreadable ones are zero.
func instant(value string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		at, err := time.Parse(layout, value)
		if at = at.UTC(); err == nil && at.Year() > 0 && at.Year() < 10000 { // beyond, it can't be stored as JSON
			return at
		}
	}
	return time.Time{}
}

// digitRun is long enough to be a card number, separators included.
var digitRun = regexp.MustCompile(`\d(?:[ -]?\d){11,}`)

// sentence is the other side's message, made safe to keep: bounded, and without runs of digits.
func sentence(message string) string {
	return cut(digitRun.ReplaceAllString(message, "..."), 200)
}
