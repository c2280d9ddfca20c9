package mappings

import (
	"regexp"
	"slices"
	"strconv"
)

// Field is what a mapping says of one of its targets.
type Field struct {
	Source    string // path or expression
	Plain     bool   // Source is a path, and what is there goes into the document as it is, but for its transforms
	List      string // of a member of a list: path or expression of the list; Source reads "item"
	Index     int    // of a member of a list: which item, from 0
	MaxLength int    // 0: the mapping sets no limit
}

var memberOfList = regexp.MustCompile(`^(.+)\[([0-9]{1,6})\]\.(.+)$`)

// Field finds the rule of a target, "ShipToAddress.City" or "LineItems[2].StockCode".
func (m *Mapping) Field(target string) (Field, bool) { return fieldOf(m.rules, target) }

func fieldOf(rules []*rule, target string) (Field, bool) {
	for _, r := range rules {
		if r.source.to == target && r.value != nil {
			return Field{
				Source: r.value.source, Plain: r.source.from != nil && r.lookup == "" && len(r.groupBy) == 0, MaxLength: r.source.most,
			}, true
		}
	}
	parts := memberOfList.FindStringSubmatch(target)
	if parts == nil {
		return Field{}, false
	}
	for _, r := range rules {
		if r.source.to != parts[1] || r.each == nil {
			continue
		}
		field, known := fieldOf(r.rules, parts[3])
		field.List = r.each.source
		field.Index, _ = strconv.Atoi(parts[2])
		return field, known
	}
	return Field{}, false
}

// Targets are all places that the mapping may fill, sorted; members of a list stand behind its name with brackets: "sotran[].item". What an ERP
// is a database of is held to them before the first document comes.
func (m *Mapping) Targets() []string {
	targets := targetsOf(m.rules)
	slices.Sort(targets)
	return slices.Compact(targets)
}

func targetsOf(rules []*rule) []string {
	var targets []string
	for _, r := range rules {
		if r.value != nil {
			targets = append(targets, r.source.to)
			continue
		}
		for _, member := range targetsOf(r.rules) {
			targets = append(targets, r.source.to+"[]."+member)
		}
	}
	return targets
}
