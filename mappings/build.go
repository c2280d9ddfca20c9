package mappings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// Mapping is a compiled mapping file with its overlay. It never changes and is safe for concurrent use.
type Mapping struct {
	name        string
	file        string
	version     string
	description string
	hash        string
	currency    *program
	when        *program
	whenLine    int
	late        []string
	rules       []*rule
	tables      map[string]*table
}

// Name is the mapping's name, "syspro/sales_order".
func (m *Mapping) Name() string { return m.name }

// Version is the version that the file states, with the overlay's: "3", "3+site7".
func (m *Mapping) Version() string { return m.version }

// Hash is the SHA-256 over the mapping's files and all lookups, in hexadecimal.
func (m *Mapping) Hash() string { return m.hash }

// Description says what the mapping makes.
func (m *Mapping) Description() string { return m.description }

// Late lists the roots that are anticipated when the document is made and known when it is completed.
func (m *Mapping) Late() []string { return slices.Clone(m.late) }

// rule is a compiled rule: a value rule has value, a list rule has each.
type rule struct {
	source    *ruleSource
	path      []string
	value     *program
	when      *program
	kind      kind
	lookup    string
	required  bool
	each      *program
	groupBy   []*program
	sum       *program
	sign      *program
	balance   *balance
	rules     []*rule
	late      bool // reads a late root
	transform []func(string) string
}

type balance struct {
	into      *program // nil: the sum has to be zero
	tolerance *program // nil: any amount goes to the account
}

// kind is the JSON form of a value.
type kind string

const (
	kindString   kind = "string"   // JSON string
	kindAmount   kind = "amount"   // JSON string with the minor units of the currency: "48.19"
	kindMoney    kind = "money"    // JSON number with the minor units of the currency: 48.19
	kindDecimal  kind = "decimal"  // JSON string, exact: "0.125"
	kindNumber   kind = "number"   // JSON number, exact
	kindInteger  kind = "integer"  // JSON number without decimals
	kindBool     kind = "bool"     //
	kindDate     kind = "date"     // JSON string, YYYY-MM-DD unless format says otherwise
	kindDateTime kind = "datetime" // JSON string, RFC 3339 in UTC
	kindList     kind = "list"     // JSON array of strings
)

var kinds = []kind{kindString, kindAmount, kindMoney, kindDecimal, kindNumber, kindInteger, kindBool, kindDate, kindDateTime, kindList}

// dateFormats are the layouts that a date rule can name.
var dateFormats = map[string]string{
	"": time.DateOnly, "YYYY-MM-DD": time.DateOnly, "YYYYMMDD": "20060102", "YYYY/MM/DD": "2006/01/02", "MM/DD/YYYY": "01/02/2006",
	"DD/MM/YYYY": "02/01/2006", "DD.MM.YYYY": "02.01.2006",
}

// builder compiles one document.
type builder struct {
	compiler *compiler
	document *document
	errs     *Errors
	late     []string
}

func (b *builder) fail(file string, line int, rule, target, format string, args ...any) {
	*b.errs = append(*b.errs, &MappingError{Mapping: b.document.name, File: file, Line: line, Rule: rule, Target: target,
		Message: fmt.Sprintf(format, args...), Kind: fault.Value})
}

func (b *builder) mapping() *Mapping {
	d := b.document
	m := &Mapping{name: d.name, file: d.file, version: d.version, description: d.description, tables: b.compiler.tables}
	if d.version == "" {
		b.fail(d.file, d.line, "required", "", "a mapping states its version")
	}
	if len(d.rules) == 0 {
		b.fail(d.file, d.line, "required", "", "a mapping has rules")
	}
	s := roots()
	for _, l := range d.late {
		if _, known := s[l.text]; !known || l.text == "lines" {
			b.fail(d.file, l.line, "late", "", "there is no root %q", l.text)
		}
		if !slices.Contains(b.late, l.text) {
			b.late = append(b.late, l.text)
		}
	}
	m.late = b.late
	currency := d.currency
	if currency == nil {
		currency = &source{text: "order.currency", line: d.line}
	}
	m.currency = b.expression(currency, d.file, "", s, reflect.String)
	if d.when != nil {
		m.whenLine = d.when.line
		m.when = b.expression(d.when, d.file, "", s, reflect.Bool)
	}
	m.rules = b.rules(d.rules, s, "", false)
	b.requires(m)
	return m
}

// expression compiles a source whose result has to be of a kind; Invalid takes any.
func (b *builder) expression(src *source, file, target string, s scope, want reflect.Kind) *program {
	p, err := b.compiler.compile(src.text, s)
	if err != nil {
		b.fail(file, src.line, "expression", target, "%s", err)
		return nil
	}
	if want != reflect.Invalid && p.result.Kind() != want {
		b.fail(file, src.line, "type", target, "gives %s, has to give %s", typeName(p.result), want)
	}
	return p
}

func (b *builder) rules(sources []*ruleSource, s scope, prefix string, inEach bool) []*rule {
	var rules []*rule
	for _, src := range sources {
		if src.to == "" || !targetShape.MatchString(src.to) {
			continue // reported when it was read
		}
		if src.remove {
			b.fail(src.file, src.line, "remove", prefix+src.to, "there is no rule with this target to remove")
			continue
		}
		b.conflicts(rules, src, prefix)
		if r := b.rule(src, s, prefix, inEach); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// conflicts reports two rules for one target, also where one target is a part of another.
func (b *builder) conflicts(earlier []*rule, src *ruleSource, prefix string) {
	for _, other := range earlier {
		a := other.source.to
		if a == src.to || strings.HasPrefix(a, src.to+".") || strings.HasPrefix(src.to, a+".") {
			b.fail(src.file, src.line, "duplicate_target", prefix+src.to, "is written by the rule at %s:%d, too", other.source.file, other.source.line)
		}
	}
}

func (b *builder) rule(src *ruleSource, s scope, prefix string, inEach bool) *rule {
	r := &rule{source: src, path: strings.Split(src.to, "."), required: src.required}
	target := prefix + src.to
	if src.when != nil && src.each == nil {
		r.when = b.expression(src.when, src.file, target, s, reflect.Bool)
	}
	switch {
	case src.each != nil:
		b.list(r, s, target, inEach)
	case src.from != nil && src.expr != nil:
		b.fail(src.file, src.line, "rule", target, "has both from and expr")
		return nil
	case src.from == nil && src.expr == nil:
		b.value(r, &source{text: `""`, line: src.line}, s, target)
		if src.fallback == nil {
			b.fail(src.file, src.line, "rule", target, "needs from, expr, each or default")
		}
	case src.from != nil && !pathShape.MatchString(src.from.text):
		b.fail(src.file, src.from.line, "expression", target, "from takes a path such as order.billTo.city; other expressions belong to expr")
	case src.from != nil:
		b.value(r, src.from, s, target)
	default:
		b.value(r, src.expr, s, target)
	}
	if src.each == nil && (len(src.rules) > 0 || len(src.groupBy) > 0 || src.sum != nil || src.sign != nil || src.balance != nil || src.orSkip) {
		b.fail(src.file, src.line, "rule", target, "rules, groupBy, sum, sign, balance and orSkip need each")
	}
	r.late = b.readsLate(r)
	return r
}

// readsLate tells whether the rule is evaluated again on completion; a list is as a whole.
func (b *builder) readsLate(r *rule) bool {
	if slices.ContainsFunc(r.rules, func(member *rule) bool { return member.late }) {
		return true
	}
	for _, p := range append([]*program{r.value, r.when, r.each, r.sum, r.sign}, r.groupBy...) {
		if p != nil && slices.ContainsFunc(b.late, p.reads) {
			return true
		}
	}
	return false
}

func (b *builder) value(r *rule, src *source, s scope, target string) {
	r.value = b.expression(src, r.source.file, target, s, reflect.Invalid)
	for _, name := range r.source.transform {
		r.transform = append(r.transform, transforms[name])
	}
	if r.value == nil {
		return
	}
	result := r.value.result
	if lookup := r.source.lookup; lookup != nil {
		r.lookup = lookup.text
		if err := knownTable(b.compiler.tables, lookup.text); err != nil {
			b.fail(r.source.file, lookup.line, "lookup", target, "%s", err)
		}
		if result.Kind() != reflect.String && result.Kind() != reflect.Int {
			b.fail(r.source.file, src.line, "type", target, "gives %s, a lookup's key is a text", typeName(result))
		}
		result = stringType
	}
	b.kind(r, result, target)
	b.options(r, result, target)
}

// kind finds the JSON form, or that what the expression gives has none of this type.
func (b *builder) kind(r *rule, result reflect.Type, target string) {
	src := r.source
	r.kind = kind(src.kind)
	if src.kind == "" {
		r.kind = naturalKind(result)
		if r.kind == "" {
			b.fail(src.file, src.line, "type", target, "gives %s; say as what with type: %s", typeName(result), kindsFor(result))
		}
		return
	}
	if !slices.Contains(kinds, r.kind) {
		b.fail(src.file, src.line, "type", target, "there is no type %q", src.kind)
		return
	}
	if !convertible(result, r.kind) {
		b.fail(src.file, src.line, "type", target, "gives %s, which can't become %s", typeName(result), r.kind)
	}
}

// naturalKind is the form of results that have only one; "" for the others.
func naturalKind(result reflect.Type) kind {
	switch {
	case result.Kind() == reflect.String:
		return kindString
	case result.Kind() == reflect.Bool:
		return kindBool
	case result.Kind() == reflect.Int:
		return kindInteger
	case isTextList(result):
		return kindList
	default:
		return ""
	}
}

func convertible(result reflect.Type, k kind) bool {
	switch k {
	case kindString:
		return result.Kind() == reflect.String
	case kindBool:
		return result.Kind() == reflect.Bool || result == stringType
	case kindAmount, kindMoney, kindDecimal, kindNumber, kindInteger:
		return result == decimalType || result.Kind() == reflect.Int || result == stringType
	case kindDate, kindDateTime:
		return result == reflect.TypeFor[time.Time]() || result == stringType
	default:
		return isTextList(result)
	}
}

func isTextList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String
}

func kindsFor(result reflect.Type) string {
	var fitting []string
	for _, k := range kinds {
		if convertible(result, k) {
			fitting = append(fitting, string(k))
		}
	}
	if len(fitting) == 0 {
		return "no type fits"
	}
	return strings.Join(fitting, ", ")
}

func typeName(t reflect.Type) string {
	switch {
	case t == decimalType:
		return "a decimal"
	case t == reflect.TypeFor[time.Time]():
		return "a time"
	case t.Kind() == reflect.Interface:
		return "a value of no known type"
	default:
		return "a " + t.String()
	}
}

// options reports what does not go with the rule's type.
func (b *builder) options(r *rule, result reflect.Type, target string) {
	src := r.source
	if _, known := dateFormats[src.format]; src.format != "" && (r.kind != kindDate || !known) {
		b.fail(src.file, src.line, "format", target, "format is for dates: YYYY-MM-DD, YYYYMMDD, YYYY/MM/DD, MM/DD/YYYY, DD/MM/YYYY, DD.MM.YYYY")
	}
	if len(src.transform) > 0 && result.Kind() != reflect.String {
		b.fail(src.file, src.line, "transform", target, "transform is for texts, this gives %s", typeName(result))
	}
	if src.truncate && r.kind != kindString {
		b.fail(src.file, src.line, "max_length", target, "only texts can be truncated")
	}
	if src.fallback != nil && r.kind != "" {
		if _, err := (&formatter{currency: ""}).format(r, *src.fallback); err != nil {
			b.fail(src.file, src.line, "default", target, "%s", err)
		}
	}
}

// list compiles a rule that makes an array.
func (b *builder) list(r *rule, s scope, target string, inEach bool) {
	src := r.source
	if inEach {
		b.fail(src.file, src.each.line, "each", target, "each can't stand inside another each")
		return
	}
	if src.from != nil || src.expr != nil || src.kind != "" || src.lookup != nil || src.fallback != nil {
		b.fail(src.file, src.line, "rule", target, "from, expr, type, lookup and default do not go with each")
	}
	if len(src.rules) == 0 {
		b.fail(src.file, src.line, "rule", target, "each needs rules")
	}
	r.each = b.expression(src.each, src.file, target, s, reflect.Invalid)
	if r.each == nil {
		return
	}
	if kind := r.each.result.Kind(); kind != reflect.Slice || r.each.result.Elem().Kind() == reflect.Interface {
		b.fail(src.file, src.each.line, "type", target, "gives %s, each needs a list whose items have a type", typeName(r.each.result))
		return
	}
	inner := s.with(r.each.result.Elem())
	// The condition of a list rule is asked for every item.
	if src.when != nil {
		r.when = b.expression(src.when, src.file, target, inner, reflect.Bool)
	}
	if b.aggregation(r, inner, target) {
		inner = s.with(reflect.TypeFor[Group]())
	}
	r.rules = b.rules(src.rules, inner, target+"[].", true)
}

// aggregation compiles groupBy, sum, sign and balance; it tells whether the rule aggregates.
func (b *builder) aggregation(r *rule, inner scope, target string) bool {
	src := r.source
	if len(src.groupBy) == 0 && src.sum == nil && src.sign == nil && src.balance == nil {
		return false
	}
	if len(src.groupBy) == 0 || src.sum == nil {
		b.fail(src.file, src.line, "rule", target, "an aggregation needs groupBy and sum")
		return true
	}
	for _, key := range src.groupBy {
		r.groupBy = append(r.groupBy, b.expression(key, src.file, target, inner, reflect.String))
	}
	if r.sum = b.expression(src.sum, src.file, target, inner, reflect.Invalid); r.sum != nil && r.sum.result != decimalType {
		b.fail(src.file, src.sum.line, "type", target, "gives %s, sum needs a decimal", typeName(r.sum.result))
	}
	if src.sign != nil {
		r.sign = b.expression(src.sign, src.file, target, inner, reflect.String)
	}
	if src.balance == nil {
		return true
	}
	r.balance = &balance{}
	outside := roots()
	if src.balance.into != nil {
		r.balance.into = b.expression(src.balance.into, src.file, target, outside, reflect.String)
	}
	if t := src.balance.tolerance; t != nil {
		if r.balance.tolerance = b.expression(t, src.file, target, outside, reflect.Invalid); r.balance.tolerance != nil &&
			r.balance.tolerance.result != decimalType {
			b.fail(src.file, t.line, "type", target, "gives %s, tolerance needs a decimal", typeName(r.balance.tolerance.result))
		}
	}
	return true
}

// requires checks that each required target has a rule, and makes that rule refuse to give nothing.
func (b *builder) requires(m *Mapping) {
	for _, l := range b.document.requires {
		if !markRequired(m.rules, strings.ReplaceAll(l.text, "[]", "")) {
			b.fail(b.document.file, l.line, "required", l.text, "is required, but no rule makes it")
		}
	}
}

func markRequired(rules []*rule, target string) bool {
	for _, r := range rules {
		if r.source.to == target {
			r.required = true
			return true
		}
		if rest, inside := strings.CutPrefix(target, r.source.to+"."); inside && markRequired(r.rules, rest) {
			return true
		}
	}
	return false
}
