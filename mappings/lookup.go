package mappings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/fault"
)

// table is a lookup file: keys to values, or to one value per column. A key that ends in "*" stands for all that begin so.
type table struct {
	name     string
	file     string
	columns  []string // none: a single value
	values   map[string]entry
	fallback *entry
}

// entry is the value of a key; column "" where the table has a single one.
type entry struct {
	line    int
	columns map[string]string
}

// missingKey is a lookup without the key and without a default. The text does not repeat the key, which may be anything.
type missingKey struct{ table string }

func (m *missingKey) Error() string {
	return fmt.Sprintf("lookup %s has neither the key nor a default", m.table)
}

// knownTable checks a reference: "card_type", or "payment_outcome.order" for a column.
func knownTable(tables map[string]*table, reference string) error {
	name, column, _ := strings.Cut(reference, ".")
	t, known := tables[name]
	if !known {
		return fmt.Errorf("there is no lookup %q", name)
	}
	if column == "" && len(t.columns) > 0 {
		return fmt.Errorf("lookup %q has columns, name one: %s", name, strings.Join(t.columns, ", "))
	}
	if column != "" && !slices.Contains(t.columns, column) {
		return fmt.Errorf("lookup %q has no column %q", name, column)
	}
	return nil
}

// lookup gives the value of a key: the key itself, else the longest pattern, else the table's default.
func lookup(tables map[string]*table, reference, key string) (string, error) {
	value, _, err := find(tables, reference, key)
	return value, err
}

// find is lookup that also tells how the value came about: the key or pattern that matched, or "default".
func find(tables map[string]*table, reference, key string) (value, how string, err error) {
	if err := knownTable(tables, reference); err != nil {
		return "", "", err
	}
	name, column, _ := strings.Cut(reference, ".")
	t := tables[name]
	if e, hit := t.values[key]; hit {
		return e.columns[column], key, nil
	}
	for end := len(key); end >= 0; end-- {
		if pattern := key[:end] + "*"; t.values[pattern].columns != nil {
			return t.values[pattern].columns[column], pattern, nil
		}
	}
	if t.fallback != nil {
		return t.fallback.columns[column], "default", nil
	}
	return "", "", &missingKey{table: name}
}

// Lookup gives the value of a key in a table, "card_type" or, of a table with columns, "payment_outcome.order". The error is a *MappingError.
func (s *Set) Lookup(name, key string) (string, error) {
	value, err := lookup(s.tables, name, key)
	if err == nil {
		return value, nil
	}
	mapping := "lookups/" + name
	e := &MappingError{Mapping: mapping, File: mapping + ".yaml", Rule: "lookup", Message: err.Error(), Kind: fault.MissingReference}
	if t, known := s.tables[strings.Split(name, ".")[0]]; known {
		e.File = t.file
	}
	return "", e
}
