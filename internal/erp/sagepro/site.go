package sagepro

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// site is what a company's database really has: the layout seen through Names, completed by what the database tells of its columns. Queries of
// this package are written in the layout's names, in braces, and a site turns them into its own:
//
//	{somast}            the table
//	{somast!}           the table, its rows to be locked; {lock} then ends the query
//	{somast.sono}       a column
//	{somast: sono tax}  columns for a result, under the layout's names; NULL for an optional one that the site has not
//	{top 5} {limit 5}   at most five rows: the first behind SELECT, the second at the query's end
type site struct {
	names    Names
	company  string
	dialect  dialect
	layout   layout
	tables   map[string]map[string]siteColumn // by the lower-case name the site gives a table, then a column
	texts    bool                             // decimals are asked for as texts
	rendered sync.Map                         // query -> its SQL
}

// siteColumn is a column as the database has it.
type siteColumn struct {
	name     string // as the site spells it
	kind     kind   // what it means; that of the layout where it knows the column
	stored   kind   // what the database's type holds
	size     int    // characters, 0 for any
	places   int    // of a decimal, below 0 for any
	narrow   bool   // holds Windows-1252 alone
	nullable bool
	filled   bool // the database fills it by itself
}

// columnRow is one row of dialect.columns.
type columnRow struct {
	Table    text  `db:"table_name"`
	Column   text  `db:"column_name"`
	Type     text  `db:"data_type"`
	Size     whole `db:"size"`
	Places   whole `db:"places"`
	Nullable whole `db:"nullable"`
	Filled   whole `db:"filled"`
}

// readSite asks the database for its columns: of the ERP's schema, and of ours where that is another one.
func (c *Client) readSite(ctx context.Context) (*site, error) {
	s := &site{names: c.config.Names, company: c.config.Company, dialect: c.dialect, layout: c.layout, texts: overODBC(c.config.DB),
		tables: map[string]map[string]siteColumn{}}
	schemas := []string{c.config.Names.Schema}
	if side := c.config.Names.SideSchema; side != c.config.Names.Schema {
		schemas = append(schemas, side)
	}
	for _, schema := range schemas {
		var parts []string
		if schema != "" {
			parts = strings.Split(forCompany(schema, c.config.Company), ".")
		}
		query, arguments := c.dialect.columns(parts)
		var rows []columnRow
		if err := (querier{run: c.config.DB, bind: c.bind}).listPlain(ctx, &rows, query, arguments...); err != nil {
			return nil, err
		}
		for _, row := range rows {
			s.add(schema, row)
		}
	}
	return s, nil
}

// pointedAt are types whose values stand outside of the row. Of them SQL Server's catalogue tells the length of the pointer.
var pointedAt = []string{"text", "ntext"}

// declared fits the length of a type, or its digits and places: VARCHAR(20), NUMERIC(9,2).
var declared = regexp.MustCompile(`\((\d+)(?:, *(\d+))?\)$`)

func (s *site) add(schema string, row columnRow) {
	table := siteTable(schema, string(row.Table))
	if s.tables[table] == nil {
		s.tables[table] = map[string]siteColumn{}
	}
	column := siteColumn{name: string(row.Column), stored: s.dialect.kindOf(string(row.Type)), size: int(row.Size), places: int(row.Places), narrow: s.dialect.narrow(string(row.Type)),
		nullable: row.Nullable != 0, filled: row.Filled != 0}
	if slices.Contains(pointedAt, strings.ToLower(string(row.Type))) {
		column.size = 0
	}
	column.kind = column.stored
	if match := declared.FindStringSubmatch(string(row.Type)); match != nil && column.kind == kindDecimal {
		column.places, _ = strconv.Atoi(match[2]) // NUMERIC(9) has none
	} else if match != nil && column.size == 0 {
		column.size, _ = strconv.Atoi(match[1])
	}
	s.tables[table][strings.ToLower(column.name)] = column
}

func siteTable(schema, table string) string { return strings.ToLower(schema + "\x00" + table) }

// physical gives the columns that the database has for a table of the layout; nil where it has no such table.
func (s *site) physical(table string) map[string]siteColumn {
	parts := s.names.table(table, s.company)
	if parts == nil {
		return nil
	}
	schema := s.names.Schema
	if isSide(table) {
		schema = s.names.SideSchema
	}
	return s.tables[siteTable(schema, parts[len(parts)-1])]
}

// has tells whether the database has a table of the layout.
func (s *site) has(table string) bool { return s.physical(table) != nil }

// keeps tells whether a table is to be asked: the site has not said that it has none, and an optional one is there.
func (s *site) keeps(table string) bool {
	return s.names.table(table, s.company) != nil && (s.has(table) || !slices.Contains(optionalTables, table))
}

// column gives a column by the layout's name, or by the site's own where the layout does not know it.
func (s *site) column(table, name string) (siteColumn, bool) {
	shape, inLayout := s.layout[table][name]
	siteName := name
	if inLayout {
		if siteName = s.names.column(table, name); siteName == "" {
			return siteColumn{}, false
		}
	}
	column, exists := s.physical(table)[strings.ToLower(siteName)]
	if !exists || !inLayout {
		return column, exists
	}
	column.kind = shape.kind
	if column.size == 0 && shape.kind != kindDecimal {
		column.size = shape.size
	}
	if shape.kind == kindDecimal && column.places < 0 {
		column.places = shape.size
	}
	return column, true
}

// required gives the columns of a table that must not be NULL and that the database does not fill, in the order of their names.
func (s *site) required(table string) []siteColumn {
	var all []siteColumn
	for _, column := range s.physical(table) {
		if !column.nullable && !column.filled {
			all = append(all, column)
		}
	}
	slices.SortFunc(all, func(a, b siteColumn) int { return strings.Compare(a.name, b.name) })
	return all
}

// reserved tells whether a column, by whatever name, is one of those that only the adapter writes.
func (s *site) reserved(table, name string) bool {
	if shape, inLayout := s.layout[table][name]; inLayout && shape.ours {
		return true
	}
	for known, shape := range s.layout[table] {
		if shape.ours && strings.EqualFold(s.names.column(table, known), name) {
			return true
		}
	}
	return slices.Contains(countersOfPeople, strings.ToLower(name))
}

// countersOfPeople are running totals of a stock Sage Pro that this package does not keep; no document may set them.
var countersOfPeople = []string{"id_col", "hibalance", "ptdsls", "ytdsls", "credlimt", "hicredit", "ptdslqt", "ytdslqt", "currship", "currhist", "bordamt", "bshpamt",
	"tqtyord", "tqtyshp"}

// missing names the tables and columns that the adapter needs and the database has not.
func (s *site) missing() []string {
	var all []string
	for table, columns := range s.layout {
		if !s.keeps(table) {
			continue
		}
		if !s.has(table) {
			all = append(all, strings.Join(s.names.table(table, s.company), "."))
			continue
		}
		for name, shape := range columns {
			if table == twins["somast"] && name == "orderstat" { // a finished order waits for nothing, and a site's own column may be missing there
				continue
			}
			if _, exists := s.column(table, name); !exists && shape.use == needed {
				all = append(all, strings.Join(s.names.table(table, s.company), ".")+"."+s.names.column(table, name))
			}
		}
	}
	slices.Sort(all)
	return all
}

var token = regexp.MustCompile(`\{([^{}]*)\}`)

// sql writes a query in the site's names.
func (s *site) sql(query string) (string, error) {
	if known, done := s.rendered.Load(query); done {
		return known.(string), nil //nolint:errcheck // only strings are stored
	}
	var problem error
	written := token.ReplaceAllStringFunc(query, func(found string) string {
		part, err := s.write(found[1 : len(found)-1])
		if err != nil && problem == nil {
			problem = fmt.Errorf("query %q: %w", query, err)
		}
		return part
	})
	if problem != nil {
		return "", problem
	}
	s.rendered.Store(query, written)
	return written, nil
}

func (s *site) write(text string) (string, error) {
	if text == "lock" {
		return s.dialect.lockRows(), nil
	}
	if verb, rows, counted := strings.Cut(text, " "); counted && verb == "top" {
		return s.dialect.top(rows), nil
	} else if counted && verb == "limit" {
		return s.dialect.limit(rows), nil
	}
	if table, list, isList := strings.Cut(text, ":"); isList {
		return s.list(table, strings.Fields(list))
	}
	if table, name, isColumn := strings.Cut(text, "."); isColumn {
		return s.nameOf(table, name)
	}
	table, locked := strings.CutSuffix(text, "!")
	parts := s.names.table(table, s.company)
	if s.layout[table] == nil || parts == nil {
		return "", fmt.Errorf("no table %q", table)
	}
	name := qualified(s.dialect, parts)
	if locked {
		name += s.dialect.lockTable()
	}
	return name, nil
}

func (s *site) list(table string, names []string) (string, error) {
	written := make([]string, 0, len(names))
	for _, name := range names {
		if _, known := s.layout[table][name]; !known {
			return "", fmt.Errorf("no column %q in %q", name, table)
		}
		column, exists := s.column(table, name)
		switch quoted := s.dialect.quote(column.name); {
		case !exists:
			written = append(written, "NULL AS "+s.dialect.quote(name))
		case s.texts && column.kind == kindDecimal:
			written = append(written, decimalText(quoted, column)+" AS "+s.dialect.quote(name))
		case column.name == name:
			written = append(written, quoted)
		default:
			written = append(written, quoted+" AS "+s.dialect.quote(name))
		}
	}
	return strings.Join(written, ", "), nil
}

// decimalText asks for a decimal as text. By way of DECIMAL, because MONEY shows two places only.
func decimalText(quoted string, column siteColumn) string {
	return fmt.Sprintf("CAST(CAST(%s AS DECIMAL(28, %d)) AS VARCHAR(40))", quoted, max(column.places, moneyPlaces))
}

func (s *site) nameOf(table, name string) (string, error) {
	if _, known := s.layout[table][name]; !known {
		return "", fmt.Errorf("no column %q in %q", name, table)
	}
	column, exists := s.column(table, name)
	if !exists {
		return "", missingColumn{table + "." + name}
	}
	return s.dialect.quote(column.name), nil
}

// missingColumn says that the site has not what a query needs.
type missingColumn struct{ name string }

func (m missingColumn) Error() string { return "the site has no " + m.name }
