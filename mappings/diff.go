package mappings

import (
	"maps"
	"slices"
)

// Difference is one target on which two sets disagree; "" is an absent value.
type Difference struct {
	Mapping string `json:"mapping"`
	Target  string `json:"target"`
	Before  string `json:"before,omitempty"` // JSON
	After   string `json:"after,omitempty"`  // JSON
}

// Diff applies every mapping of both sets to one input and lists where the documents differ. A document that one set can't make shows
// its error, a mapping that one set does not have is absent there.
func Diff(before, after *Set, in Input) []Difference {
	names := map[string]bool{}
	for _, s := range []*Set{before, after} {
		for _, name := range s.Names() {
			names[name] = true
		}
	}
	var differences []Difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		differences = append(differences, DiffMapping(before, after, name, in)...)
	}
	return differences
}

// DiffMapping is Diff for one mapping.
func DiffMapping(before, after *Set, name string, in Input) []Difference {
	a, b := before.leaves(name, in), after.leaves(name, in)
	targets := maps.Clone(a)
	maps.Copy(targets, b)
	var differences []Difference
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		if a[target] != b[target] {
			differences = append(differences, Difference{Mapping: name, Target: target, Before: a[target], After: b[target]})
		}
	}
	return differences
}

// leaves gives a document's values by target; the target "" stands for a document that was skipped or could not be made.
func (s *Set) leaves(name string, in Input) map[string]string {
	leaves := map[string]string{}
	m, known := s.mappings[name]
	if !known {
		return leaves
	}
	doc, err := m.Apply(in)
	switch {
	case err != nil:
		leaves[""] = err.Error()
	case doc.Skipped:
		leaves[""] = "skipped"
	default:
		value, err := plainJSON(doc.Body)
		if err != nil {
			leaves[""] = err.Error()
			return leaves
		}
		collect(leaves, "", value)
	}
	return leaves
}

func collect(leaves map[string]string, target string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			collect(leaves, join(target, name), member)
		}
	case []any:
		for i, item := range v {
			collect(leaves, indexed(target, i), item)
		}
	default:
		leaves[target] = jsonText(v)
	}
}
