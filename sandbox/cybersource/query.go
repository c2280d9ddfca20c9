package cybersource

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// The query language of transaction search:
//
//	query = any { "OR" any } ; any = one { "AND" one }
//	one   = "(" query ")" | field ":" ( word | quoted | range )
//	range = ("[" | "{") low "TO" high ("]" | "}")
//
// AND binds closer than OR. Square brackets include the bound, curly ones leave it out, * is no bound. Times are
// YYYY-MM-DDThh:mm:ssZ, a date, epoch milliseconds, or NOW with /UNIT to round down and +nUNIT, -nUNIT.

const (
	maxQueryLength = 4096
	maxQueryDepth  = 32
)

// query is a parsed expression.
type query interface {
	matches(t *transaction) bool
	// candidates gives the transactions that can match at all, where an index tells; ok is false where none does.
	candidates(b *books, merchant string) (found []*transaction, ok bool)
}

type allOf []query

func (q allOf) matches(t *transaction) bool {
	return !slices.ContainsFunc(q, func(one query) bool { return !one.matches(t) })
}

func (q allOf) candidates(b *books, merchant string) ([]*transaction, bool) {
	for _, one := range q {
		if found, ok := one.candidates(b, merchant); ok {
			return found, true
		}
	}
	return nil, false
}

type anyOf []query

func (q anyOf) matches(t *transaction) bool {
	return slices.ContainsFunc(q, func(one query) bool { return one.matches(t) })
}

func (q anyOf) candidates(b *books, merchant string) ([]*transaction, bool) {
	seen := map[string]bool{}
	var union []*transaction
	for _, one := range q {
		found, ok := one.candidates(b, merchant)
		if !ok {
			return nil, false
		}
		for _, t := range found {
			if !seen[t.ID] {
				seen[t.ID] = true
				union = append(union, t)
			}
		}
	}
	return union, true
}

// term compares one field.
type term struct {
	field     searchField
	low, high bound
	exact     string // of a text field
	isRange   bool
}

type bound struct {
	open   bool // no bound
	within bool // the bound itself matches
	text   string
	number decimal.Decimal
	at     time.Time
}

type fieldKind int

const (
	textField fieldKind = iota
	numberField
	timeField
)

// searchField is a field that can be searched.
type searchField struct {
	name string
	kind fieldKind
	text func(*transaction) string
}

// searchFields are the fields of the index. clientReferenceInformation.transactionId is not one of them.
var searchFields = func() map[string]searchField {
	fields := map[string]searchField{
		"submitTimeUtc": {kind: timeField},
		"orderInformation.amountDetails.totalAmount": {kind: numberField},
	}
	texts := map[string]func(*transaction) string{
		"id":                              func(t *transaction) string { return t.ID },
		"clientReferenceInformation.code": func(t *transaction) string { return t.Reference },
		"clientReferenceInformation.applicationName":    func(*transaction) string { return "REST API" },
		"reconciliationId":                              func(t *transaction) string { return t.ReconciliationID },
		"merchantId":                                    func(t *transaction) string { return t.MerchantID },
		"orderInformation.amountDetails.currency":       func(t *transaction) string { return t.Currency },
		"orderInformation.billTo.firstName":             func(t *transaction) string { return t.Details.BillTo.FirstName },
		"orderInformation.billTo.lastName":              func(t *transaction) string { return t.Details.BillTo.LastName },
		"orderInformation.billTo.email":                 func(t *transaction) string { return t.Details.BillTo.Email },
		"orderInformation.billTo.phoneNumber":           func(t *transaction) string { return t.Details.BillTo.PhoneNumber },
		"orderInformation.billTo.address1":              func(t *transaction) string { return t.Details.BillTo.Address1 },
		"orderInformation.billTo.postalCode":            func(t *transaction) string { return t.Details.BillTo.PostalCode },
		"orderInformation.billTo.locality":              func(t *transaction) string { return t.Details.BillTo.Locality },
		"orderInformation.billTo.administrativeArea":    func(t *transaction) string { return t.Details.BillTo.AdministrativeArea },
		"orderInformation.billTo.country":               func(t *transaction) string { return t.Details.BillTo.Country },
		"paymentInformation.card.prefix":                func(t *transaction) string { return t.Card.Prefix },
		"paymentInformation.card.suffix":                func(t *transaction) string { return t.Card.Suffix },
		"paymentInformation.card.type":                  func(t *transaction) string { return t.Card.Type },
		"paymentInformation.paymentType.method":         func(t *transaction) string { return methodOf(t.Card.Type) },
		"paymentInformation.customer.customerId":        func(t *transaction) string { return t.Details.CustomerID },
		"processorInformation.approvalCode":             func(t *transaction) string { return t.ApprovalCode },
		"processorInformation.retrievalReferenceNumber": func(*transaction) string { return "" },
		"buyerInformation.merchantCustomerId":           func(t *transaction) string { return t.Details.Buyer.MerchantCustomerID },
		"applicationInformation.reasonCode":             func(t *transaction) string { return overall(t).ReasonCode },
		"applicationInformation.rFlag":                  func(t *transaction) string { return overall(t).Flag },
	}
	for name, text := range texts {
		fields[name] = searchField{kind: textField, text: text}
	}
	for name, field := range fields {
		field.name = name
		fields[name] = field
	}
	return fields
}()

func (q term) matches(t *transaction) bool {
	switch q.field.kind {
	case numberField:
		return q.within(func(b bound) int { return t.Amount.Cmp(b.number) })
	case timeField:
		at := t.At.Truncate(time.Second)
		return q.within(func(b bound) int { return at.Compare(b.at) })
	default:
		if q.isRange {
			return q.within(func(b bound) int { return strings.Compare(q.field.text(t), b.text) })
		}
		return q.field.text(t) == q.exact
	}
}

func (q term) within(compare func(bound) int) bool {
	if !q.low.open {
		order := compare(q.low)
		if order < 0 || order == 0 && !q.low.within {
			return false
		}
	}
	if q.high.open {
		return true
	}
	order := compare(q.high)
	return order < 0 || order == 0 && q.high.within
}

func (q term) candidates(b *books, merchant string) ([]*transaction, bool) {
	if q.isRange {
		return nil, false
	}
	switch q.field.name {
	case "clientReferenceInformation.code":
		return b.byReference[byMerchant(merchant, q.exact)], true
	case "reconciliationId":
		return b.byReconcile[q.exact], true
	case "id":
		if t := b.byID[q.exact]; t != nil {
			return []*transaction{t}, true
		}
		return nil, true
	}
	return nil, false
}

// parseQuery reads a query. now and zone give the relative times their meaning.
func parseQuery(text string, now time.Time, zone *time.Location) (query, error) {
	if len(text) > maxQueryLength {
		return nil, errors.New("query is too long")
	}
	words, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &queryParser{words: words, now: now, zone: zone}
	parsed, err := p.any(0)
	if err != nil {
		return nil, err
	}
	if p.at < len(p.words) {
		return nil, fmt.Errorf("unexpected %q", p.words[p.at].text)
	}
	return parsed, nil
}

// word is "(", ")", AND, OR or a whole term.
type word struct {
	text            string
	field           string
	value           string
	quoted          bool
	left, right     byte // brackets of a range
	isTerm, isRange bool
}

func tokenize(text string) ([]word, error) {
	var words []word
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			return words, nil
		}
		if text[0] == '(' || text[0] == ')' {
			words = append(words, word{text: text[:1]})
			text = text[1:]
			continue
		}
		end := strings.IndexAny(text, ": \t\r\n()")
		if end < 0 {
			end = len(text)
		}
		if head := text[:end]; head == "AND" || head == "OR" {
			words = append(words, word{text: head})
			text = text[end:]
			continue
		}
		if end == len(text) || text[end] != ':' || end == 0 {
			return nil, fmt.Errorf("no field and colon at %q", text[:end])
		}
		found, rest, err := readTerm(text[:end], text[end+1:])
		if err != nil {
			return nil, err
		}
		words = append(words, found)
		text = rest
	}
}

// readTerm reads the value after a field's colon.
func readTerm(field, text string) (word, string, error) {
	found := word{text: field, field: field, isTerm: true}
	if text == "" {
		return found, "", fmt.Errorf("no value for %s", field)
	}
	switch text[0] {
	case '"':
		value, rest, closed := strings.Cut(text[1:], `"`)
		if !closed {
			return found, "", errors.New("open quote")
		}
		found.value, found.quoted = value, true
		return found, rest, nil
	case '[', '{':
		end := strings.IndexAny(text, "]}")
		if end < 0 {
			return found, "", errors.New("open range")
		}
		found.isRange, found.left, found.right, found.value = true, text[0], text[end], text[1:end]
		return found, text[end+1:], nil
	}
	end := strings.IndexAny(text, " \t\r\n()")
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return found, "", fmt.Errorf("no value for %s", field)
	}
	found.value = text[:end]
	return found, text[end:], nil
}

type queryParser struct {
	words []word
	at    int
	now   time.Time
	zone  *time.Location
}

func (p *queryParser) next(text string) bool {
	if p.at < len(p.words) && !p.words[p.at].isTerm && p.words[p.at].text == text {
		p.at++
		return true
	}
	return false
}

func (p *queryParser) any(depth int) (query, error) {
	if depth > maxQueryDepth {
		return nil, errors.New("too many parentheses")
	}
	var parts anyOf
	for {
		part, err := p.all(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !p.next("OR") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

func (p *queryParser) all(depth int) (query, error) {
	var parts allOf
	for {
		part, err := p.one(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !p.next("AND") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

func (p *queryParser) one(depth int) (query, error) {
	if p.next("(") {
		inner, err := p.any(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.next(")") {
			return nil, errors.New("open parenthesis")
		}
		return inner, nil
	}
	if p.at >= len(p.words) || !p.words[p.at].isTerm {
		return nil, errors.New("a field is expected")
	}
	w := p.words[p.at]
	p.at++
	return p.term(w)
}

func (p *queryParser) term(w word) (query, error) {
	field, known := searchFields[w.field]
	if !known {
		return nil, fmt.Errorf("field %q can't be searched", w.field)
	}
	made := term{field: field, isRange: w.isRange, exact: w.value}
	if !w.isRange {
		if field.kind == textField {
			return made, nil
		}
		one, err := p.bound(field.kind, w.value)
		one.within = true
		made.low, made.high = one, one
		return made, err
	}
	low, high, found := strings.Cut(w.value, " TO ")
	if !found {
		return nil, fmt.Errorf("range of %s has no TO", w.field)
	}
	var err error
	if made.low, err = p.bound(field.kind, strings.TrimSpace(low)); err != nil {
		return nil, err
	}
	if made.high, err = p.bound(field.kind, strings.TrimSpace(high)); err != nil {
		return nil, err
	}
	made.low.within, made.high.within = w.left == '[', w.right == ']'
	return made, nil
}

func (p *queryParser) bound(kind fieldKind, text string) (bound, error) {
	switch {
	case text == "*":
		return bound{open: true}, nil
	case text == "":
		return bound{}, errors.New("empty bound")
	case kind == numberField:
		if !plainNumber(text) || len(text) > maxAmountLength {
			return bound{}, fmt.Errorf("%q is not an amount", text)
		}
		number, err := decimal.NewFromString(text)
		return bound{number: number}, err
	case kind == timeField:
		at, err := parseSearchTime(text, p.now, p.zone)
		return bound{at: at}, err
	}
	return bound{text: text}, nil
}

var (
	dateMath = regexp.MustCompile(`^NOW((?:/[A-Z]+|[+-]\d{1,5}[A-Z]+)*)$`)
	mathStep = regexp.MustCompile(`/[A-Z]+|[+-]\d{1,5}[A-Z]+`)
)

// parseSearchTime reads a time of a query.
func parseSearchTime(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if digits(text) {
		millis, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is not a time", text)
		}
		return time.UnixMilli(millis), nil
	}
	if found := dateMath.FindStringSubmatch(text); found != nil {
		at := now.In(zone)
		for _, step := range mathStep.FindAllString(found[1], -1) {
			moved, err := moveTime(at, step)
			if err != nil {
				return time.Time{}, err
			}
			at = moved
		}
		return at, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}

// moveTime applies /UNIT, +nUNIT or -nUNIT.
func moveTime(at time.Time, step string) (time.Time, error) {
	if step[0] == '/' {
		return floorTime(at, strings.TrimSuffix(step[1:], "S"))
	}
	unitAt := strings.IndexFunc(step[1:], func(r rune) bool { return r >= 'A' && r <= 'Z' }) + 1
	n, err := strconv.Atoi(step[:unitAt])
	if err != nil {
		return at, fmt.Errorf("%q is not a step", step)
	}
	switch strings.TrimSuffix(step[unitAt:], "S") {
	case "YEAR":
		return at.AddDate(n, 0, 0), nil
	case "MONTH":
		return at.AddDate(0, n, 0), nil
	case "DAY":
		return at.AddDate(0, 0, n), nil
	case "HOUR":
		return at.Add(time.Duration(n) * time.Hour), nil
	case "MINUTE":
		return at.Add(time.Duration(n) * time.Minute), nil
	case "SECOND":
		return at.Add(time.Duration(n) * time.Second), nil
	}
	return at, fmt.Errorf("%q has no unit of time", step)
}

func floorTime(at time.Time, unit string) (time.Time, error) {
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	switch unit {
	case "YEAR":
		month, day, hour, minute, second = 1, 1, 0, 0, 0
	case "MONTH":
		day, hour, minute, second = 1, 0, 0, 0
	case "DAY":
		hour, minute, second = 0, 0, 0
	case "HOUR":
		minute, second = 0, 0
	case "MINUTE":
		second = 0
	case "SECOND":
	default:
		return at, fmt.Errorf("%q is no unit of time", unit)
	}
	return time.Date(year, month, day, hour, minute, second, 0, at.Location()), nil
}
