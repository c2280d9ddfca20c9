package sagepro

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// The types below read what databases hold, whatever type they hold it in. NULL reads as nothing.

// text is a text without the blanks that fill it up.
type text string

// Scan implements sql.Scanner.
func (t *text) Scan(value any) error {
	got, err := asText(value)
	*t = text(strings.Trim(got, " \x00"))
	return err
}

// amount is money or a quantity. SQLite keeps it as text; a float that a site keeps is read by its shortest spelling.
type amount struct{ decimal.Decimal }

// Scan implements sql.Scanner.
func (a *amount) Scan(value any) error {
	a.Decimal = decimal.Zero
	switch got := widened(value).(type) {
	case nil:
		return nil
	case int64:
		a.Decimal = decimal.NewFromInt(got)
		return nil
	case float64:
		a.Decimal = decimal.NewFromFloat(got)
		return nil
	}
	got, err := asText(value)
	if err != nil {
		return err
	}
	if got = strings.TrimSpace(got); got == "" {
		return nil
	}
	a.Decimal, err = decimal.NewFromString(got)
	if err != nil {
		return fmt.Errorf("a column of amounts holds something else")
	}
	return nil
}

// whole is a whole number.
type whole int64

// Scan implements sql.Scanner.
func (w *whole) Scan(value any) error {
	*w = 0
	switch got := widened(value).(type) {
	case nil:
		return nil
	case int64:
		*w = whole(got)
		return nil
	case bool:
		if got {
			*w = 1
		}
		return nil
	case float64:
		*w = whole(got)
		return nil
	}
	got, err := asText(value)
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(strings.TrimSpace(got), ".") // NUMERIC(10,0) may come with places
	parsed, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("a column of whole numbers holds something else")
	}
	*w = whole(parsed)
	return nil
}

// day is a date, YYYY-MM-DD; "" for none: NULL, or one of those that stand for none (FoxPro's empty date, and SQL Server's).
type day string

// Scan implements sql.Scanner.
func (d *day) Scan(value any) error {
	*d = ""
	if at, isTime := value.(time.Time); isTime {
		*d = dayOf(at.Format(time.DateOnly))
		return nil
	}
	got, err := asText(value)
	if err != nil {
		return err
	}
	if got = strings.TrimSpace(got); len(got) > len(time.DateOnly) {
		got = got[:len(time.DateOnly)]
	}
	if len(got) == 8 && !strings.Contains(got, "-") {
		got = got[:4] + "-" + got[4:6] + "-" + got[6:]
	}
	*d = dayOf(got)
	return nil
}

func dayOf(date string) day {
	if date <= "1900-01-01" { // 1899-12-30, 1900-01-01, 0001-01-01 and ""
		return ""
	}
	return day(date)
}

// flag is a yes or no, kept as Y and N, as a bit or as T and F.
type flag bool

// Scan implements sql.Scanner.
func (f *flag) Scan(value any) error {
	*f = false
	switch got := widened(value).(type) {
	case bool:
		*f = flag(got)
		return nil
	case int64:
		*f = got != 0
		return nil
	}
	got, err := asText(value)
	switch strings.ToUpper(strings.TrimSpace(got)) {
	case "Y", "T", "1", "TRUE", ".T.":
		*f = true
	}
	return err
}

// moment is a time in UTC, as side tables keep it.
type moment struct{ time.Time }

// Scan implements sql.Scanner.
func (m *moment) Scan(value any) error {
	m.Time = time.Time{}
	if at, isTime := value.(time.Time); isTime {
		// A timestamp without zone comes as if it were of this machine's; it is UTC.
		m.Time = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
		return nil
	}
	got, err := asText(value)
	if err != nil || strings.TrimSpace(got) == "" {
		return err
	}
	got = strings.Replace(strings.TrimSpace(got), "T", " ", 1)
	m.Time, err = time.Parse("2006-01-02 15:04:05.999999999", strings.TrimSuffix(got, "Z"))
	if err != nil {
		return fmt.Errorf("a column of times holds something else")
	}
	return nil
}

// widened gives a whole number of 32 bits, which only the driver for ODBC knows, as every other driver would.
func widened(value any) any {
	if small, isSmall := value.(int32); isSmall {
		return int64(small)
	}
	return value
}

func asText(value any) (string, error) {
	switch got := widened(value).(type) {
	case nil:
		return "", nil
	case string:
		return got, nil
	case []byte:
		return string(bytes.Clone(got)), nil
	case int64:
		return strconv.FormatInt(got, 10), nil
	case float64:
		return strconv.FormatFloat(got, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(got), nil
	case time.Time:
		return got.Format(time.RFC3339Nano), nil
	default:
		return "", fmt.Errorf("unexpected type %T from the database", value)
	}
}

// bindValue writes a value as a column keeps it.
func bindValue(d dialect, column siteColumn, value any) (any, error) {
	switch got := value.(type) {
	case nil:
		return nil, nil //nolint:nilnil // NULL is a value
	case text:
		return bindText(d, column, string(got))
	case string:
		return bindText(d, column, got)
	case day:
		return bindText(d, column, string(got))
	case decimal.Decimal:
		return d.decimal(got), nil
	case amount:
		return d.decimal(got.Decimal), nil
	case bool:
		return bindFlag(column, got), nil
	case flag:
		return bindFlag(column, bool(got)), nil
	case int:
		return int64(got), nil
	case int64:
		return got, nil
	case whole:
		return int64(got), nil
	case time.Time:
		return d.instant(got), nil
	case moment:
		return d.instant(got.Time), nil
	default:
		return nil, fmt.Errorf("column %s: can't write a %T", column.name, value)
	}
}

func bindText(d dialect, column siteColumn, value string) (any, error) {
	switch column.kind {
	case kindNumber:
		return d.text(padLeft(value, column.size)), nil
	case kindCode:
		return d.text(padRight(foldCode(value), column.size)), nil
	case kindDate:
		if value == "" {
			return nil, nil //nolint:nilnil // no date is NULL
		}
		return d.date(value), nil
	default:
		return d.text(value), nil
	}
}

func bindFlag(column siteColumn, yes bool) any {
	if column.stored == kindFlag {
		return yes
	}
	if yes {
		return "Y"
	}
	return "N"
}

// padLeft fills a document's number up with blanks on its left. Nothing stays nothing.
func padLeft(value string, size int) string {
	value = strings.TrimSpace(value)
	if value == "" || utf8.RuneCountInString(value) >= size {
		return value
	}
	return strings.Repeat(" ", size-utf8.RuneCountInString(value)) + value
}

// padRight fills a code up with blanks on its right. Nothing stays nothing.
func padRight(value string, size int) string {
	if value == "" || utf8.RuneCountInString(value) >= size {
		return value
	}
	return value + strings.Repeat(" ", size-utf8.RuneCountInString(value))
}

// foldCode spells a code as Sage Pro does: without blanks around it, in upper case.
func foldCode(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }

// marks writes placeholders for so many arguments.
func marks(count int) string { return strings.TrimSuffix(strings.Repeat("?, ", count), ", ") }
