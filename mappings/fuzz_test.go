package mappings_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/mappings"
)

// FuzzLoad holds the loader to its promise: whatever a file says, it is either a mapping that can be applied or a list of errors.
func FuzzLoad(f *testing.F) {
	const doc, test, lookup = 0, 1, 2
	f.Add(doc, "version: \"1\"\nrules:\n  - {to: A, each: lines, rules: [{to: B, expr: 'item.net * 2 - dec(\"1\")', type: money}]}\n")
	f.Add(doc, "version: \"2\"\nlate: [payment]\nwhen: order.total > 0\nrequires: [A]\nrules:\n  - {to: A, from: payment.cardType, lookup: plain}\n")
	f.Add(doc, "version: \"3\"\nrules:\n  - {to: J, each: lines, groupBy: item.sku, sum: item.net, balance: {into: site.rest}, rules: [{to: S, from: item.sum, type: number}]}\n")
	f.Add(test, "base: {date: \"2026-11-20\"}\ntests:\n  - {name: n, input: {date: null}, want: {A: 1.0}}\n")
	f.Add(lookup, "columns: [a, b]\ndefault: {a: x, b: y}\nvalues: {\"k*\": {a: \"1\", b: \"2\"}}\n")
	in := sampleInput(f)
	f.Fuzz(func(t *testing.T, kind int, body string) {
		contents := map[string]string{
			"x/doc.yaml": "version: \"1\"\nrules: [{to: A, from: date}]\n", "x/doc_test.yaml": "tests: []\n", "lookups/plain.yaml": "values: {\"001\": A}\n",
		}
		contents[[]string{"x/doc.yaml", "x/doc_test.yaml", "lookups/plain.yaml"}[uint(kind)%3]] = body
		set, err := mappings.Load(mappings.Options{Base: files(contents)})
		var all mappings.Errors
		if err != nil {
			require.ErrorAs(t, err, &all)
			require.NotEmpty(t, all)
			return
		}
		set.RunTests()
		mappings.Diff(set, set, in)
	})
}
