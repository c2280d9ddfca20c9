package sagepro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"golang.org/x/text/encoding/charmap"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// paper reads a mapped document strictly, and collects all that is wrong with it. A member that nothing reads is wrong.
type paper struct {
	site     *site
	problems []fault.Field
}

// object is one object of a document, or the whole of it.
type object struct {
	paper   *paper
	path    string // "" of the whole, "sotran[0]"
	members map[string]json.RawMessage
	read    map[string]bool
}

const (
	maxDocument = 1 << 20 // bytes
	maxRows     = 1000    // of a list
	maxProblems = 50
)

// newPaper opens a document.
func newPaper(s *site, doc erp.Document) (*paper, object) {
	p := &paper{site: s}
	if len(doc.Body) > maxDocument {
		p.wrong("", codeTooLong+": at most "+fmt.Sprint(maxDocument)+" bytes")
		return p, p.object("", nil)
	}
	return p, p.object("", doc.Body)
}

// fault is what is wrong with the document, or nil.
func (p *paper) fault(c *Client) error {
	if len(p.problems) == 0 {
		return nil
	}
	c.site.Store(nil) // the next try sees a column that people have made or widened since
	code, _, _ := strings.Cut(p.problems[0].Rule, ":")
	return c.refuse(fault.Value, code, "the document does not fit the tables of the ERP, nothing was written", p.problems...)
}

func (p *paper) wrong(path, rule string) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, fault.Field{Path: path, Rule: rule})
	}
}

var errDuplicateMember = errors.New("a member stands there twice")

// object reads an object's members. One that stands there twice is wrong: nobody can tell which is meant.
func (p *paper) object(path string, raw json.RawMessage) object {
	o := object{paper: p, path: path, members: map[string]json.RawMessage{}, read: map[string]bool{}}
	if err := o.parse(raw); err != nil {
		p.wrong(path, codeMalformed+": must be one JSON object with each member once")
		o.members = map[string]json.RawMessage{}
	}
	return o
}

func (o object) parse(raw json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return errors.New("no object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		key, isText := name.(string)
		if _, twice := o.members[key]; twice || !isText {
			return errDuplicateMember
		}
		o.members[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func (o object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// take gives a member and marks it as read. null is no value: a document leaves out what it does not mean.
func (o object) take(name string) (json.RawMessage, bool) {
	o.read[name] = true
	raw, there := o.members[name]
	return raw, there
}

// has tells whether there is a member, without reading it.
func (o object) has(name string) bool {
	_, there := o.members[name]
	return there
}

// require takes note of members that must be there, and not be empty texts.
func (o object) require(names ...string) {
	for _, name := range names {
		if raw, there := o.members[name]; !there || string(raw) == `""` {
			o.paper.wrong(o.at(name), codeMissingField)
		}
	}
}

// done takes note of members that nothing read.
func (o object) done() {
	for name := range o.members {
		if !o.read[name] {
			o.paper.wrong(o.at(boundedName(name)), codeInvalidField+": unknown")
		}
	}
}

// text reads a text of at most size characters (0 for any).
func (o object) text(name string, size int) string {
	raw, there := o.take(name)
	if !there {
		return ""
	}
	return o.paper.text(o.at(name), raw, size)
}

func (p *paper) text(path string, raw json.RawMessage, size int) string {
	var value string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &value) != nil {
		p.wrong(path, codeInvalidField+": must be a text")
		return ""
	}
	if size > 0 && utf8.RuneCountInString(value) > size {
		p.wrong(path, fmt.Sprintf("%s: at most %d characters", codeTooLong, size))
		return ""
	}
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) || strings.ContainsRune(value, utf8.RuneError) {
		p.wrong(path, codeInvalidField+": must have no control characters")
		return ""
	}
	return value
}

// textOf reads a text that its column can keep.
func (p *paper) textOf(path string, raw json.RawMessage, column siteColumn) string {
	value := p.text(path, raw, column.size)
	if !column.narrow {
		return value
	}
	if _, err := charmap.Windows1252.NewEncoder().String(value); err != nil {
		p.wrong(path, codeInvalidField+": the column has no room for all of its characters")
		return ""
	}
	return value
}

// amount reads a number of at most so many places, below 0 for any.
func (o object) amount(name string, places int) decimal.Decimal {
	raw, there := o.take(name)
	if !there {
		return decimal.Zero
	}
	return o.paper.amount(o.at(name), raw, places)
}

// longestNumber bounds a number's spelling and mostDigits its size: NUMERIC(19,4) holds so many before the point.
const (
	longestNumber = 40
	mostDigits    = 15
)

func (p *paper) amount(path string, raw json.RawMessage, places int) decimal.Decimal {
	number := strings.TrimSpace(string(raw))
	value, err := decimal.NewFromString(number)
	if err != nil || len(number) > longestNumber || number == "" || number[0] == '"' || strings.ContainsAny(number, "eE") {
		p.wrong(path, codeInvalidField+": must be a number, without an exponent")
		return decimal.Zero
	}
	if places >= 0 && !value.Equal(value.Truncate(int32(places))) {
		p.wrong(path, fmt.Sprintf("%s: at most %d decimals", codeInvalidField, places))
		return decimal.Zero
	}
	if value.Abs().GreaterThanOrEqual(decimal.New(1, mostDigits)) {
		p.wrong(path, fmt.Sprintf("%s: at most %d digits before the point", codeInvalidField, mostDigits))
		return decimal.Zero
	}
	return value
}

// whole reads a whole number.
func (o object) whole(name string) int64 {
	return o.amount(name, 0).IntPart()
}

// flag reads a yes or no: true, false, "Y", "N".
func (o object) flag(name string) bool {
	raw, there := o.take(name)
	if !there {
		return false
	}
	return o.paper.flag(o.at(name), raw)
}

func (p *paper) flag(path string, raw json.RawMessage) bool {
	switch string(raw) {
	case "true", `"Y"`:
		return true
	case "false", `"N"`, `""`:
		return false
	}
	p.wrong(path, codeInvalidField+`: must be "Y" or "N"`)
	return false
}

// date reads a day, YYYY-MM-DD; "" for none.
func (o object) date(name string) string {
	raw, there := o.take(name)
	if !there {
		return ""
	}
	return o.paper.date(o.at(name), raw)
}

func (p *paper) date(path string, raw json.RawMessage) string {
	var value string
	if json.Unmarshal(raw, &value) != nil {
		p.wrong(path, codeInvalidField+": must be a date, YYYY-MM-DD")
		return ""
	}
	if value == "" {
		return ""
	}
	if at, err := time.Parse(time.DateOnly, value); err != nil || at.Year() < 1901 {
		p.wrong(path, codeInvalidField+": must be a date, YYYY-MM-DD")
		return ""
	}
	return value
}

// child reads an object within; an absent one has no members.
func (o object) child(name string) object {
	raw, there := o.take(name)
	if !there {
		return object{paper: o.paper, path: o.at(name), members: map[string]json.RawMessage{}, read: map[string]bool{}}
	}
	return o.paper.object(o.at(name), raw)
}

// children reads a list of objects.
func (o object) children(name string) []object {
	var all []object
	for i, raw := range o.elements(name) {
		all = append(all, o.paper.object(fmt.Sprintf("%s[%d]", o.at(name), i), raw))
	}
	return all
}

// texts reads a list of texts of a column.
func (o object) texts(name string, column siteColumn) []string {
	var all []string
	for i, raw := range o.elements(name) {
		all = append(all, o.paper.textOf(fmt.Sprintf("%s[%d]", o.at(name), i), raw, column))
	}
	return all
}

func (o object) elements(name string) []json.RawMessage {
	raw, there := o.take(name)
	if !there {
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil || elements == nil {
		o.paper.wrong(o.at(name), codeInvalidField+": must be a list")
		return nil
	}
	if len(elements) > maxRows {
		o.paper.wrong(o.at(name), fmt.Sprintf("%s: at most %d entries", codeTooLong, maxRows))
		return nil
	}
	return elements
}

// columns reads all members as columns of a table: any that the site has, but for those that only the adapter writes. The adapter's own that
// this document gives all the same are named in given. The path of a problem is the table's: "somast.ordamt".
func (o object) columns(table string, given ...string) row {
	values := row{}
	if len(o.members) > 0 && !o.paper.site.has(table) {
		o.paper.wrong(o.path, codeInvalidField+": the site has no such table")
	}
	for name, raw := range o.members {
		o.read[name] = true
		path := o.at(boundedName(name))
		column, exists := o.paper.site.column(table, name)
		own := o.paper.site.reserved(table, name)
		for _, each := range given {
			own = own && each != name
		}
		switch {
		case isCardColumn(name) || exists && isCardColumn(column.name):
			o.paper.wrong(path, codeInvalidField+": a card column is never written")
		case own:
			o.paper.wrong(path, codeInvalidField+": only the adapter writes it")
		case !exists || name != strings.ToLower(name):
			o.paper.wrong(path, codeInvalidField+": the site has no such column")
		default:
			if value, ok := o.paper.columnValue(path, column, raw); ok {
				values[name] = value
			}
		}
	}
	return values
}

// columnValue reads a value as its column keeps it.
func (p *paper) columnValue(path string, column siteColumn, raw json.RawMessage) (any, bool) {
	before := len(p.problems)
	var value any
	switch column.kind {
	case kindDecimal:
		value = p.amount(path, raw, column.places)
	case kindInteger:
		value = p.amount(path, raw, 0).IntPart()
	case kindFlag:
		value = p.flag(path, raw)
	case kindDate:
		value = day(p.date(path, raw))
	case kindInstant:
		value = p.instant(path, raw)
	default:
		if isNumber(raw) && p.site.dialect.untyped() {
			value = p.amount(path, raw, -1).String()
			break
		}
		value = p.textOf(path, raw, column)
	}
	return value, len(p.problems) == before
}

func isNumber(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

func (p *paper) instant(path string, raw json.RawMessage) any {
	var value time.Time
	if json.Unmarshal(raw, &value) != nil {
		p.wrong(path, codeInvalidField+": must be a time, RFC 3339")
		return nil
	}
	return value
}

const longestName = 64

// boundedName keeps what names a member in a message short and printable.
func boundedName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > longestName {
		return string(runes[:longestName]) + "…"
	}
	return name
}
