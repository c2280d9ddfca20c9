package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// maxDepth bounds the nesting of an order document, whose own depth is 4.
const maxDepth = 16

// DecodeOrder reads one order document and reports everything that is wrong with it: what the JSON itself breaks (unknown and
// repeated fields, wrong types, data behind the end) and what Validate finds in the rest. Amounts may be JSON strings or
// numbers, both are taken exactly. The error is the reader's; a malformed document is a Problem. The caller bounds the reader
// and searches the body for card numbers first.
func DecodeOrder(r io.Reader) (Order, []Problem, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return Order{}, nil, fmt.Errorf("read order: %w", err)
	}
	c := &checker{}
	root, ok := parseJSON(body, c)
	if !ok {
		return Order{}, c.problems(), nil
	}
	var order Order
	bind(root, reflect.ValueOf(&order).Elem(), c)
	return order, mergeProblems(c.problems(), order.Validate()), nil
}

// mergeProblems adds what Validate found, save at places that the decoder has refused: what it says there is about the zero value.
func mergeProblems(decoded, validated []Problem) []Problem {
	refused := map[string]bool{}
	for _, problem := range decoded {
		if problem.Rule != RuleUnknownField {
			refused[problem.Pointer] = true
		}
	}
	merged := decoded
	for _, problem := range validated {
		if !coveredBy(refused, problem.Pointer) && !(problem.Rule == RuleTotalMismatch && len(refused) > 0) {
			merged = append(merged, problem)
		}
	}
	return merged
}

// coveredBy tells whether the pointer or a parent of it was refused.
func coveredBy(refused map[string]bool, pointer string) bool {
	for pointer != "" {
		if refused[pointer] {
			return true
		}
		pointer = pointer[:strings.LastIndexByte(pointer, '/')]
	}
	return refused[""]
}

// node is a JSON value that remembers what a map would lose: the order of its members and their repetition.
type node struct {
	kind    nodeKind
	text    string // string value or number literal
	truth   bool
	names   []string
	members []node // of an object, beside names; of an array
}

type nodeKind string

const (
	nodeObject nodeKind = "an object"
	nodeArray  nodeKind = "an array"
	nodeString nodeKind = "a string"
	nodeNumber nodeKind = "a number"
	nodeBool   nodeKind = "true or false"
	nodeNull   nodeKind = "null"
)

var errTooDeep = errors.New("too deep")

// parseJSON reads exactly one value; it reports why it can't and gives false.
func parseJSON(body []byte, c *checker) (node, bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	root, err := parseValue(decoder, 0)
	if errors.Is(err, errTooDeep) {
		c.report(RuleTooDeep, fmt.Sprintf("is nested more than %d deep", maxDepth))
		return node{}, false
	}
	if err != nil {
		c.report(RuleMalformed, fmt.Sprintf("is not JSON, at byte %d", errorOffset(err, decoder)))
		return node{}, false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		c.report(RuleTrailingData, fmt.Sprintf("goes on after the end of the document, at byte %d", decoder.InputOffset()))
		return node{}, false
	}
	return root, true
}

func errorOffset(err error, decoder *json.Decoder) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset
	}
	return decoder.InputOffset()
}

func parseValue(decoder *json.Decoder, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, errTooDeep
	}
	token, err := decoder.Token()
	if err != nil {
		return node{}, err
	}
	switch value := token.(type) {
	case json.Delim:
		if value == '{' {
			return parseObject(decoder, depth)
		}
		return parseArray(decoder, depth)
	case string:
		return node{kind: nodeString, text: value}, nil
	case json.Number:
		return node{kind: nodeNumber, text: value.String()}, nil
	case bool:
		return node{kind: nodeBool, truth: value}, nil
	default:
		return node{kind: nodeNull}, nil
	}
}

func parseObject(decoder *json.Decoder, depth int) (node, error) {
	object := node{kind: nodeObject}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return node{}, err
		}
		member, err := parseValue(decoder, depth+1)
		if err != nil {
			return node{}, err
		}
		object.names = append(object.names, name.(string)) //nolint:errcheck // the decoder gives names as strings
		object.members = append(object.members, member)
	}
	_, err := decoder.Token()
	return object, err
}

func parseArray(decoder *json.Decoder, depth int) (node, error) {
	array := node{kind: nodeArray}
	for decoder.More() {
		member, err := parseValue(decoder, depth+1)
		if err != nil {
			return node{}, err
		}
		array.members = append(array.members, member)
	}
	_, err := decoder.Token()
	return array, err
}

var (
	decimalType  = reflect.TypeFor[decimal.Decimal]()
	timeType     = reflect.TypeFor[time.Time]()
	decimalShape = regexp.MustCompile(`^-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$`)
)

// mustBeGiven are the amounts whose absence would silently mean zero.
var mustBeGiven = map[reflect.Type][]string{
	reflect.TypeFor[LineItem](): {"quantity", "unitPrice"},
	reflect.TypeFor[Order]():    {"total"},
}

// bind writes a node into a Go value of the canonical types; null is as if absent.
func bind(n node, into reflect.Value, c *checker) {
	if n.kind == nodeNull {
		return
	}
	switch {
	case into.Type() == decimalType:
		bindDecimal(n, into, c)
	case into.Type() == timeType:
		bindTime(n, into, c)
	case into.Kind() == reflect.Struct:
		bindStruct(n, into, c)
	case into.Kind() == reflect.Slice:
		bindSlice(n, into, c)
	case into.Kind() == reflect.Map:
		bindMap(n, into, c)
	case into.Kind() == reflect.Bool:
		if expect(n, nodeBool, c) {
			into.SetBool(n.truth)
		}
	default:
		if expect(n, nodeString, c) {
			into.SetString(n.text)
		}
	}
}

func expect(n node, kind nodeKind, c *checker) bool {
	if n.kind != kind {
		c.report(RuleType, fmt.Sprintf("must be %s, is %s", kind, n.kind))
		return false
	}
	return true
}

func bindDecimal(n node, into reflect.Value, c *checker) {
	if n.kind != nodeNumber && !expect(n, nodeString, c) {
		return
	}
	if !decimalShape.MatchString(n.text) {
		c.report(RuleType, `must be a decimal number such as "19.95"`)
		return
	}
	value, err := decimal.NewFromString(n.text)
	if err != nil {
		c.report(RuleType, `must be a decimal number such as "19.95"`)
		return
	}
	into.Set(reflect.ValueOf(value))
}

func bindTime(n node, into reflect.Value, c *checker) {
	if !expect(n, nodeString, c) {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, n.text)
	if err != nil {
		c.report(RuleType, `must be an RFC 3339 time such as "2026-11-20T14:03:22Z"`)
		return
	}
	into.Set(reflect.ValueOf(at.UTC()))
}

func bindStruct(n node, into reflect.Value, c *checker) {
	if !expect(n, nodeObject, c) {
		return
	}
	fields := jsonFields(into.Type())
	seen := map[string]bool{}
	for i, name := range n.names {
		field, known := fields[name]
		switch {
		case seen[name]:
			c.atName(name).report(RuleDuplicateField, "is given more than once")
		case !known:
			c.atName(name).report(RuleUnknownField, "is not a field of an order")
		default:
			bind(n.members[i], into.Field(field), c.at(name))
		}
		seen[name] = seen[name] || n.members[i].kind != nodeNull
	}
	for _, name := range mustBeGiven[into.Type()] {
		if !seen[name] {
			c.at(name).report(RuleRequired, "is required")
		}
	}
}

func jsonFields(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	return fields
}

func bindSlice(n node, into reflect.Value, c *checker) {
	if !expect(n, nodeArray, c) {
		return
	}
	if len(n.members) > MaxLines {
		c.report(RuleMaxItems, fmt.Sprintf("has %d lines, at most %d are taken", len(n.members), MaxLines))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.members), len(n.members)))
	for i, member := range n.members {
		if at := c.at(strconv.Itoa(i)); member.kind == nodeNull {
			at.report(RuleType, "must be an object, is null")
		} else {
			bind(member, into.Index(i), at)
		}
	}
}

func bindMap(n node, into reflect.Value, c *checker) {
	if !expect(n, nodeObject, c) {
		return
	}
	entries := make(map[string]string, len(n.names))
	for i, name := range n.names {
		at := c.atName(name)
		if _, repeated := entries[name]; repeated {
			at.report(RuleDuplicateField, "is given more than once")
			continue
		}
		if n.members[i].kind == nodeNull || expect(n.members[i], nodeString, at) {
			entries[name] = n.members[i].text
		}
	}
	into.Set(reflect.ValueOf(entries))
}
