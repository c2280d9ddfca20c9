package sagepro

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreReadStrictly(t *testing.T) {
	cases := []struct {
		name, text string
		wrong      []string // "" : taken
	}{
		{"nothing: a stock Sage Pro", "", nil},
		{"a site", `
schema: PRO{company}.dbo
sideSchema: TENDERLINE.dbo
suffix: "{company}"
tables: {iciloc: iciqty, ictran: "", arymst: ARHIST}
columns:
  iciloc: {lonhand: qonhand, lsoaloc: qsoaloc}
  arcust: {limit: credlimit, custstat: ""}
hold: {column: webhold, held: H, ready: R, alsoHeld: [F]}
customerHold: {creditStatus: [H, S]}
counters: {sono: {system: "SO", key: nextso}}
`, nil},
		{"an unknown member", "shema: dbo", []string{"shema"}},
		{"everything at once", `
schema: "dbo; DROP TABLE x"
suffix: "-01"
tables: {nothing: x, somast: "", arcust: "a b"}
columns:
  nowhere: {a: b}
  somast: {nope: x, sono: "", ponum: "po num", shipvia: ccno, tax: a, ordamt: A}
hold: {column: "x y", held: READY}
counters: {tickets: {system: X, key: y}}
`, []string{"schema:", "suffix:", `"nothing"`, "somast can't be left out", `arcust: "a b"`, `"nowhere"`, `no column "nope"`, "somast.sono can't be left out", "somast.ponum",
			"card column", "are both", "hold: column", "different values", `no counter "tickets"`}},
		{"two documents", "suffix: a\n---\nsuffix: b", []string{"more than one document"}},
		{"no map", "[1, 2]", []string{"read names"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadNames(strings.NewReader(tc.text))
			if tc.wrong == nil {
				require.NoError(t, err)
				return
			}
			for _, part := range tc.wrong {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestTheLayoutReads(t *testing.T) {
	all, err := stockLayout()
	require.NoError(t, err)
	require.Equal(t, column{kind: kindNumber, size: 10, ours: true, table: "somast"}, all["somast"]["sono"])
	require.Equal(t, column{kind: kindText, size: 40, use: optional, table: "somast"}, all["soymst"]["sotrack"])
	for table, columns := range all {
		require.NotEmpty(t, columns, table)
		for name := range columns {
			require.False(t, isCardColumn(name), "%s.%s", table, name)
			require.True(t, identifier.MatchString(name))
		}
	}
	for current, history := range twins {
		require.Contains(t, all, current)
		require.True(t, mayLack(history))
	}
}

func TestCardColumnsAreKnownByWhatOldVersionsCallThem(t *testing.T) {
	for _, name := range []string{"ccno", "CC_EXP", "ccexpdate", "cc1", "cardno", "crcardnum", "cvv2", "pan", "expdate", "ccname"} {
		require.True(t, isCardColumn(name), name)
	}
	for _, name := range []string{"custno", "ccode", "accno", "company", "discard", "panel", "expires", "success"} {
		require.False(t, isCardColumn(name), name)
	}
}

// What the adapter never touches the server does not give out either.
func TestTheRoleGetsNoCardColumn(t *testing.T) {
	script, err := os.ReadFile("../../../deploy/sagepro/roles.sql")
	require.NoError(t, err)
	_, predicate, found := strings.Cut(string(script), "schema_id = SCHEMA_ID('dbo') AND (")
	require.True(t, found)
	predicate, _, _ = strings.Cut(predicate, ";")
	var patterns []*regexp.Regexp
	for _, word := range regexp.MustCompile(`(LIKE )?'(\w[^']*)'`).FindAllStringSubmatch(predicate, -1) {
		like := strings.NewReplacer("[_]", "_", "%", ".*").Replace(word[2])
		patterns = append(patterns, regexp.MustCompile("^"+like+"$"))
		if word[1] == "" { // REPLACE takes the underscore away
			patterns = append(patterns, regexp.MustCompile("^"+strings.Replace(word[2], "cc", "cc_?", 1)+"$"))
		}
	}
	for _, name := range []string{"cc", "ccno", "cc_no", "ccnum", "cc_num", "ccnumber", "cc_number", "ccexp", "cc_exp", "cc_expdate", "ccexpire", "cc_name", "cctype", "cc_code", "ccauth",
		"cc_cvv", "cccvc", "cc_cid", "cc_addr", "cc_zip", "cc1", "cardno", "crcardnum", "creditcard", "cvv2", "cvc", "pan", "pan_no", "expdate"} {
		require.True(t, isCardColumn(name), name)
		require.True(t, slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(name) }), name)
	}
}

// stockSite is a site with the layout's own tables, in a database of no kind: for queries that are looked at, not run.
func stockSite(t testing.TB, d dialect, names Names) *site {
	t.Helper()
	all, err := stockLayout()
	require.NoError(t, err)
	s := &site{names: names, company: "01", dialect: d, layout: all, tables: map[string]map[string]siteColumn{}}
	for table, columns := range all {
		parts := names.table(table, "01")
		if parts == nil {
			continue
		}
		schema := names.Schema
		if isSide(table) {
			schema = names.SideSchema
		}
		there := map[string]siteColumn{}
		for name, shape := range columns {
			if site := names.column(table, name); site != "" {
				there[strings.ToLower(site)] = siteColumn{name: site, stored: shape.kind, kind: shape.kind, size: shape.size, places: shape.size, nullable: true}
			}
		}
		s.tables[siteTable(schema, parts[len(parts)-1])] = there
	}
	return s
}

func TestQueriesAreWrittenInTheSitesNames(t *testing.T) {
	site := Names{Schema: "PRO{company}.dbo", SideSchema: "tenderline", Suffix: "{company}", Tables: map[string]string{"iciloc": "ICIQTY", "soymst": "SOHIST"},
		Columns: map[string]map[string]string{"iciloc": {"lonhand": "qonhand"}, "somast": {"loctid": "defloc", "sotrack": ""}, "arcust": {"limit": "current"}},
		Hold:    Hold{Column: "webhold"}}
	cases := []struct {
		name    string
		dialect dialect
		names   Names
		query   string
		want    string
	}{
		{"stock names", postgres{}, Names{}, "SELECT {somast: sono tax} FROM {somast!} WHERE {somast.sono} = ?{lock}",
			"SELECT sono, tax FROM somast WHERE sono = ? FOR UPDATE"},
		{"a reserved word", postgres{}, Names{}, "SELECT {arcust: limit} FROM {arcust}", `SELECT "limit" FROM arcust`},
		{"T-SQL", sqlServer{}, Names{}, "SELECT {top 5}{arcust: limit} FROM {arcust!}{limit 5}{lock}", "SELECT TOP (5) [limit] FROM arcust WITH (UPDLOCK, ROWLOCK)"},
		{"at most five", lite{}, Names{}, "SELECT {top 5}{somast: sono} FROM {somast!}{limit 5}{lock}", "SELECT sono FROM somast LIMIT 5"},
		{"a site's", sqlServer{}, site, "SELECT {arcust: limit} FROM {arcust}", "SELECT [current] AS [limit] FROM PRO01.dbo.arcust01"},
		{"a site's stock", sqlServer{}, site, "UPDATE {iciloc} SET {iciloc.lonhand} = 1", "UPDATE PRO01.dbo.ICIQTY01 SET qonhand = 1"},
		{"history follows", sqlServer{}, site, "SELECT {soymst: loctid orderstat} FROM {soymst}", "SELECT defloc AS loctid, webhold AS orderstat FROM PRO01.dbo.SOHIST01"},
		{"what a site has not", sqlServer{}, site, "SELECT {somast: sotrack} FROM {somast}", "SELECT NULL AS sotrack FROM PRO01.dbo.somast01"},
		{"our own tables", sqlServer{}, site, "SELECT 1 FROM {cyb_xref}", "SELECT 1 FROM tenderline.cyb_xref"},
		{"upper case in PostgreSQL", postgres{}, site, "SELECT {iciloc.lonhand} FROM {iciloc}", `SELECT qonhand FROM "PRO01".dbo."ICIQTY01"`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got, err := stockSite(t, tc.dialect, tc.names).sql(tc.query)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	for _, slip := range []string{"SELECT 1 FROM {nowhere}", "SELECT {somast.nothing} FROM {somast}", "SELECT {somast: nothing} FROM {somast}", "SELECT {nowhere.x}"} {
		_, err := stockSite(t, postgres{}, Names{}).sql(slip)
		require.Error(t, err, slip)
	}
	_, err := stockSite(t, sqlServer{}, site).sql("SELECT {somast.sotrack} FROM {somast}")
	require.ErrorAs(t, err, &missingColumn{})
}

func TestWhatIsMissingIsNamedAtOnce(t *testing.T) {
	s := stockSite(t, postgres{}, Names{Tables: map[string]string{"arymst": ""}, Columns: map[string]map[string]string{"somast": {"ordamt": "openamt"}}})
	require.Empty(t, s.missing())
	delete(s.physical("somast"), "openamt")
	delete(s.physical("arcust"), "credstat")
	delete(s.physical("arcust"), "phone") // the adapter can do without
	delete(s.tables, siteTable("", "glbatch"))
	delete(s.tables, siteTable("", "socomm")) // so can it here
	require.Equal(t, []string{"arcust.credstat", "glbatch", "somast.openamt"}, s.missing())
}

func FuzzReadNames(f *testing.F) {
	f.Add("schema: dbo\nsuffix: '{company}'\ntables: {iciloc: iciqty}\ncolumns: {somast: {loctid: defloc}}\nhold: {column: webhold}")
	f.Add("tables: {somast: \"\"}")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := ReadNames(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, d := range []dialect{postgres{}, lite{}, sqlServer{}} {
			s := stockSite(t, d, names)
			for table, columns := range s.layout {
				if s.names.table(table, "01") == nil {
					continue
				}
				written, err := s.sql("{" + table + "}")
				require.NoError(t, err)
				require.NotContains(t, written, ";")
				for name := range columns {
					_, err := s.sql("{" + table + ": " + name + "}")
					require.NoError(t, err)
				}
			}
		}
	})
}

// TestExampleNames: the file that documentation leads to is one that a site could have.
func TestExampleNames(t *testing.T) {
	file, err := os.Open("../../../examples/sagepro/names.yaml")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	_, err = ReadNames(file)
	require.NoError(t, err)
}
