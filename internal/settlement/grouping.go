package settlement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/settlement/report"
)

// The fields that lines can be grouped by, beside "merchantDefinedData.<n>". Category and currency always keep lines apart.
const (
	ByCardType    = "cardType"
	ByMerchant    = "merchantId"
	ByPaymentType = "paymentType"
	ByBatch       = "batchId"

	definedPrefix = "merchantDefinedData."
)

// maxGroups bounds the lines of a journal: a field that tells every row from the next is no account.
const maxGroups = 10_000

// grouping numbers the groups of rows. Rows are spooled with the number alone.
type grouping struct {
	fields []string
	index  map[string]uint32
	groups [][]string // values in the order of the fields
	key    []byte
}

func newGrouping(fields []string) (grouping, error) {
	for i, field := range fields {
		number, defined := strings.CutPrefix(field, definedPrefix)
		known := field == ByCardType || field == ByMerchant || field == ByPaymentType || field == ByBatch || defined && number != "" && strings.Trim(number, "0123456789") == ""
		if !known {
			return grouping{}, fmt.Errorf("there is no field %q to group by", field)
		}
		if slices.Contains(fields[:i], field) {
			return grouping{}, fmt.Errorf("field %q is named twice", field)
		}
	}
	// Group 0 has no values: that of differences.
	return grouping{fields: fields, index: map[string]uint32{}, groups: [][]string{make([]string, len(fields))}}, nil
}

func (g *grouping) of(row *report.Row) (uint32, error) {
	if len(g.fields) == 0 {
		return 0, nil
	}
	g.key = g.key[:0]
	for _, field := range g.fields {
		g.key = append(append(g.key, g.value(field, row)...), 0)
	}
	if at, known := g.index[string(g.key)]; known {
		return at, nil
	}
	if len(g.groups) >= maxGroups {
		return 0, refused(fmt.Sprintf("grouping by %s gives more than %d lines", strings.Join(g.fields, ", "), maxGroups))
	}
	values := make([]string, len(g.fields))
	for i, field := range g.fields {
		values[i] = strings.Clone(g.value(field, row))
	}
	at := uint32(len(g.groups))
	g.groups = append(g.groups, values)
	g.index[string(g.key)] = at
	return at, nil
}

func (g *grouping) value(field string, row *report.Row) string {
	switch field {
	case ByCardType:
		return row.CardType
	case ByMerchant:
		return row.MerchantID
	case ByPaymentType:
		return row.PaymentType
	case ByBatch:
		return row.BatchID
	}
	key := field[len(definedPrefix):]
	for _, defined := range row.Defined {
		if defined.Key == key {
			return defined.Value
		}
	}
	return ""
}

// keys names the values of a group; nil where there are none.
func (g *grouping) keys(group uint32) map[string]string {
	var keys map[string]string
	for i, value := range g.groups[group] {
		if value == "" {
			continue
		}
		if keys == nil {
			keys = map[string]string{}
		}
		keys[g.fields[i]] = value
	}
	return keys
}
