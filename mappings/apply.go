package mappings

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Document is what a mapping made. It is kept with the order, so that history says which rules made it.
type Document struct {
	Body    json.RawMessage `json:"body,omitempty"` // members in the order of the rules
	Mapping string          `json:"mapping"`        // name of the mapping
	Version string          `json:"version"`        // version of the mapping that made the document
	Hash    string          `json:"hash"`           // content of the mapping that made it
	// CompletedBy is the content of the mapping that completed the document; "" while it rests on anticipated values.
	CompletedBy string `json:"completedBy,omitempty"`
	Skipped     bool   `json:"skipped,omitempty"` // the document's own condition is false: there is nothing to send
}

// Explanation tells how a target came about.
type Explanation struct {
	Target  string `json:"target"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Overlay bool   `json:"overlay,omitempty"` // the rule is the site's own
	Source  string `json:"source"`            // path or expression
	Read    string `json:"read,omitempty"`    // what the source gave
	Lookup  string `json:"lookup,omitempty"`  // "card_type: key 001", "card_type: default"
	Default bool   `json:"default,omitempty"` // the source gave nothing, the rule's default was taken
	Late    bool   `json:"late,omitempty"`    // completed when the late roots are known
	Value   string `json:"value,omitempty"`   // JSON of what went into the document
	Omitted string `json:"omitted,omitempty"` // why nothing did: "when", "empty"
}

// Apply makes the document. Late roots may hold anticipated values or nothing: a required target that reads one may stay empty
// until Complete. The error is Errors: everything about the input that does not fit, at once.
func (m *Mapping) Apply(in Input) (Document, error) {
	doc, _, err := m.apply(in, false)
	return doc, err
}

// Explain is Apply that also tells, for each rule, what it did.
func (m *Mapping) Explain(in Input) (Document, []Explanation, error) {
	return m.apply(in, true)
}

func (m *Mapping) apply(in Input, explain bool) (Document, []Explanation, error) {
	doc := Document{Mapping: m.name, Version: m.version, Hash: m.hash}
	e := m.evaluation(&in, explain)
	e.anticipating = true
	if !e.wanted() {
		doc.Skipped = true
		return doc, e.explanations, errorsOf(e.errs)
	}
	o := newObject()
	for _, r := range m.rules {
		e.rule(r, o, e.env, "")
	}
	return e.finish(doc, o)
}

// Complete puts what the late roots say into a kept document: the rules that read one are evaluated again, all other members stay as they
// were made, even if the mapping has changed since. A rule that gives nothing now takes its target away.
func (m *Mapping) Complete(doc Document, in Input) (Document, error) {
	if doc.Mapping != m.name {
		return Document{}, &MappingError{Mapping: m.name, File: m.file, Rule: "mapping", Kind: fault.Value,
			Message: fmt.Sprintf("the document was made by the mapping %q", doc.Mapping)}
	}
	doc.CompletedBy = m.hash
	if doc.Skipped {
		return doc, nil
	}
	e := m.evaluation(&in, false)
	if m.when != nil && m.readsLate(m.when) && !e.wanted() {
		doc.Body, doc.Skipped = nil, true
		return doc, errorsOf(e.errs)
	}
	o, err := readObject(doc.Body)
	if err != nil {
		return Document{}, err
	}
	for _, r := range m.rules {
		if r.late && !e.rule(r, o, e.env, "") {
			o.remove(r.path)
		}
	}
	completed, _, err := e.finish(doc, o)
	return completed, err
}

func (m *Mapping) readsLate(p *program) bool {
	for _, root := range m.late {
		if p.reads(root) {
			return true
		}
	}
	return false
}

// evaluation is one application of a mapping.
type evaluation struct {
	mapping      *Mapping
	env          map[string]any
	format       formatter
	errs         Errors
	skipped      bool // a list without which there is no document is empty
	anticipating bool // late roots may not be known yet: what they leave empty is not missed before completion
	explaining   bool
	explanations []Explanation
}

func (m *Mapping) evaluation(in *Input, explain bool) *evaluation {
	e := &evaluation{mapping: m, env: in.values(), explaining: explain}
	value, err := m.currency.run(e.env)
	if err != nil {
		e.fail(m.file, 0, "expression", "", err)
	}
	e.format.currency, _ = value.(string)
	return e
}

// wanted asks the document's own condition.
func (e *evaluation) wanted() bool {
	if e.mapping.when == nil {
		return true
	}
	value, err := e.mapping.when.run(e.env)
	if err != nil {
		e.fail(e.mapping.file, e.mapping.whenLine, "expression", "", err)
		return false
	}
	return value == true
}

func (e *evaluation) finish(doc Document, o *object) (Document, []Explanation, error) {
	if len(e.errs) > 0 {
		return Document{}, e.explanations, e.errs
	}
	if e.skipped {
		doc.Body, doc.Skipped = nil, true
		return doc, e.explanations, nil
	}
	body, err := o.MarshalJSON()
	if err != nil {
		return Document{}, e.explanations, err
	}
	doc.Body = body
	return doc, e.explanations, nil
}

// fail notes an error; its kind follows from the cause.
func (e *evaluation) fail(file string, line int, rule, target string, err error) {
	kind := fault.Value
	var missing *missingKey
	if errors.As(err, &missing) {
		kind, rule = fault.MissingReference, "lookup"
	}
	e.errs = append(e.errs, &MappingError{Mapping: e.mapping.name, File: file, Line: line, Rule: rule, Target: target,
		Message: err.Error(), Kind: kind})
}

func (e *evaluation) explain(x Explanation) {
	if e.explaining {
		e.explanations = append(e.explanations, x)
	}
}

// explanation starts what there is to tell of a rule.
func (r *rule) explanation(target string) Explanation {
	x := Explanation{Target: target, File: r.source.file, Line: r.source.line, Overlay: r.source.overlay, Late: r.late}
	switch {
	case r.each != nil:
		x.Source = r.each.source
	case r.value != nil:
		x.Source = r.value.source
	}
	return x
}

// rule evaluates one rule into the object; it tells whether it wrote something.
func (e *evaluation) rule(r *rule, into *object, env map[string]any, prefix string) bool {
	target := prefix + r.source.to
	var value any
	var given bool
	if r.each != nil {
		value, given = e.list(r, env, target)
	} else {
		value, given = e.value(r, env, target)
	}
	if given {
		into.set(r.path, value)
	}
	return given
}

func (e *evaluation) value(r *rule, env map[string]any, target string) (any, bool) {
	x := r.explanation(target)
	if !e.holds(r, env, target) {
		x.Omitted = "when"
		e.explain(x)
		return nil, false
	}
	raw, err := r.value.run(env)
	if err != nil {
		e.fail(r.source.file, r.source.line, "expression", target, err)
		return nil, false
	}
	x.Read = readable(raw)
	raw, err = e.prepared(r, raw, &x)
	if err != nil {
		e.fail(r.source.file, r.source.line, "lookup", target, err)
		return nil, false
	}
	if empty(raw) {
		if r.required && !(r.late && e.anticipating) {
			e.fail(r.source.file, r.source.line, "required", target, errors.New("is required, but the source gives nothing"))
		}
		x.Omitted = "empty"
		e.explain(x)
		return nil, false
	}
	value, err := e.format.format(r, raw)
	if err != nil {
		e.fail(r.source.file, r.source.line, ruleOf(err), target, err)
		return nil, false
	}
	if e.explaining {
		x.Value = jsonText(value)
		e.explain(x)
	}
	return value, true
}

// prepared applies transforms, default and lookup, in this order.
func (e *evaluation) prepared(r *rule, raw any, x *Explanation) (any, error) {
	if s, isText := plainString(raw); isText {
		for _, transform := range r.transform {
			s = transform(s)
		}
		raw = s
	}
	if empty(raw) && r.source.fallback != nil {
		x.Default = true
		return *r.source.fallback, nil
	}
	if r.lookup == "" || empty(raw) {
		return raw, nil
	}
	value, how, err := find(e.mapping.tables, r.lookup, textOf(raw))
	if err != nil {
		return nil, err
	}
	if how == "default" {
		x.Lookup = r.lookup + ": default"
	} else {
		x.Lookup = r.lookup + ": key " + how
	}
	return value, nil
}

func (e *evaluation) holds(r *rule, env map[string]any, target string) bool {
	if r.when == nil {
		return true
	}
	value, err := r.when.run(env)
	if err != nil {
		e.fail(r.source.file, r.source.line, "expression", target, err)
		return false
	}
	return value == true
}

func (e *evaluation) list(r *rule, env map[string]any, target string) (any, bool) {
	x := r.explanation(target)
	raw, err := r.each.run(env)
	if err != nil {
		e.fail(r.source.file, r.source.line, "expression", target, err)
		return nil, false
	}
	items := reflect.ValueOf(raw)
	inner := make(map[string]any, len(env)+2)
	for name, value := range env {
		inner[name] = value
	}
	kept := make([]any, 0, items.Len())
	for i := range items.Len() {
		inner["item"], inner["index"] = items.Index(i).Interface(), i
		if e.holds(r, inner, indexed(target, i)) {
			kept = append(kept, inner["item"])
		}
	}
	x.Read = strconv.Itoa(items.Len()) + " items, " + strconv.Itoa(len(kept)) + " taken"
	if len(r.groupBy) > 0 {
		kept = e.groups(r, kept, inner, target)
		x.Read += ", " + strconv.Itoa(len(kept)) + " groups"
	}
	if len(kept) == 0 {
		if r.source.orSkip && !(r.late && e.anticipating) {
			e.skipped = true
			x.Omitted = "empty: no document"
			e.explain(x)
			return nil, false
		}
		if r.required && !(r.late && e.anticipating) {
			e.fail(r.source.file, r.source.line, "required", target, errors.New("is required, but the list is empty"))
		}
		x.Omitted = "empty"
		e.explain(x)
		return nil, false
	}
	e.explain(x)
	array := make([]any, len(kept))
	for i, item := range kept {
		inner["item"], inner["index"] = item, i
		o := newObject()
		for _, member := range r.rules {
			e.rule(member, o, inner, indexed(target, i)+".")
		}
		array[i] = o
	}
	return array, true
}

func indexed(target string, i int) string { return target + "[" + strconv.Itoa(i) + "]" }

// groups aggregates items: per key the signed sum, in the order of first appearance, groups of zero left out, the balance last.
func (e *evaluation) groups(r *rule, items []any, env map[string]any, target string) []any {
	var order []string
	byKey := map[string]*Group{}
	total := decimal.Zero
	for i, item := range items {
		env["item"], env["index"] = item, i
		keys, amount, err := e.posting(r, env)
		if err != nil {
			e.fail(r.source.file, r.source.line, "aggregate", indexed(target, i), err)
			continue
		}
		id := strings.Join(keys, "\x00")
		group, known := byKey[id]
		if !known {
			group = &Group{Key: keys[0], Keys: keys}
			byKey[id] = group
			order = append(order, id)
		}
		group.Sum = group.Sum.Add(amount)
		group.Count++
		total = total.Add(amount)
	}
	if rest, err := e.balanced(r, total, env); err != nil {
		e.fail(r.source.file, r.source.line, "balance", target, err)
	} else if rest != nil {
		id := strings.Join(rest.Keys, "\x00")
		if group, known := byKey[id]; known {
			group.Sum = group.Sum.Add(rest.Sum)
		} else {
			byKey[id] = rest
			order = append(order, id)
		}
	}
	var groups []any
	for _, id := range order {
		if group := byKey[id]; !group.Sum.IsZero() {
			groups = append(groups, group.sided())
		}
	}
	return groups
}

// posting evaluates one item: its keys, and its amount with the sign.
func (e *evaluation) posting(r *rule, env map[string]any) ([]string, decimal.Decimal, error) {
	keys := make([]string, len(r.groupBy))
	for i, key := range r.groupBy {
		value, err := key.run(env)
		if err != nil {
			return nil, decimal.Zero, err
		}
		keys[i], _ = value.(string)
	}
	if keys[0] == "" {
		return nil, decimal.Zero, errors.New("groupBy gives nothing for an item")
	}
	value, err := r.sum.run(env)
	if err != nil {
		return nil, decimal.Zero, err
	}
	amount, _ := value.(decimal.Decimal)
	if r.sign == nil {
		return keys, amount, nil
	}
	sign, err := r.sign.run(env)
	if err != nil {
		return nil, decimal.Zero, err
	}
	switch sign {
	case "debit", "+":
		return keys, amount, nil
	case "credit", "-":
		return keys, amount.Neg(), nil
	default:
		return nil, decimal.Zero, errors.New("sign has to be debit, credit, + or -")
	}
}

// balanced gives the group that makes the sum zero; nil where none is needed.
func (e *evaluation) balanced(r *rule, total decimal.Decimal, env map[string]any) (*Group, error) {
	if r.balance == nil || total.IsZero() {
		return nil, nil //nolint:nilnil // nothing to balance is no error
	}
	if r.balance.into == nil {
		return nil, errors.New("debits and credits differ")
	}
	if r.balance.tolerance != nil {
		value, err := r.balance.tolerance.run(env)
		if err != nil {
			return nil, err
		}
		if tolerance, _ := value.(decimal.Decimal); total.Abs().GreaterThan(tolerance) {
			return nil, errors.New("debits and credits differ by more than the tolerance")
		}
	}
	value, err := r.balance.into.run(env)
	if err != nil {
		return nil, err
	}
	account, _ := value.(string)
	if account == "" {
		return nil, errors.New("balance names no account")
	}
	keys := make([]string, len(r.groupBy))
	keys[0] = account
	return &Group{Key: account, Keys: keys, Sum: total.Neg()}, nil
}

// sided gives the group with its sum on the debit or the credit side.
func (g *Group) sided() Group {
	if g.Sum.IsNegative() {
		g.Credit = g.Sum.Neg()
	} else {
		g.Debit = g.Sum
	}
	return *g
}

// valueError says which of a rule's demands a value broke.
type valueError struct{ rule, message string }

func (v *valueError) Error() string { return v.message }

func ruleOf(err error) string {
	var broken *valueError
	if errors.As(err, &broken) {
		return broken.rule
	}
	return "type"
}

// formatter writes values in their JSON form; amounts in the currency's minor units.
type formatter struct{ currency string }

func (f *formatter) format(r *rule, raw any) (any, error) {
	switch r.kind {
	case kindString:
		return f.text(r, raw)
	case kindAmount, kindMoney, kindDecimal, kindNumber, kindInteger:
		return f.number(r, raw)
	case kindBool:
		return truth(raw)
	case kindDate, kindDateTime:
		return moment(r, raw)
	case kindList:
		return f.texts(r, raw)
	default:
		return nil, &valueError{"type", "has no type"}
	}
}

func (f *formatter) text(r *rule, raw any) (any, error) {
	s := textOf(raw)
	most := r.source.most
	if most == 0 || utf8.RuneCountInString(s) <= most {
		return s, nil
	}
	if r.source.truncate {
		return strings.TrimRight(left(s, most), " "), nil
	}
	return nil, &valueError{"max_length", fmt.Sprintf("has %d characters, at most %d fit", utf8.RuneCountInString(s), most)}
}

func (f *formatter) texts(r *rule, raw any) (any, error) {
	list, _ := raw.([]string)
	array := make([]any, len(list))
	for i, item := range list {
		text, err := f.text(r, item)
		if err != nil {
			return nil, err
		}
		array[i] = text
	}
	return array, nil
}

func (f *formatter) number(r *rule, raw any) (any, error) {
	d, err := toDecimal(raw)
	if err != nil {
		return nil, &valueError{"type", "is not a decimal number"}
	}
	text := d.String()
	switch {
	case r.kind == kindInteger && !d.IsInteger():
		return nil, &valueError{"type", "is not a whole number"}
	case r.kind == kindAmount || r.kind == kindMoney:
		if !d.Equal(canonical.RoundAmount(d, f.currency)) {
			return nil, &valueError{"scale", "has more decimals than the currency"}
		}
		text = canonical.FormatAmount(d, f.currency)
	}
	if most := r.source.most; most > 0 && len(text) > most {
		return nil, &valueError{"max_length", fmt.Sprintf("has %d characters, at most %d fit", len(text), most)}
	}
	if r.kind == kindAmount || r.kind == kindDecimal {
		return text, nil
	}
	return json.Number(text), nil
}

func truth(raw any) (any, error) {
	switch v := raw.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "y", "1":
			return true, nil
		case "false", "no", "n", "0":
			return false, nil
		}
	}
	return nil, &valueError{"type", "is neither true nor false"}
}

func moment(r *rule, raw any) (any, error) {
	var at time.Time
	switch v := raw.(type) {
	case time.Time:
		at = v.UTC()
	case string:
		parsed, err := time.Parse(time.DateOnly, v)
		if err != nil {
			parsed, err = time.Parse(time.RFC3339Nano, v)
		}
		if err != nil {
			return nil, &valueError{"type", "is neither a date YYYY-MM-DD nor an RFC 3339 time"}
		}
		at = parsed.UTC()
	}
	if r.kind == kindDateTime {
		return at.Format(time.RFC3339), nil
	}
	return at.Format(dateFormats[r.source.format]), nil
}

// plainString gives a text, also of a named string type.
func plainString(raw any) (string, bool) {
	if s, isString := raw.(string); isString {
		return s, true
	}
	if v := reflect.ValueOf(raw); v.IsValid() && v.Kind() == reflect.String {
		return v.String(), true
	}
	return "", false
}

// empty tells what a default stands in for: nothing, an empty text, an empty list, a time never set. Zero and false are values.
func empty(raw any) bool {
	switch v := raw.(type) {
	case nil:
		return true
	case time.Time:
		return v.IsZero()
	case []string:
		return len(v) == 0
	default:
		s, isText := plainString(raw)
		return isText && s == ""
	}
}

func readable(raw any) string {
	switch v := raw.(type) {
	case time.Time:
		return v.Format(time.RFC3339)
	case []string:
		return strings.Join(v, " | ")
	default:
		return textOf(raw)
	}
}

func jsonText(value any) string {
	body, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(body)
}
