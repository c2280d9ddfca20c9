package mappings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v3"
)

// TestResult is the outcome of one test beside a mapping.
type TestResult struct {
	Mapping string `json:"mapping"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Name    string `json:"name"`
	Failure string `json:"failure,omitempty"` // "" is a pass
}

// Passed tells whether the test passed.
func (t TestResult) Passed() bool { return t.Failure == "" }

// testFile is a *_test.yaml: cases whose inputs are laid over a common base.
type testFile struct {
	mapping string
	file    string
	base    map[string]any
	cases   []testCase
}

type testCase struct {
	line      int
	name      string
	input     map[string]any
	complete  map[string]any // input of a completion that follows, laid over input
	want      any            // the whole document
	wantPart  map[string]any // targets by path, "LineItems[0].StockCode"; null: absent
	wantError string         // part of the error's text
	skipped   bool           // the document's condition is false
}

// RunTests runs every test beside a mapping, the site's own included. What a site changes on purpose, its tests say: one of the same name takes
// the place of a built-in one.
func (s *Set) RunTests() []TestResult {
	var results []TestResult
	for i, file := range s.tests {
		mapping := s.mappings[file.mapping]
		for _, c := range file.cases {
			if replaced(file.mapping, c.name, s.tests[i+1:]) {
				continue
			}
			result := TestResult{Mapping: file.mapping, File: file.file, Line: c.line, Name: c.name}
			if err := c.run(mapping, file.base); err != nil {
				result.Failure = err.Error()
			}
			results = append(results, result)
		}
	}
	return results
}

// replaced tells whether a later file has a test of the same name for the mapping.
func replaced(mapping, name string, later []*testFile) bool {
	return slices.ContainsFunc(later, func(file *testFile) bool {
		return file.mapping == mapping && slices.ContainsFunc(file.cases, func(c testCase) bool { return c.name == name })
	})
}

func (c testCase) run(m *Mapping, base map[string]any) error {
	doc, err := c.document(m, base)
	if c.wantError != "" {
		if err == nil {
			return fmt.Errorf("want an error with %q, got %s", c.wantError, doc.Body)
		}
		if !strings.Contains(err.Error(), c.wantError) {
			return fmt.Errorf("want an error with %q, got: %w", c.wantError, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if doc.Skipped != c.skipped {
		return fmt.Errorf("skipped is %t, want %t", doc.Skipped, c.skipped)
	}
	if doc.Skipped {
		return nil
	}
	return c.compare(doc.Body)
}

func (c testCase) document(m *Mapping, base map[string]any) (Document, error) {
	merged := overlaid(base, c.input)
	in, err := inputOf(merged)
	if err != nil {
		return Document{}, err
	}
	doc, err := m.Apply(in)
	if err != nil || c.complete == nil {
		return doc, err
	}
	later, err := inputOf(overlaid(merged, c.complete))
	if err != nil {
		return Document{}, err
	}
	return m.Complete(doc, later)
}

func (c testCase) compare(body []byte) error {
	got, err := plainJSON(body)
	if err != nil {
		return err
	}
	var differences []string
	if c.want != nil {
		differences = compareValues("", c.want, got)
	}
	for _, target := range slices.Sorted(maps.Keys(c.wantPart)) {
		differences = append(differences, compareValues(target, c.wantPart[target], at(got, target))...)
	}
	if len(differences) > 0 {
		return errors.New(strings.Join(differences, "\n"))
	}
	return nil
}

// ParseInput reads an input document (JSON or YAML), as tests and previews have it; unknown fields are errors.
func ParseInput(body []byte) (Input, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(body, &n); err != nil {
		return Input{}, fmt.Errorf("read input: %w", err)
	}
	if len(n.Content) == 0 {
		return Input{}, nil
	}
	value, isObject := plainYAML(n.Content[0]).(map[string]any)
	if !isObject {
		return Input{}, errors.New("read input: not an object")
	}
	return inputOf(value)
}

func inputOf(value map[string]any) (Input, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return Input{}, fmt.Errorf("read input: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var in Input
	if err := decoder.Decode(&in); err != nil {
		return Input{}, fmt.Errorf("read input: %w", err)
	}
	return in, nil
}

// tests reads a *_test.yaml.
func (r *yamlReader) tests(body []byte, files fs.FS) *testFile {
	n := r.root(body)
	if n == nil {
		return nil
	}
	file := &testFile{mapping: strings.TrimSuffix(r.name, "_test"), file: r.file}
	r.fields(n, "a test file", map[string]func(*yaml.Node){
		"base": func(n *yaml.Node) { file.base = r.base(n, files) },
		"tests": func(n *yaml.Node) {
			r.list(n, func(item *yaml.Node) { file.cases = append(file.cases, r.testCase(item)) })
		},
	})
	return file
}

// base is an input, or the path of a file with one, relative to the test file. A site's test may use the embedded fixtures.
func (r *yamlReader) base(n *yaml.Node, files fs.FS) map[string]any {
	if n.Kind != yaml.ScalarNode {
		return r.input(n)
	}
	name := path.Join(path.Dir(r.name), n.Value)
	body, err := fs.ReadFile(files, name)
	if err != nil {
		body, err = fs.ReadFile(embedded, name)
	}
	if err != nil {
		r.fail(n.Line, "base", "", "there is no file %q", name)
		return nil
	}
	var base yaml.Node
	if err := yaml.Unmarshal(body, &base); err != nil || len(base.Content) == 0 {
		r.fail(n.Line, "base", "", "%q is no input", name)
		return nil
	}
	return r.input(base.Content[0])
}

func (r *yamlReader) input(n *yaml.Node) map[string]any {
	value, isObject := plainYAML(n).(map[string]any)
	if !isObject {
		r.fail(n.Line, "type", "", "an input is an object")
	}
	return value
}

func (r *yamlReader) testCase(n *yaml.Node) testCase {
	c := testCase{line: n.Line}
	r.fields(n, "a test", map[string]func(*yaml.Node){
		"name": r.text(&c.name), "wantError": r.text(&c.wantError), "wantSkipped": r.truth(&c.skipped),
		"input":    func(n *yaml.Node) { c.input = r.input(n) },
		"complete": func(n *yaml.Node) { c.complete = r.input(n) },
		"want":     func(n *yaml.Node) { c.want = plainYAML(n) },
		"wantPart": func(n *yaml.Node) { c.wantPart = r.input(n) },
	})
	if c.name == "" {
		r.fail(n.Line, "required", "", "a test needs a name")
	}
	if c.want == nil && len(c.wantPart) == 0 && c.wantError == "" && !c.skipped {
		r.fail(n.Line, "required", "", "a test wants something: want, wantPart, wantError or wantSkipped")
	}
	return c
}

// plainYAML gives maps, lists, strings, bools, nil and json.Number: numbers keep their digits.
func plainYAML(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return plainYAML(n.Alias)
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainYAML(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = plainYAML(item)
		}
		return list
	case yaml.DocumentNode, yaml.ScalarNode: // a scalar is what its tag says; no document is inside another
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		if _, err := decimal.NewFromString(n.Value); err == nil {
			return json.Number(n.Value)
		}
	}
	return n.Value
}

func plainJSON(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	return value, nil
}

// overlaid lays values over a base, object by object; null takes a member away.
func overlaid(base, over map[string]any) map[string]any {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range over {
		inner, isObject := value.(map[string]any)
		under, wasObject := merged[name].(map[string]any)
		switch {
		case value == nil:
			delete(merged, name)
		case isObject && wasObject:
			merged[name] = overlaid(under, inner)
		default:
			merged[name] = value
		}
	}
	return merged
}

// at gives the value at a target such as "LineItems[0].StockCode"; nil when there is none.
func at(value any, target string) any {
	for _, name := range strings.Split(strings.ReplaceAll(target, "[", ".["), ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscanf(name, "[%d]", &i); err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// compareValues lists the differences; numbers are compared by value, everything else as it is.
func compareValues(target string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, isObject := got.(map[string]any)
		if !isObject {
			break
		}
		var differences []string
		names := maps.Clone(w)
		maps.Copy(names, g)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			differences = append(differences, compareValues(join(target, name), w[name], g[name])...)
		}
		return differences
	case []any:
		g, isList := got.([]any)
		if !isList || len(g) != len(w) {
			break
		}
		var differences []string
		for i := range w {
			differences = append(differences, compareValues(indexed(target, i), w[i], g[i])...)
		}
		return differences
	case json.Number:
		if g, isNumber := got.(json.Number); isNumber && sameNumber(w, g) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: want %s, got %s", target, jsonText(want), jsonText(got))}
}

func sameNumber(a, b json.Number) bool {
	x, errX := decimal.NewFromString(a.String())
	y, errY := decimal.NewFromString(b.String())
	return errX == nil && errY == nil && x.Equal(y)
}

func join(target, name string) string {
	if target == "" {
		return name
	}
	return target + "." + name
}
