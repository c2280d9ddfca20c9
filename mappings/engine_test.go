package mappings_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
)

// files makes a base of single files.
func files(contents map[string]string) fs.FS {
	base := fstest.MapFS{}
	for name, body := range contents {
		base[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return base
}

// overlay writes a site's files into a directory of its own.
func overlay(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range contents {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(body), 0o600))
	}
	return dir
}

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// sampleInput is what fixtures/order.yaml says.
func sampleInput(t testing.TB) mappings.Input {
	t.Helper()
	body, err := os.ReadFile("fixtures/order.yaml")
	require.NoError(t, err)
	in, err := mappings.ParseInput(body)
	require.NoError(t, err)
	return in
}

// one loads a set whose only mapping is x/doc, with some lookups.
func one(body string) (*mappings.Set, error) {
	return mappings.Load(mappings.Options{Base: files(map[string]string{
		"x/doc.yaml":          body,
		"lookups/plain.yaml":  "values: {a: A, \"b*\": B}\n",
		"lookups/other.yaml":  "default: none\nvalues: {a: A}\n",
		"lookups/double.yaml": "columns: [first, second]\nvalues: {a: {first: \"1\", second: \"2\"}}\n",
	})})
}

func applied(t *testing.T, rules string, in mappings.Input) (string, error) {
	t.Helper()
	set, err := one("version: \"1\"\nrules:\n" + rules)
	require.NoError(t, err)
	m, err := set.Mapping("x/doc")
	require.NoError(t, err)
	doc, err := m.Apply(in)
	return string(doc.Body), err
}

func TestWhatLoadRefuses(t *testing.T) {
	cases := map[string]struct{ rules, want string }{
		"unknown path":            {"  - {to: A, from: order.total2, type: amount}", `x/doc.yaml:3: A: type canonical.Order has no field total2 (column 7 of the expression) (expression)`},
		"unknown root":            {"  - {to: A, from: basket.id}", "x/doc.yaml:3: A: unknown name basket"},
		"expression as path":      {"  - {to: A, from: order.total + 1, type: amount}", "from takes a path"},
		"no source":               {"  - {to: A}", "x/doc.yaml:3: A: needs from, expr, each or default (rule)"},
		"two sources":             {"  - {to: A, from: date, expr: date}", "has both from and expr"},
		"no target":               {"  - {from: date}", "a rule needs a target: to"},
		"odd target":              {"  - {to: \"A B\", from: date}", "a target is names joined by dots"},
		"two rules one target":    {"  - {to: A, from: date}\n  - {to: A, from: order.currency}", "x/doc.yaml:4: A: is written by the rule at x/doc.yaml:3, too (duplicate_target)"},
		"target inside a target":  {"  - {to: A.B, from: date}\n  - {to: A, from: order.currency}", "is written by the rule at x/doc.yaml:3, too"},
		"unknown field of a rule": {"  - {to: A, from: date, size: 3}", `x/doc.yaml:3: a rule has no field "size" (unknown_field)`},
		"field given twice":       {"  - to: A\n    from: date\n    from: order.currency", `x/doc.yaml:5: field "from" is given twice`},
		"unknown lookup":          {"  - {to: A, from: date, lookup: missing}", `x/doc.yaml:3: A: there is no lookup "missing" (lookup)`},
		"unknown lookup in expr":  {"  - {to: A, expr: 'lookup(\"missing\", date)'}", `there is no lookup "missing"`},
		"lookup by variable":      {"  - {to: A, expr: 'lookup(date, date)'}", "table's name as its first argument, in quotes"},
		"lookup without column":   {"  - {to: A, from: date, lookup: double}", `lookup "double" has columns, name one: first, second`},
		"lookup of no column":     {"  - {to: A, from: date, lookup: double.third}", `lookup "double" has no column "third"`},
		"lookup of an amount":     {"  - {to: A, from: order.total, lookup: plain}", "a lookup's key is a text"},
		"decimal without type":    {"  - {to: A, from: order.total}", "A: gives a decimal; say as what with type: amount, money, decimal, number, integer (type)"},
		"time without type":       {"  - {to: A, from: order.placedAt}", "gives a time; say as what with type: date, datetime"},
		"decimal as text":         {"  - {to: A, from: order.total, type: string}", "gives a decimal, which can't become string"},
		"struct":                  {"  - {to: A, from: order.billTo}", "no type fits"},
		"unknown type":            {"  - {to: A, from: date, type: varchar}", `there is no type "varchar"`},
		"float":                   {"  - {to: A, expr: order.total * 0.5, type: amount}", "invalid operation: * (mismatched types decimal.Decimal and float64)"},
		"division of integers":    {"  - {to: A, expr: 1 / 2, type: number}", "gives a float64"},
		"the clock":               {"  - {to: A, expr: now(), type: date}", "unknown name now"},
		"the environment":         {"  - {to: A, expr: '$env[\"HOME\"]'}", "(expression)"},
		"condition of no truth":   {"  - {to: A, from: date, when: order.total}", "gives a decimal, has to give bool"},
		"format of a text":        {"  - {to: A, from: date, format: YYYYMMDD}", "format is for dates"},
		"unknown format":          {"  - {to: A, from: date, type: date, format: YY}", "format is for dates: YYYY-MM-DD"},
		"default of wrong type":   {"  - {to: A, from: order.total, type: integer, default: many}", "A: is not a decimal number (default)"},
		"unknown transform":       {"  - {to: A, from: date, transform: rot13}", `there is no transform "rot13"`},
		"transform of an amount":  {"  - {to: A, from: order.total, type: amount, transform: trim}", "transform is for texts"},
		"truncated amount":        {"  - {to: A, from: order.total, type: amount, maxLength: {max: 3, over: truncate}}", "only texts can be truncated"},
		"length of zero":          {"  - {to: A, from: date, maxLength: 0}", "maxLength needs a whole number above 0"},
		"each of no list":         {"  - {to: A, each: order.total, rules: [{to: B, from: date}]}", "each needs a list whose items have a type"},
		"each without rules":      {"  - {to: A, each: lines}", "each needs rules"},
		"each inside each":        {"  - {to: A, each: lines, rules: [{to: B, each: lines, rules: [{to: C, from: date}]}]}", "each can't stand inside another each"},
		"item outside each":       {"  - {to: A, from: item.sku}", "unknown name item"},
		"unknown field of item":   {"  - {to: A, each: lines, rules: [{to: B, from: item.sku2}]}", "A[].B: type mappings.Line has no field sku2"},
		"rules without each":      {"  - {to: A, from: date, rules: [{to: B, from: date}]}", "rules, groupBy, sum, sign, balance and orSkip need each"},
		"orSkip without each":     {"  - {to: A, from: date, orSkip: true}", "rules, groupBy, sum, sign, balance and orSkip need each"},
		"sum without groupBy":     {"  - {to: A, each: lines, sum: item.net, rules: [{to: B, from: item.sku}]}", "an aggregation needs groupBy and sum"},
		"sum of texts":            {"  - {to: A, each: lines, groupBy: item.sku, sum: item.sku, rules: [{to: B, from: item.key}]}", "sum needs a decimal"},
		"removal of nothing":      {"  - {to: A, remove: true}", "there is no rule with this target to remove"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := one("version: \"1\"\nrules:\n" + c.rules)
			require.ErrorContains(t, err, c.want)
			var all mappings.Errors
			require.ErrorAs(t, err, &all)
			for _, e := range all {
				require.NotEmpty(t, e.File)
				require.NotEmpty(t, e.Rule)
			}
		})
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	_, err := mappings.Load(mappings.Options{Base: files(map[string]string{
		"x/doc.yaml":            "late: [weather]\nrequires: [B, \"C[].D\"]\nrules:\n  - {to: A, from: nonsense}\n  - {to: A, from: date}\n  - {to: C, each: lines, rules: [{to: E, from: item.sku}]}\n",
		"x/broken.yaml":         "rules: [\n",
		"x/empty.yaml":          "",
		"x/other_test.yaml":     "tests:\n  - {name: n, wantSkipped: true}\n",
		"x/doc_test.yaml":       "base: ../nowhere.yaml\ntests:\n  - {name: wants nothing}\n  - {wantPart: {A: 1}}\n",
		"lookups/a.yaml":        "values: {x: \"1\", x: \"2\"}\n",
		"lookups/b.yaml":        "columns: [p, q]\nvalues:\n  x: {p: \"1\"}\n  y: {p: \"1\", q: \"2\", r: \"3\"}\n",
		"lookups/c.yaml":        "description: nothing\n",
		"lookups/readme.md":     "not read",
		".hidden/ignored.yaml":  "[",
		"toplevel-ignored.yaml": "[",
	})})
	require.Error(t, err)
	for _, want := range []string{
		`x/doc.yaml:1: there is no root "weather" (late)`, "x/doc.yaml:1: a mapping states its version (required)",
		"x/doc.yaml:2: B: is required, but no rule makes it", "x/doc.yaml:2: C[].D: is required, but no rule makes it",
		"x/doc.yaml:4: A: unknown name nonsense", "x/doc.yaml:5: A: is written by the rule at x/doc.yaml:4, too",
		"x/broken.yaml:", "x/empty.yaml:1: the file must be a mapping of fields",
		`x/other_test.yaml: the tests are of a mapping "x/other" that does not exist`,
		`x/doc_test.yaml:1: there is no file "nowhere.yaml"`, "x/doc_test.yaml:3: a test wants something", "x/doc_test.yaml:4: a test needs a name",
		"lookups/b.yaml:3: the value of \"x\" has no column \"q\"", `lookups/b.yaml:4: the value of "y" has no field "r"`,
		"lookups/c.yaml:1: a lookup needs values",
	} {
		require.ErrorContains(t, err, want)
	}
	require.Contains(t, err.Error(), "lookups/a.yaml")
	require.NotContains(t, err.Error(), "ignored")
}

func TestTypesOfValues(t *testing.T) {
	in := mappings.Input{Date: "2026-11-20", Site: map[string]string{"n": "007", "yes": "Y"}, Order: canonical.Order{
		Currency: "USD", Total: amount("48.2"), Shipping: amount("1200"), PlacedAt: time.Date(2026, 11, 20, 23, 30, 0, 0, time.FixedZone("", -7200)),
		Payment: canonical.PaymentMethod{SaveCard: true, Capture: canonical.CaptureImmediate},
	}}
	for rule, want := range map[string]string{
		"from: order.total, type: amount":                                             `"48.20"`,
		"from: order.total, type: money":                                              `48.20`,
		"from: order.total, type: decimal":                                            `"48.2"`,
		"from: order.total, type: number":                                             `48.2`,
		"from: order.shipping, type: integer":                                         `1200`,
		"from: site.n, type: integer":                                                 `7`,
		"from: site.n":                                                                `"007"`,
		"from: order.payment.saveCard":                                                `true`,
		"from: site.yes, type: bool":                                                  `true`,
		"from: order.payment.capture":                                                 `"immediate"`,
		"from: date, type: date, format: YYYYMMDD":                                    `"20261120"`,
		"from: order.placedAt, type: date, format: DD.MM.YYYY":                        `"21.11.2026"`,
		"from: order.placedAt, type: datetime":                                        `"2026-11-21T01:30:00Z"`,
		`expr: 'list("a", "", "b")'`:                                                  `["a","b"]`,
		`expr: 'order.payment.capture == "immediate" ? "i" : "o"'`:                    `"i"`,
		`expr: 'order.payment.capture in ["immediate"]'`:                              `true`,
		"expr: 'order.total * 2 - 1 + 3 / dec(4)', type: number":                      `96.15`,
		"expr: 'order.total >= 48 && 49 > order.total && order.total != 48'":          `true`,
		`expr: 'round(order.total / 3, 4)', type: number`:                             `16.0667`,
		`expr: 'minor(order.total / 3, "JPY")', type: number`:                         `16`,
		`expr: 'string(order.total) + "/" + string(2)'`:                               `"48.2/2"`,
		`expr: 'left("héllo", 2) + right("wörld", 3)'`:                                `"hérld"`,
		`expr: 'abs(dec("-2.5")) + min(dec(1), dec(2))', type: number`:                `3.5`,
		`expr: 'len(lines)'`:                                                          `0`,
		`expr: 'sum(map(lines, .net))', type: money`:                                  `0.00`,
		`expr: 'lookup("plain", "bee")'`:                                              `"B"`,
		`default: a, lookup: plain`:                                                   `"a"`,
		`from: site.none, default: x`:                                                 `"x"`,
		`from: site.n, lookup: other`:                                                 `"none"`,
		`expr: '"a"', lookup: double.second`:                                          `"2"`,
		`expr: '"<b> & \"c\""'`:                                                       `"<b> & \"c\""`,
		`expr: 'convert(order.total, "USD", order.currency)', type: amount`:           `"48.20"`,
		`expr: 'day(order.placedAt, "America/Los_Angeles")'`:                          `"2026-11-20"`,
		`from: order.currency, transform: [lower], maxLength: 3`:                      `"usd"`,
		`expr: '" ümläut  x "', transform: [ascii, squeeze, upper]`:                   `"UMLAUT X"`,
		`expr: 'wrap("one two three", 7, 0) + "|" + wrapRest("one two three", 7, 1)'`: `"one two|three"`,
	} {
		body, err := applied(t, "  - {to: A, "+rule+"}", in)
		require.NoError(t, err, rule)
		require.Equal(t, `{"A":`+want+`}`, body, rule)
	}
}

func TestWhatApplyRefuses(t *testing.T) {
	in := mappings.Input{Date: "yesterday", Order: canonical.Order{Currency: "USD", Total: amount("48.123"), OrderID: "WEB-10001"}}
	cases := map[string]struct {
		rule, broken string
		kind         fault.Kind
	}{
		"too fine for the currency": {"from: order.total, type: money", "scale", fault.Value},
		"no whole number":           {"from: order.total, type: integer", "type", fault.Value},
		"number too long":           {"from: order.total, type: decimal, maxLength: 3", "max_length", fault.Value},
		"text too long":             {"from: order.orderId, maxLength: 3", "max_length", fault.Value},
		"no date":                   {"from: date, type: date", "type", fault.Value},
		"neither true nor false":    {"from: date, type: bool", "type", fault.Value},
		"required":                  {"from: order.channel, required: true", "required", fault.Value},
		"lookup":                    {"from: order.orderId, lookup: plain", "lookup", fault.MissingReference},
		"lookup in an expression":   {"expr: 'lookup(\"plain\", order.orderId)'", "lookup", fault.MissingReference},
		"division by zero":          {"expr: order.total / order.shipping, type: number", "expression", fault.Value},
		"no number":                 {"expr: dec(order.orderId), type: number", "expression", fault.Value},
		"beyond the list":           {"from: 'order.lines[3].sku'", "expression", fault.Value},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := applied(t, "  - {to: A, "+c.rule+"}", in)
			var all mappings.Errors
			require.ErrorAs(t, err, &all)
			require.Len(t, all, 1)
			require.Equal(t, c.broken, all[0].Rule, err)
			require.Equal(t, mappings.MappingError{Mapping: "x/doc", File: "x/doc.yaml", Line: 3, Rule: c.broken, Target: "A",
				Message: all[0].Message, Kind: c.kind}, *all[0])
			require.NotContains(t, err.Error(), "10001", "no value of the input")
			require.True(t, fault.Is(mappings.AsFault(err), c.kind))
			require.Equal(t, "A", mappings.AsFault(err).Fields[0].Path)
		})
	}
}

func TestApplyReportsEverythingAtOnce(t *testing.T) {
	in := mappings.Input{Order: canonical.Order{Currency: "USD", Lines: []canonical.LineItem{{SKU: "a"}, {SKU: "zz"}, {SKU: ""}}}}
	_, err := applied(t, "  - {to: A, from: order.channel, required: true}\n  - {to: L, each: lines, rules: [{to: S, from: item.sku, required: true, lookup: plain}]}", in)
	require.EqualError(t, err, "x/doc.yaml:3: A: is required, but the source gives nothing (required)\n"+
		"x/doc.yaml:4: L[1].S: lookup plain has neither the key nor a default (lookup)\n"+
		"x/doc.yaml:4: L[2].S: is required, but the source gives nothing (required)")
	require.Equal(t, fault.Value, mappings.AsFault(err).Kind)
	require.Nil(t, mappings.AsFault(errors.New("other")))
}

func TestOverlayAddsOverridesAndRemoves(t *testing.T) {
	dir := overlay(t, map[string]string{
		"syspro/sales_order.yaml": `
version: site7
rules:
  - {to: CustomFields.CRMACC, from: order.custom.crmAccount, required: true}
  - {to: Branch, default: "99"}
  - {to: Comments, remove: true}
  - to: LineItems
    rules:
      - {to: ProductClass, from: site.productClass, default: WEB}
      - {to: UnitOfMeasure, default: PC}
`,
		"syspro/sales_order_test.yaml": `
base: ../fixtures/order.yaml
tests:
  - name: the site's fields
    input: {order: {custom: {crmAccount: "0015"}}}
    wantPart: {CustomFields: {CYBMRC: WEB-10001, CRMACC: "0015"}, Branch: "99", Comments: null}
  - name: fails on purpose
    input: {order: {custom: {crmAccount: "0015"}}}
    wantPart: {Branch: "10"}
`,
		"lookups/card_type.yaml": "values: {\"001\": VIS, \"999\": NEW}\n",
		"acme/label.yaml":        "version: \"1\"\nrules:\n  - {to: name, from: order.shipTo.name}\n",
	})
	set, err := mappings.Load(mappings.Options{OverlayDir: dir})
	require.NoError(t, err)
	require.Contains(t, set.Names(), "acme/label")
	require.NotEqual(t, load(t).Hash(), set.Hash())

	m, err := set.Mapping("syspro/sales_order")
	require.NoError(t, err)
	require.Equal(t, "1+site7", m.Version())
	in := sampleInput(t)
	in.Order.Custom = map[string]string{"crmAccount": "0015"}
	doc, err := m.Apply(in)
	require.NoError(t, err)
	require.Contains(t, string(doc.Body), `"CustomFields":{"CYBMRC":"WEB-10001","CRMACC":"0015"}`)
	require.Contains(t, string(doc.Body), `"UnitOfMeasure":"PC"`)
	require.Contains(t, string(doc.Body), `"ProductClass":"WEB"`)
	require.Contains(t, string(doc.Body), `"PaymentMethodCode":"VIS"`)
	require.NotContains(t, string(doc.Body), "Comments")
	require.Equal(t, m.Hash(), doc.Hash)
	base, err := load(t).Mapping("syspro/sales_order")
	require.NoError(t, err)
	require.NotEqual(t, base.Hash(), m.Hash())

	master, err := set.Lookup("card_type", "002")
	require.NoError(t, err)
	require.Equal(t, "MC", master, "the keys that the overlay does not name stay")

	in.Order.Custom = nil
	_, err = m.Apply(in)
	require.ErrorContains(t, err, filepath.Join(dir, "syspro", "sales_order.yaml")+":4: CustomFields.CRMACC: is required")

	failed := 0
	for _, result := range set.RunTests() {
		if result.File == filepath.Join(dir, "syspro", "sales_order_test.yaml") && !result.Passed() {
			failed++
			require.Equal(t, "fails on purpose", result.Name)
			require.Equal(t, `Branch: want "10", got "99"`, result.Failure)
			require.Equal(t, 7, result.Line)
		}
	}
	require.Equal(t, 1, failed)
}

func TestBrokenOverlaysStopTheLoad(t *testing.T) {
	_, err := mappings.Load(mappings.Options{OverlayDir: filepath.Join(t.TempDir(), "nowhere")})
	require.ErrorContains(t, err, "the overlay directory can't be read")

	dir := overlay(t, map[string]string{
		"syspro/sales_order.yaml":      "rules:\n  - {to: Nowhere, remove: true}\n  - {to: A, from: date}\n  - {to: A, from: date}\n",
		"lookups/payment_outcome.yaml": "columns: [order]\nvalues: {x: {order: confirmed}}\n",
	})
	_, err = mappings.Load(mappings.Options{OverlayDir: dir})
	require.ErrorContains(t, err, "sales_order.yaml:2: Nowhere: there is no rule with this target to remove")
	require.ErrorContains(t, err, "sales_order.yaml:4: A: is written by the rule at")
	require.ErrorContains(t, err, "an overlay must have the columns of the lookup that it extends")
}

func TestCompleteKeepsWhatWasMapped(t *testing.T) {
	in := sampleInput(t)
	anticipated := in
	anticipated.Payment, anticipated.Customer = canonical.Payment{Status: canonical.PaymentCaptured}, mappings.CustomerRef{}
	before, err := load(t).Mapping("syspro/sales_order")
	require.NoError(t, err)
	kept, err := before.Apply(anticipated)
	require.NoError(t, err)
	require.NotContains(t, string(kept.Body), "CustomerCode")

	changed, err := mappings.Load(mappings.Options{OverlayDir: overlay(t, map[string]string{
		"syspro/sales_order.yaml": "rules:\n  - {to: Branch, default: \"99\"}\n  - {to: Payment.TokenId, default: none}\n  - {to: CustomFields.NEW, default: x}\n",
	})})
	require.NoError(t, err)
	after, err := changed.Mapping("syspro/sales_order")
	require.NoError(t, err)
	other := in
	other.Order.Total, other.Site = amount("1.00"), map[string]string{"branch": "77"}
	completed, err := after.Complete(kept, other)
	require.NoError(t, err)

	body := string(completed.Body)
	require.Contains(t, body, `"CustomerCode":"CUST0042"`)
	require.Contains(t, body, `"TransactionId":"7031234567890123456702"`)
	require.Contains(t, body, `"OrderTotal":48.19`, "what does not read a late root stays as it was")
	require.Contains(t, body, `"Branch":"10"`)
	require.NotContains(t, body, "NEW")
	require.Equal(t, kept.Hash, completed.Hash)
	require.Equal(t, after.Hash(), completed.CompletedBy)

	again, err := after.Complete(completed, other)
	require.NoError(t, err)
	require.Equal(t, completed, again, "completing twice changes nothing")

	receipt, err := load(t).Mapping("syspro/receipt")
	require.NoError(t, err)
	_, err = receipt.Complete(kept, in)
	require.ErrorContains(t, err, `the document was made by the mapping "syspro/sales_order"`)
}

func TestCompleteTakesAwayWhatIsNoMore(t *testing.T) {
	set, err := one("version: \"1\"\nlate: [payment]\nwhen: payment.status != \"declined\"\nrules:\n" +
		"  - {to: Order, from: order.orderId}\n  - {to: Pay.Card.Suffix, from: payment.cardSuffix}\n" +
		"  - {to: Tail, each: list(payment.approvalCode), rules: [{to: Code, from: item}, {to: Amount, from: payment.captured, type: decimal}]}\n")
	require.NoError(t, err)
	m, err := set.Mapping("x/doc")
	require.NoError(t, err)
	require.Equal(t, []string{"payment"}, m.Late())
	in := mappings.Input{Order: canonical.Order{OrderID: "W1"}, Payment: canonical.Payment{CardSuffix: "1111", ApprovalCode: "9", Captured: amount("1")}}
	doc, err := m.Apply(in)
	require.NoError(t, err)
	require.JSONEq(t, `{"Order":"W1","Pay":{"Card":{"Suffix":"1111"}},"Tail":[{"Code":"9","Amount":"1"}]}`, string(doc.Body))

	in.Payment = canonical.Payment{}
	bare, err := m.Complete(doc, in)
	require.NoError(t, err)
	require.Equal(t, `{"Order":"W1"}`, string(bare.Body))

	in.Payment.Status = canonical.PaymentDeclined
	none, err := m.Complete(doc, in)
	require.NoError(t, err)
	require.True(t, none.Skipped)
	require.Empty(t, none.Body)
}

func TestExplain(t *testing.T) {
	m, err := load(t).Mapping("syspro/sales_order")
	require.NoError(t, err)
	doc, explanations, err := m.Explain(sampleInput(t))
	require.NoError(t, err)
	plain, err := m.Apply(sampleInput(t))
	require.NoError(t, err)
	require.Equal(t, plain, doc)
	byTarget := map[string]mappings.Explanation{}
	for _, x := range explanations {
		require.NotContains(t, byTarget, x.Target)
		byTarget[x.Target] = x
		require.Equal(t, "syspro/sales_order.yaml", x.File)
		require.Positive(t, x.Line)
	}
	method := byTarget["Payment.PaymentMethodCode"]
	require.Equal(t, "payment.cardType", method.Source)
	require.Equal(t, "001", method.Read)
	require.Equal(t, "card_type: key 001", method.Lookup)
	require.Equal(t, `"VISA"`, method.Value)
	require.True(t, method.Late)
	require.True(t, byTarget["LineItems[0].UnitOfMeasure"].Default)
	require.Equal(t, "1 items, 1 taken", byTarget["LineItems"].Read)
	require.Equal(t, "empty", byTarget["Salesperson"].Omitted)
	require.Equal(t, "2026-11-20", byTarget["OrderDate"].Read)
}

func TestDiff(t *testing.T) {
	changed, err := mappings.Load(mappings.Options{OverlayDir: overlay(t, map[string]string{
		"syspro/invoice.yaml": "rules:\n  - {to: PostingPeriod, default: P}\n  - {to: Reference, remove: true}\n",
		"syspro/receipt.yaml": "rules:\n  - {to: Narration, from: order.orderId, maxLength: 3}\n",
		"gl/settlement.yaml":  "when: \"true\"\n",
		"acme/label.yaml":     "version: \"1\"\nrules:\n  - {to: name, from: order.shipTo.name}\n",
	})})
	require.NoError(t, err)
	differences := mappings.Diff(load(t), changed, sampleInput(t))
	var lines []string
	for _, d := range differences {
		lines = append(lines, d.Mapping+" "+d.Target+": "+strings.SplitN(d.Before, ":", 2)[0]+" -> "+d.After[:min(3, len(d.After))])
	}
	require.Contains(t, lines, `syspro/invoice PostingPeriod: "C" -> "P"`)
	require.Contains(t, lines, `syspro/invoice Reference: "WEB-10001" -> `)
	require.Contains(t, lines, `acme/label name:  -> "Ad`)
	require.Contains(t, lines, `gl/settlement : skipped -> gl/`)
	require.Empty(t, mappings.Diff(load(t), load(t), sampleInput(t)))
}

func TestLookups(t *testing.T) {
	set := load(t)
	for key, want := range map[string]string{
		"AUTHORIZED/": "capturing", "AUTHORIZED_PENDING_REVIEW/DECISION_PROFILE_REVIEW": "in_review", "DECLINED/INSUFFICIENT_FUND": "awaiting_payment",
		"DECLINED/DECISION_PROFILE_REJECT": "rejected", "AUTHORIZED_RISK_DECLINED/SCORE_EXCEEDS_THRESHOLD": "rejected",
		"SOMETHING_NEW/": "authorizing", "": "authorizing",
	} {
		got, err := set.Lookup("payment_outcome.order", key)
		require.NoError(t, err)
		require.Equal(t, want, got, key)
	}
	unknown, err := set.Lookup("payment_outcome.payment", "SOMETHING_NEW/")
	require.NoError(t, err)
	require.Equal(t, "unknown", unknown, "what is not named is never a success")

	_, err = set.Lookup("card_type", "4111111111111111")
	var missing *mappings.MappingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, fault.MissingReference, missing.Kind)
	require.NotContains(t, err.Error(), "4111")
	require.Equal(t, fault.MissingReference, mappings.AsFault(err).Kind)
	for _, name := range []string{"nonsense", "payment_outcome", "payment_outcome.colour"} {
		_, err = set.Lookup(name, "x")
		require.Error(t, err, name)
	}
	_, err = set.Mapping("syspro/nonsense")
	require.ErrorContains(t, err, "there are: "+strings.Join(set.Names(), ", "))
}

func TestOutcomesAreStatusesOfTheModel(t *testing.T) {
	orders := map[string]bool{}
	for _, s := range []canonical.OrderStatus{canonical.OrderAuthorizing, canonical.OrderAwaitingPayment, canonical.OrderInReview, canonical.OrderCapturing,
		canonical.OrderBooking, canonical.OrderDeclined, canonical.OrderRejected, canonical.OrderCompensated} {
		orders[string(s)] = true
	}
	for _, status := range []string{"AUTHORIZED", "PARTIAL_AUTHORIZED", "AUTHORIZED_PENDING_REVIEW", "AUTHORIZED_RISK_DECLINED", "PENDING_REVIEW",
		"PENDING_AUTHENTICATION", "DECLINED", "INVALID_REQUEST", "PENDING", "TRANSMITTED", "SERVER_ERROR", "?"} {
		got, err := load(t).Lookup("payment_outcome.order", status+"/")
		require.NoError(t, err)
		require.True(t, orders[got], "%s is %s", status, got)
	}
}

func TestAggregationAndBalance(t *testing.T) {
	rules := func(balance string) string {
		return "  - {to: J, each: settlement.lines, groupBy: [item.category, item.cardType], sum: item.amount, sign: 'item.category == \"sale\" ? \"+\" : \"-\"'" +
			balance + ", rules: [{to: K, expr: 'item.key + item.keys[1]'}, {to: S, from: item.sum, type: decimal}, {to: N, from: item.count}]}"
	}
	in := mappings.Input{Order: canonical.Order{Currency: "USD"}, Settlement: canonical.Settlement{Lines: []canonical.SettlementLine{
		{Category: "sale", CardType: "001", Amount: amount("10.00")}, {Category: "sale", CardType: "002", Amount: amount("5")},
		{Category: "refund", CardType: "001", Amount: amount("3")}, {Category: "sale", CardType: "001", Amount: amount("0.50")}}}}
	body, err := applied(t, rules(""), in)
	require.NoError(t, err)
	require.Equal(t, `{"J":[{"K":"sale001","S":"10.5","N":2},{"K":"sale002","S":"5","N":1},{"K":"refund001","S":"-3","N":1}]}`, body)
	_, err = applied(t, rules(", balance: check"), in)
	require.ErrorContains(t, err, "J: debits and credits differ (balance)")
	body, err = applied(t, rules(", balance: {into: '\"rest\"'}"), in)
	require.NoError(t, err)
	require.Contains(t, body, `{"K":"rest","S":"-12.5","N":0}`)
	_, err = applied(t, rules(", balance: {into: '\"rest\"', tolerance: dec(\"0.05\")}"), in)
	require.ErrorContains(t, err, "by more than the tolerance")
	_, err = applied(t, rules(", balance: {into: 'site.nowhere'}"), in)
	require.ErrorContains(t, err, "balance names no account")
}

// TestJournalsBalanceWhateverTheRows: in both modes, the money in transit is the day's net less what the bank has, and a day has no journal
// only where every account nets to nothing.
func TestJournalsBalanceWhateverTheRows(t *testing.T) {
	income := []canonical.SettlementCategory{canonical.SettlementSale, canonical.SettlementChargebackReversal, "fee_reversal", "adjustment_credit",
		"rounding_credit", "suspense_credit", "other_credit", "fx_credit", "fee_returned", "deposit_debit"}
	expense := []canonical.SettlementCategory{canonical.SettlementRefund, canonical.SettlementFee, canonical.SettlementChargeback,
		canonical.SettlementChargebackFee, canonical.SettlementAdjustment, "fee_interchange", "fee_discount", "fee_assessment", "fee_per_item",
		"fee_service", "fee_withheld", "rounding", "suspense", "other", "fx", canonical.SettlementDeposit}
	set := load(t)
	for _, name := range []string{"gl/settlement", "gl/settlement_summary"} {
		m, err := set.Mapping(name)
		require.NoError(t, err)
		rapid.Check(t, func(t *rapid.T) {
			in, transit := mappings.Input{Settlement: canonical.Settlement{Date: "2026-07-28", Currency: "USD"}}, decimal.Zero
			for range rapid.IntRange(0, 30).Draw(t, "rows") {
				amount := decimal.New(rapid.Int64Range(0, 100000).Draw(t, "amount"), -2)
				categories, net := income, amount
				if rapid.Bool().Draw(t, "expense") {
					categories, net = expense, amount.Neg()
				}
				transit = transit.Add(net)
				in.Settlement.Lines = append(in.Settlement.Lines, canonical.SettlementLine{
					Category: rapid.SampledFrom(categories).Draw(t, "category"), Amount: amount})
			}
			doc, err := m.Apply(in)
			require.NoError(t, err)
			if doc.Skipped {
				require.True(t, transit.IsZero())
				require.Empty(t, doc.Body)
				return
			}
			requireBalanced(t, doc.Body)
			require.True(t, transit.Equal(netOf(t, doc.Body, "1051")), "%s", doc.Body)
		})
	}
}

// netOf is the debits less the credits of an account in a journal.
func netOf(t require.TestingT, body []byte, account string) decimal.Decimal {
	var journal struct {
		Lines []struct {
			AccountCode   string
			Debit, Credit decimal.Decimal
		}
	}
	require.NoError(t, json.Unmarshal(body, &journal))
	net := decimal.Zero
	for _, line := range journal.Lines {
		if line.AccountCode == account {
			net = net.Add(line.Debit).Sub(line.Credit)
		}
	}
	return net
}

func TestOneSetServesManyAtOnce(t *testing.T) {
	set, in := load(t), sampleInput(t)
	m, err := set.Mapping("cybersource/payment")
	require.NoError(t, err)
	want, err := m.Apply(in)
	require.NoError(t, err)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				got, err := m.Apply(in)
				if err != nil || string(got.Body) != string(want.Body) {
					t.Errorf("document differs: %v", err)
				}
			}
		})
	}
	wait.Wait()
}

func TestParseInput(t *testing.T) {
	in, err := mappings.ParseInput([]byte(`{"date":"2026-11-20","order":{"total":19.95}}`))
	require.NoError(t, err)
	require.Equal(t, "19.95", in.Order.Total.String())
	_, err = mappings.ParseInput([]byte("oder: {}"))
	require.ErrorContains(t, err, `unknown field "oder"`)
	for _, body := range []string{"- a", "a: [", "order: 7"} {
		_, err = mappings.ParseInput([]byte(body))
		require.Error(t, err, body)
	}
	_, err = mappings.ParseInput(nil)
	require.NoError(t, err)
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}

func BenchmarkApply(b *testing.B) {
	set, in := load(b), sampleInput(b)
	for _, name := range set.Names() {
		m, err := set.Mapping(name)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			if _, err := m.Apply(in); err != nil {
				b.Skipf("it takes more than a sample order: %v", err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Apply(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
