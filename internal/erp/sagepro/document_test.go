package sagepro

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func paperOf(t testing.TB, d dialect, body string) (*paper, object) {
	t.Helper()
	s := stockSite(t, d, Names{Columns: map[string]map[string]string{"somast": {"ordamt": "openamt", "shipvia": "carrier"}}})
	s.physical("somast")["webref"] = siteColumn{name: "WebRef", kind: kindText, stored: kindText, size: 10, nullable: true}
	s.physical("somast")["ccno"] = siteColumn{name: "ccno", kind: kindText, stored: kindText, size: 16, nullable: true}
	return newPaper(s, erp.Document{Body: json.RawMessage(body)})
}

func TestColumnsOfADocument(t *testing.T) {
	cases := []struct {
		name, body string
		want       row
		rules      map[string]string // path -> beginning of the rule
	}{
		{"all kinds", `{"custno":"web","sodate":"2026-11-20","tax":3.29,"webref":"W-1","shipvia":"UPS"}`,
			row{"custno": "web", "sodate": day("2026-11-20"), "tax": decimal.RequireFromString("3.29"), "webref": "W-1", "shipvia": "UPS"}, nil},
		{"nothing", `{}`, row{}, nil},
		{"cleared", `{"shipvia":"","ordate":""}`, row{"shipvia": "", "ordate": day("")}, nil},
		{"only the adapter's", `{"ordamt":1,"openamt":1,"id_col":1,"lckstat":"L","adduser":"ME","orderstat":"HOLD"}`, row{}, map[string]string{
			"somast.ordamt": "INVALID_FIELD: only the adapter", "somast.openamt": "INVALID_FIELD: only the adapter", "somast.id_col": "INVALID_FIELD: only",
			"somast.lckstat": "INVALID_FIELD: only", "somast.adduser": "INVALID_FIELD: only", "somast.orderstat": "INVALID_FIELD: only"}},
		{"a card column", `{"ccno":"x"}`, row{}, map[string]string{"somast.ccno": "INVALID_FIELD: a card column"}},
		{"unknown", `{"foo":1,"WebRef":"x"}`, row{}, map[string]string{"somast.foo": "INVALID_FIELD: the site has no", "somast.WebRef": "INVALID_FIELD: the site has no"}},
		{"too long", `{"webref":"12345678901","custno":"WAYTOOLONG"}`, row{}, map[string]string{
			"somast.webref": "FIELD_TOO_LONG: at most 10 characters", "somast.custno": "FIELD_TOO_LONG: at most 6 characters"}},
		{"wrong kinds", `{"tax":"3.29","sodate":"20.11.2026","custno":5,"shipvia":null,"terr":["N"]}`, row{}, map[string]string{
			"somast.tax": "INVALID_FIELD: must be a number", "somast.sodate": "INVALID_FIELD: must be a date", "somast.custno": "INVALID_FIELD: must be a text",
			"somast.shipvia": "INVALID_FIELD: must be a text", "somast.terr": "INVALID_FIELD: must be a text"}},
		{"numbers that no column keeps", `{"tax":1.23456,"taxrate":1e3,"exchrat":1234567890123456,"pnet":1}`, row{}, map[string]string{
			"somast.tax": "INVALID_FIELD: at most 4 decimals", "somast.taxrate": "INVALID_FIELD: must be a number, without an exponent",
			"somast.exchrat": "INVALID_FIELD: at most 15 digits", "somast.pnet": "INVALID_FIELD: the site has no"}},
		{"control characters", `{"shipvia":"UP\u0000S"}`, row{}, map[string]string{"somast.shipvia": "INVALID_FIELD: must have no control"}},
		{"twice", `{"shipvia":"UPS","shipvia":"DHL"}`, row{}, map[string]string{"somast": "MALFORMED_DOCUMENT"}},
		{"no object", `[]`, row{}, map[string]string{"somast": "MALFORMED_DOCUMENT"}},
		{"broken off", `{"shipvia":`, row{}, map[string]string{"": "MALFORMED_DOCUMENT"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p, whole := paperOf(t, postgres{}, `{"somast":`+tc.body+`}`)
			values := whole.child("somast").columns("somast")
			require.Len(t, values, len(tc.want))
			for name, want := range tc.want {
				if number, isNumber := want.(decimal.Decimal); isNumber {
					require.True(t, number.Equal(values[name].(decimal.Decimal)))
					continue
				}
				require.Equal(t, want, values[name])
			}
			found := map[string]string{}
			for _, problem := range p.problems {
				found[problem.Path] = problem.Rule
			}
			require.Len(t, found, len(tc.rules), "%v", found)
			for path, rule := range tc.rules {
				require.True(t, strings.HasPrefix(found[path], rule), "%s: %q", path, found[path])
			}
		})
	}
}

func TestADocumentIsReadWhole(t *testing.T) {
	c := &Client{config: Config{Name: "erp-test"}}
	p, whole := paperOf(t, lite{}, `{"reference":"R","amount":12.5,"flag":"Y","rows":[{"a":1},{"b":2}],"list":["x",1],"extra":true}`)
	require.Equal(t, "R", whole.text("reference", 5))
	require.Equal(t, "12.5", whole.amount("amount", 2).String())
	require.True(t, whole.flag("flag"))
	rows := whole.children("rows")
	require.Len(t, rows, 2)
	require.Equal(t, int64(1), rows[0].whole("a"))
	rows[0].done()
	rows[1].done()
	require.Equal(t, []string{"x", ""}, whole.texts("list", siteColumn{size: 5}))
	require.Empty(t, whole.text("absent", 0))
	whole.done()
	err := p.fault(c)
	f := fault.As(err)
	require.Equal(t, fault.Value, f.Kind)
	require.Equal(t, []fault.Field{{Path: "rows[1].b", Rule: "INVALID_FIELD: unknown"}, {Path: "list[1]", Rule: "INVALID_FIELD: must be a text"},
		{Path: "extra", Rule: "INVALID_FIELD: unknown"}}, f.Fields)

	p, whole = paperOf(t, sqlServer{}, `{"list":["Zoë – “12 €”","王小明"]}`)
	require.Equal(t, []string{"Zoë – “12 €”", ""}, whole.texts("list", siteColumn{narrow: true}), "SQL Server would write question marks")
	require.Equal(t, "list[1]", p.problems[0].Path)

	p, whole = paperOf(t, lite{}, `{"somast":{"webref":12.5}}`)
	require.Equal(t, row{"webref": "12.5"}, whole.child("somast").columns("somast"), "SQLite has no type for a site's decimals")
	require.NoError(t, p.fault(c))

	p, _ = newPaper(stockSite(t, lite{}, Names{}), erp.Document{Body: json.RawMessage(`{"a":"` + strings.Repeat("x", maxDocument) + `"}`)})
	require.Contains(t, p.problems[0].Rule, codeTooLong)
}

// However a document is made, reading it ends, names only what it may, and nothing that is not for documents gets through.
func FuzzDocument(f *testing.F) {
	f.Add(`{"orderNumber":"WEB-1","status":"open","total":48.19,"freight":5,"somast":{"custno":"WEB","sodate":"2026-11-20","currid":"USD","tax":3.29},` +
		`"sotran":[{"tranlineno":1,"item":"A100","qtyord":2,"price":19.95,"extprice":39.90}],"soaddr":[{"adtype":"S"}],"socomm":["x"],"payment":{"cybtxn":"7","paystatus":"Paid"}}`)
	f.Add(`{"somast":{"ordamt":1},"sotran":null}`)
	f.Add(`{"a":{"a":1,"a":2}}`)
	db := newIdleDB()
	f.Cleanup(func() { _ = db.Close() })
	c, err := New(Config{DB: db, Dialect: Postgres})
	require.NoError(f, err)
	tx := &tx{querier: querier{site: stockSite(f, postgres{}, Names{}), dialect: postgres{}}, client: c}
	f.Fuzz(func(t *testing.T, body string) {
		wanted, err := tx.readOrder(erp.Document{Body: json.RawMessage(body)})
		if err != nil {
			f := fault.As(err)
			require.NotNil(t, f)
			require.Equal(t, fault.Value, f.Kind)
			require.LessOrEqual(t, len(f.Fields), maxProblems)
			return
		}
		require.NotEmpty(t, wanted.number)
		sum := wanted.freight.Add(wanted.tax)
		for _, line := range wanted.lines {
			sum = sum.Add(line["extprice"].(decimal.Decimal))
			require.True(t, line["qtyord"].(decimal.Decimal).IsPositive())
			for name := range line {
				require.False(t, tx.site.reserved("sotran", name), name)
			}
		}
		require.True(t, sum.Equal(wanted.total))
		for name := range wanted.header {
			require.False(t, tx.site.reserved("somast", name), name)
			require.False(t, isCardColumn(name), name)
		}
	})
}
