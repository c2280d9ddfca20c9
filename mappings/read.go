package mappings

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tenderline/tenderline/internal/fault"
)

// document is a mapping file as read, before anything is compiled.
type document struct {
	name        string
	file        string
	line        int
	version     string
	description string
	currency    *source
	when        *source
	late        []listed
	requires    []listed
	rules       []*ruleSource
}

// source is an expression and where it stands.
type source struct {
	text string
	line int
}

type listed struct {
	text string
	line int
}

// ruleSource is a rule as read.
type ruleSource struct {
	file      string
	line      int
	overlay   bool
	to        string
	remove    bool
	from      *source
	expr      *source
	when      *source
	each      *source
	groupBy   []*source
	sum       *source
	sign      *source
	balance   *balanceSource
	rules     []*ruleSource
	lookup    *source
	kind      string
	format    string
	fallback  *string
	required  bool
	orSkip    bool
	most      int
	truncate  bool
	transform []string
}

// balanceSource says what to do with what an aggregation leaves over.
type balanceSource struct {
	check     bool
	into      *source
	tolerance *source
}

// target shapes: names joined by dots.
var targetShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

var yamlLine = regexp.MustCompile(`line ([0-9]+)`)

// yamlReader turns YAML nodes into our structures and collects what is wrong with them.
type yamlReader struct {
	name    string
	file    string
	overlay bool
	errs    *Errors
}

func (r *yamlReader) fail(line int, rule, target, format string, args ...any) {
	*r.errs = append(*r.errs, &MappingError{Mapping: r.name, File: r.file, Line: line, Rule: rule, Target: target,
		Message: fmt.Sprintf(format, args...), Kind: fault.Value})
}

// root parses the bytes; nil when they are no YAML mapping.
func (r *yamlReader) root(body []byte) *yaml.Node {
	var top yaml.Node
	if err := yaml.Unmarshal(body, &top); err != nil {
		line := 0
		if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
			line, _ = strconv.Atoi(found[1])
		}
		r.fail(line, "yaml", "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if len(top.Content) == 0 || top.Content[0].Kind != yaml.MappingNode {
		r.fail(1, "yaml", "", "the file must be a mapping of fields")
		return nil
	}
	return top.Content[0]
}

// fields calls the handler of each field; unknown and repeated ones are errors.
func (r *yamlReader) fields(n *yaml.Node, what string, handlers map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, "type", "", "%s must be a mapping of fields", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		handle, known := handlers[name.Value]
		switch {
		case seen[name.Value]:
			r.fail(name.Line, "duplicate_field", "", "field %q is given twice", name.Value)
		case !known:
			r.fail(name.Line, "unknown_field", "", "%s has no field %q", what, name.Value)
		default:
			handle(value)
		}
		seen[name.Value] = true
	}
}

func (r *yamlReader) text(into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			r.fail(n.Line, "type", "", "must be a text")
			return
		}
		*into = n.Value
	}
}

func (r *yamlReader) expression(into **source) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" {
			r.fail(n.Line, "type", "", "must be an expression")
			return
		}
		*into = &source{text: strings.TrimSpace(n.Value), line: n.Line}
	}
}

func (r *yamlReader) truth(into *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Decode(into) != nil {
			r.fail(n.Line, "type", "", "must be true or false")
		}
	}
}

func (r *yamlReader) list(n *yaml.Node, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, "type", "", "must be a list")
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

func (r *yamlReader) names(into *[]listed) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, func(item *yaml.Node) {
			var name string
			r.text(&name)(item)
			*into = append(*into, listed{text: name, line: item.Line})
		})
	}
}

func (r *yamlReader) document(body []byte) *document {
	n := r.root(body)
	if n == nil {
		return nil
	}
	d := &document{name: r.name, file: r.file, line: n.Line}
	r.fields(n, "a mapping", map[string]func(*yaml.Node){
		"version": r.text(&d.version), "description": r.text(&d.description), "currency": r.expression(&d.currency),
		"when": r.expression(&d.when), "late": r.names(&d.late), "requires": r.names(&d.requires),
		"rules": func(n *yaml.Node) { d.rules = r.rules(n) },
	})
	return d
}

func (r *yamlReader) rules(n *yaml.Node) []*ruleSource {
	var rules []*ruleSource
	r.list(n, func(item *yaml.Node) { rules = append(rules, r.rule(item)) })
	return rules
}

func (r *yamlReader) rule(n *yaml.Node) *ruleSource {
	s := &ruleSource{file: r.file, line: n.Line, overlay: r.overlay}
	r.fields(n, "a rule", map[string]func(*yaml.Node){
		"to": r.text(&s.to), "remove": r.truth(&s.remove), "from": r.expression(&s.from), "expr": r.expression(&s.expr),
		"when": r.expression(&s.when), "each": r.expression(&s.each), "sum": r.expression(&s.sum), "sign": r.expression(&s.sign),
		"lookup": r.expression(&s.lookup), "type": r.text(&s.kind), "format": r.text(&s.format), "required": r.truth(&s.required),
		"orSkip":    r.truth(&s.orSkip),
		"default":   func(n *yaml.Node) { s.fallback = new(string); r.text(s.fallback)(n) },
		"maxLength": func(n *yaml.Node) { r.maxLength(n, s) },
		"transform": func(n *yaml.Node) { r.transforms(n, s) },
		"groupBy": func(n *yaml.Node) {
			r.oneOrMore(n, func(item *yaml.Node) {
				var key *source
				if r.expression(&key)(item); key != nil {
					s.groupBy = append(s.groupBy, key)
				}
			})
		},
		"balance": func(n *yaml.Node) { s.balance = r.balance(n) },
		"rules":   func(n *yaml.Node) { s.rules = r.rules(n) },
	})
	switch {
	case s.to == "":
		r.fail(s.line, "required", "", "a rule needs a target: to")
	case !targetShape.MatchString(s.to):
		r.fail(s.line, "target", s.to, "a target is names joined by dots")
	}
	return s
}

func (r *yamlReader) oneOrMore(n *yaml.Node, each func(*yaml.Node)) {
	if n.Kind == yaml.SequenceNode {
		r.list(n, each)
		return
	}
	each(n)
}

// maxLength is a number, which makes a longer value an error, or {max: number, over: truncate|error}.
func (r *yamlReader) maxLength(n *yaml.Node, s *ruleSource) {
	most, over := "", "error"
	if n.Kind == yaml.ScalarNode {
		most = n.Value
	} else {
		r.fields(n, "maxLength", map[string]func(*yaml.Node){"max": r.text(&most), "over": r.text(&over)})
	}
	number, err := strconv.Atoi(most)
	if err != nil || number < 1 {
		r.fail(n.Line, "type", s.to, "maxLength needs a whole number above 0")
	}
	if over != "error" && over != "truncate" {
		r.fail(n.Line, "type", s.to, "maxLength's over is truncate or error")
	}
	s.most, s.truncate = number, over == "truncate"
}

func (r *yamlReader) transforms(n *yaml.Node, s *ruleSource) {
	r.oneOrMore(n, func(item *yaml.Node) {
		if _, known := transforms[item.Value]; !known {
			r.fail(item.Line, "transform", s.to, "there is no transform %q", item.Value)
			return
		}
		s.transform = append(s.transform, item.Value)
	})
}

// balance is "check", or {into: account expression, tolerance: decimal expression}.
func (r *yamlReader) balance(n *yaml.Node) *balanceSource {
	b := &balanceSource{}
	if n.Kind == yaml.ScalarNode {
		if n.Value != "check" {
			r.fail(n.Line, "type", "", "balance is check, or has the field into")
		}
		b.check = true
		return b
	}
	r.fields(n, "balance", map[string]func(*yaml.Node){"into": r.expression(&b.into), "tolerance": r.expression(&b.tolerance)})
	if b.into == nil {
		r.fail(n.Line, "required", "", "balance needs the field into")
	}
	return b
}

// table reads a lookup file.
func (r *yamlReader) table(body []byte) *table {
	n := r.root(body)
	if n == nil {
		return nil
	}
	t := &table{name: strings.TrimPrefix(r.name, "lookups/"), file: r.file, values: map[string]entry{}}
	var fallback, values *yaml.Node
	var description string
	r.fields(n, "a lookup", map[string]func(*yaml.Node){
		"description": r.text(&description),
		"columns":     func(n *yaml.Node) { r.list(n, func(item *yaml.Node) { t.columns = append(t.columns, item.Value) }) },
		"default":     func(n *yaml.Node) { fallback = n },
		"values":      func(n *yaml.Node) { values = n },
	})
	if fallback != nil {
		e := r.entry(fallback, t.columns, "default")
		t.fallback = &e
	}
	if values == nil {
		r.fail(n.Line, "required", "", "a lookup needs values")
		return t
	}
	if values.Kind != yaml.MappingNode {
		r.fail(values.Line, "type", "", "values must be a mapping of keys")
		return t
	}
	for i := 0; i+1 < len(values.Content); i += 2 {
		key := values.Content[i]
		if _, repeated := t.values[key.Value]; repeated {
			r.fail(key.Line, "duplicate_field", "", "key %q is given twice", key.Value)
		}
		t.values[key.Value] = r.entry(values.Content[i+1], t.columns, key.Value)
	}
	return t
}

func (r *yamlReader) entry(n *yaml.Node, columns []string, key string) entry {
	e := entry{line: n.Line, columns: map[string]string{}}
	if len(columns) == 0 {
		value := ""
		r.text(&value)(n)
		e.columns[""] = value
		return e
	}
	handlers := map[string]func(*yaml.Node){}
	for _, column := range columns {
		handlers[column] = func(n *yaml.Node) {
			value := ""
			r.text(&value)(n)
			e.columns[column] = value
		}
	}
	r.fields(n, fmt.Sprintf("the value of %q", key), handlers)
	for _, column := range columns {
		if _, given := e.columns[column]; !given {
			r.fail(n.Line, "required", "", "the value of %q has no column %q", key, column)
		}
	}
	return e
}

// merge puts an overlay's table over this one.
func (t *table) merge(over *table) (*table, error) {
	if len(over.columns) > 0 && strings.Join(over.columns, ",") != strings.Join(t.columns, ",") {
		return nil, errors.New("an overlay must have the columns of the lookup that it extends")
	}
	merged := &table{name: t.name, file: over.file, columns: t.columns, values: map[string]entry{}, fallback: t.fallback}
	for key, value := range t.values {
		merged.values[key] = value
	}
	for key, value := range over.values {
		merged.values[key] = value
	}
	if over.fallback != nil {
		merged.fallback = over.fallback
	}
	return merged, nil
}
