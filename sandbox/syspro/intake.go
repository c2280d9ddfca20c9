package syspro

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxDepth = 32 // of nested JSON; the deepest document of the facade has 4

func readBody(r *http.Request) ([]byte, *problem) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Content-Type must be application/json").at("Content-Type", "")
	}
	raw, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, codeTooLong, "the body is larger than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, codeMalformed, "the body could not be read")
	}
	return raw, nil
}

// decodeBody reads one JSON object in UTF-8 into v. Unknown fields are ignored, names match whatever their case.
func decodeBody(raw []byte, v any) *problem {
	if !utf8.Valid(raw) {
		return refuse(http.StatusBadRequest, codeMalformed, "the body is not UTF-8")
	}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return refuse(http.StatusBadRequest, codeMalformed, "the body is not a JSON object")
	}
	err := json.Unmarshal(raw, v)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return refuse(http.StatusBadRequest, codeInvalid, "%s is not what this field takes", wrong.Value).at(wrong.Field, "")
	}
	if err != nil {
		return refuse(http.StatusBadRequest, codeMalformed, "the body is not JSON")
	}
	return nil
}

// tree is the body as it came: for the canonical form behind an idempotency key, and for the card-number check.
func tree(raw []byte) (any, *problem) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, refuse(http.StatusBadRequest, codeMalformed, "the body is not JSON")
	}
	return v, nil
}

// numberedFields may hold long numbers that pass Luhn by chance.
var numberedFields = [...]string{"transactionid", "reconciliationid", "reference", "number"}

// cardData finds a value shaped like a card number: 13 to 19 digits that pass Luhn. The value is never echoed.
func cardData(v any, field string, depth int) *problem {
	if depth > maxDepth {
		return refuse(http.StatusBadRequest, codeInvalid, "the body is nested too deep")
	}
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if cardNumber(name) {
				return refuse(http.StatusBadRequest, codeInvalid, "card numbers are not accepted").at(field, "")
			}
			path := name
			if field != "" {
				path = field + "." + name
			}
			if p := cardData(inner, path, depth+1); p != nil {
				return p
			}
		}
	case []any:
		for i, inner := range v {
			if p := cardData(inner, field+"["+strconv.Itoa(i)+"]", depth+1); p != nil {
				return p
			}
		}
	case string:
		return cardValue(v, field)
	case json.Number:
		return cardValue(v.String(), field)
	}
	return nil
}

func cardValue(value, field string) *problem {
	if !cardNumber(value) {
		return nil
	}
	name := field[strings.LastIndexByte(field, '.')+1:]
	if i := strings.IndexByte(name, '['); i >= 0 {
		name = name[:i]
	}
	for _, suffix := range numberedFields {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return nil
		}
	}
	return refuse(http.StatusBadRequest, codeInvalid, "card numbers are not accepted").at(field, "")
}

func cardNumber(s string) bool {
	s = strings.TrimSpace(s)
	if len(s) < 13 || len(s) > 19 {
		return false
	}
	sum := 0
	for i := range len(s) {
		digit := int(s[len(s)-1-i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		if i%2 == 1 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}
