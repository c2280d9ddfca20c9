package sagepro

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// amount is money or a quantity as a column has it; NULL is zero. It is kept as a plain decimal of at most four places.
type amount struct{ decimal.Decimal }

// Scan reads what either database gives.
func (a *amount) Scan(value any) error {
	if value == nil {
		a.Decimal = decimal.Zero
		return nil
	}
	return a.Decimal.Scan(value)
}

// Value writes a text, which both databases take for a decimal.
func (a amount) Value() (driver.Value, error) { return a.Round(4).String(), nil }

// MarshalJSON writes a plain JSON number.
func (a amount) MarshalJSON() ([]byte, error) {
	return []byte(a.StringFixed(max(0, -a.Exponent()))), nil
}

// money rounds to the minor unit of a currency, half away from zero.
func money(d decimal.Decimal, code string) amount {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return amount{d.Round(2)}
	}
	scale, _ := currency.Standard.Rounding(unit)
	return amount{d.Round(int32(scale))}
}

// quantity drops trailing zeros, so that 2 shows as 2 whatever it was computed from.
func quantity(d decimal.Decimal) amount {
	plain, err := decimal.NewFromString(d.String())
	if err != nil {
		return amount{d}
	}
	return amount{plain}
}

// text is a column of characters without the blanks that fill it up; NULL is "".
type text string

// Scan reads what either database gives.
func (t *text) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(strings.TrimSpace(v))
	case []byte:
		*t = text(strings.TrimSpace(string(v)))
	default:
		return fmt.Errorf("%T is no text", value)
	}
	return nil
}

// day is a date, YYYY-MM-DD; NULL, and the empty dates of DBF files, are "".
type day string

// Scan reads what either database gives.
func (d *day) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*d = ""
	case time.Time:
		*d = day(v.Format(time.DateOnly))
	case string:
		*d = day(v)
	case []byte:
		*d = day(v)
	default:
		return fmt.Errorf("%T is no date", value)
	}
	if *d == "1899-12-30" || *d == "1900-01-01" {
		*d = ""
	}
	return nil
}

// parts gives the columns of a row in order, a mark for each, and its values.
func (r row) parts() (columns, marks []string, values []any) {
	for c := range r {
		columns = append(columns, c)
	}
	slices.Sort(columns)
	for _, c := range columns {
		marks = append(marks, "?")
		values = append(values, r[c])
	}
	return columns, marks, values
}

// today is the business date.
func (s *Server) today() string { return s.now().Format(time.DateOnly) }

// clockTime is the time of day as audit columns have it.
func (s *Server) clockTime() string { return s.now().Format(time.TimeOnly) }
