package mappings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenderline/tenderline/internal/fault"
)

// MappingError is one thing wrong with a mapping file, or with an input that it was applied to. Line is 1-based. Message never
// repeats a value of the input.
type MappingError struct {
	Mapping string     // "syspro/sales_order"; a lookup is "lookups/card_type"
	File    string     // path of the file that holds the rule; an overlay's is its full path
	Line    int        // 0 where no line is to blame
	Rule    string     // what was broken: "required", "max_length", "lookup", "type", "unknown_field" ...
	Target  string     // the target in the document, "LineItems[2].StockCode"
	Message string     // one sentence
	Kind    fault.Kind // Value, or MissingReference for a lookup without the key
}

// Error reads "file:line: target: message (rule)".
func (e *MappingError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Target != "" {
		b.WriteString(e.Target + ": ")
	}
	fmt.Fprintf(&b, "%s (%s)", e.Message, e.Rule)
	return b.String()
}

// Errors are all things wrong at once; never empty when returned as an error.
type Errors []*MappingError

// Error gives one line per error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors.
func (es Errors) Unwrap() []error {
	list := make([]error, len(es))
	for i, e := range es {
		list[i] = e
	}
	return list
}

// Fault gives the errors in the vocabulary of activities and operators: permanent, one field per error.
func (es Errors) Fault() *fault.Fault {
	f := &fault.Fault{Kind: fault.Value, System: "mappings", Code: "MAPPING", Err: es}
	for i, e := range es {
		if i == 0 {
			f.Kind, f.Message = e.Kind, fmt.Sprintf("mapping %s does not fit the input", e.Mapping)
		}
		if e.Kind == fault.Value {
			f.Kind = fault.Value // a value has to be corrected anyway
		}
		f.Fields = append(f.Fields, fault.Field{Path: e.Target, Rule: fmt.Sprintf("%s: %s", e.Rule, e.Message)})
	}
	return f
}

// AsFault turns an error of this package into a Fault; of other errors it gives nil.
func AsFault(err error) *fault.Fault {
	if several := (Errors)(nil); errors.As(err, &several) {
		return several.Fault()
	}
	if one := (*MappingError)(nil); errors.As(err, &one) {
		return Errors{one}.Fault()
	}
	return nil
}
