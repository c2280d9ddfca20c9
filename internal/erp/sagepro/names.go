package sagepro

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Names says what a site calls what a stock Sage Pro has. The zero value is a stock Sage Pro on SQL Server. Everywhere "{company}" stands for
// the company's two characters.
type Names struct {
	// Schema is put before the ERP's tables: "dbo", "PRO{company}.dbo". "": the connection's own.
	Schema string `yaml:"schema"`
	// SideSchema is put before our own tables (cyb_...), which may live in a database or schema of their own.
	SideSchema string `yaml:"sideSchema"`
	// Suffix is put behind the ERP's tables: "{company}" where they are called SOMAST01.
	Suffix string `yaml:"suffix"`
	// Tables gives the site's name of a table (without schema and suffix): iciloc: iciqty. "" says that the site has none.
	Tables map[string]string `yaml:"tables"`
	// Columns gives the site's names of columns, by table: {iciloc: {lonhand: qonhand, lsoaloc: qsoaloc}}. A history table follows its twin
	// where it is not named itself.
	Columns map[string]map[string]string `yaml:"columns"`
	// Hold says how the site marks sales orders that wait.
	Hold Hold `yaml:"hold"`
	// CustomerHold says how the site marks customers who get nothing.
	CustomerHold CustomerHold `yaml:"customerHold"`
	// Counters gives the place of a next number in sycnext: {sono: {system: "SO{company}", key: sono}}.
	Counters map[string]Counter `yaml:"counters"`
}

// Hold is a column of somast and its values. Orders of any other value are open.
type Hold struct {
	Column   string   `yaml:"column"`   // default orderstat
	Open     string   `yaml:"open"`     // default blank
	Held     string   `yaml:"held"`     // default HOLD
	Ready    string   `yaml:"ready"`    // default READY
	AlsoHeld []string `yaml:"alsoHeld"` // what else people mark orders with that are to wait
}

// CustomerHold lists the values of credstat and custstat that mean a customer on hold, or one who is no customer any more.
type CustomerHold struct {
	CreditStatus   []string `yaml:"creditStatus"`   // default H
	CustomerStatus []string `yaml:"customerStatus"` // default H, I
}

// Counter is a row of sycnext.
type Counter struct {
	System string `yaml:"system"`
	Key    string `yaml:"key"`
}

// ReadNames reads Names from YAML, strictly: an unknown member, table or column, and a name that is no plain identifier are errors, all told
// at once.
func ReadNames(from io.Reader) (Names, error) {
	var names Names
	decoder := yaml.NewDecoder(from)
	decoder.KnownFields(true)
	if err := decoder.Decode(&names); err != nil && !errors.Is(err, io.EOF) {
		return Names{}, fmt.Errorf("read names of the Sage Pro site: %w", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Names{}, errors.New("read names of the Sage Pro site: more than one document")
	}
	if err := names.check(); err != nil {
		return Names{}, err
	}
	return names, nil
}

var (
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$#]{0,127}$`)
	schemaName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_$#]{0,127})(\.[A-Za-z_][A-Za-z0-9_$#]{0,127})?$`)
	suffixName = regexp.MustCompile(`^[A-Za-z0-9_]{0,16}$`)
)

// anyCompany stands for a company where the shape of a name is checked.
const anyCompany = "01"

func (n Names) check() error {
	stock, err := stockLayout()
	if err != nil {
		return err
	}
	var problems []error
	report := func(format string, arguments ...any) { problems = append(problems, fmt.Errorf(format, arguments...)) }
	for name, schema := range map[string]string{"schema": n.Schema, "sideSchema": n.SideSchema} {
		if schema != "" && !schemaName.MatchString(forCompany(schema, anyCompany)) {
			report("%s: %q is no schema", name, schema)
		}
	}
	if !suffixName.MatchString(forCompany(n.Suffix, anyCompany)) {
		report("suffix: %q is no part of a name", n.Suffix)
	}
	for _, table := range slices.Sorted(maps.Keys(n.Tables)) {
		switch name := n.Tables[table]; {
		case stock[table] == nil:
			report("tables: there is no table %q", table)
		case name == "" && !mayLack(table):
			report("tables: %s can't be left out", table)
		case name != "" && !identifier.MatchString(forCompany(name, anyCompany)):
			report("tables: %s: %q is no name", table, name)
		}
	}
	for _, table := range slices.Sorted(maps.Keys(n.Columns)) {
		problems = append(problems, n.checkColumns(stock, table)...)
	}
	if n.Hold.Column != "" && !identifier.MatchString(n.Hold.Column) {
		report("hold: column: %q is no name", n.Hold.Column)
	}
	if h := n.Hold.withDefaults(); isOneOf(h.Held, h.Open, h.Ready) || isOneOf(h.Ready, h.Open) {
		report("hold: open, held and ready need different values")
	}
	for _, name := range slices.Sorted(maps.Keys(n.Counters)) {
		if !slices.Contains(counterNames(), name) {
			report("counters: there is no counter %q", name)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("names of the Sage Pro site: %w", errors.Join(problems...))
	}
	return nil
}

func (n Names) checkColumns(stock layout, table string) []error {
	var problems []error
	if stock[table] == nil {
		return []error{fmt.Errorf("columns: there is no table %q", table)}
	}
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(n.Columns[table])) {
		site := n.Columns[table][name]
		known, exists := stock[table][name]
		switch {
		case !exists:
			problems = append(problems, fmt.Errorf("columns: %s has no column %q", table, name))
		case site == "" && known.use == needed:
			problems = append(problems, fmt.Errorf("columns: %s.%s can't be left out", table, name))
		case site != "" && !identifier.MatchString(site):
			problems = append(problems, fmt.Errorf("columns: %s.%s: %q is no name", table, name, site))
		case site != "" && isCardColumn(site):
			problems = append(problems, fmt.Errorf("columns: %s.%s: %s is a card column, which nothing may touch", table, name, site))
		case site != "" && taken[strings.ToLower(site)] != "":
			problems = append(problems, fmt.Errorf("columns: %s.%s and %s.%s are both %s", table, taken[strings.ToLower(site)], table, name, site))
		default:
			taken[strings.ToLower(site)] = name
		}
	}
	return problems
}

// mayLack tells whether a site may do without a table: history, and what only adds to others.
func mayLack(table string) bool {
	if slices.Contains(optionalTables, table) {
		return true
	}
	for _, history := range twins {
		if table == history {
			return true
		}
	}
	return false
}

// cardColumn fits what old versions call the columns of a customer's card. Nothing here ever reads or writes one.
var cardColumn = regexp.MustCompile(`^(cc(_?(no|num|number|exp|expdate|expire|name|type|code|auth|cvv|cvc|cid|addr|zip))?|cc\d|card.*|crcard.*|creditcard.*|cvv.*|cvc.*|pan|pan_.*|expdate|exp_date)$`)

func isCardColumn(name string) bool { return cardColumn.MatchString(strings.ToLower(name)) }

func forCompany(text, company string) string { return strings.ReplaceAll(text, "{company}", company) }

func (h Hold) withDefaults() Hold {
	if h.Column == "" {
		h.Column = "orderstat"
	}
	if h.Held == "" {
		h.Held = "HOLD"
	}
	if h.Ready == "" {
		h.Ready = "READY"
	}
	return h
}

func (h CustomerHold) withDefaults() CustomerHold {
	if h.CreditStatus == nil {
		h.CreditStatus = []string{"H"}
	}
	if h.CustomerStatus == nil {
		h.CustomerStatus = []string{"H", "I"}
	}
	return h
}

// names of the counters.
const (
	counterOrder    = "sono"
	counterInvoice  = "invno"
	counterBatch    = "batchno"
	counterCustomer = "custno"
	counterMovement = "ttranno"
)

func counterNames() []string {
	return []string{counterOrder, counterInvoice, counterBatch, counterCustomer, counterMovement}
}

func (n Names) counter(name string) Counter {
	if counter, named := n.Counters[name]; named {
		return counter
	}
	systems := map[string]string{counterOrder: "SO", counterInvoice: "AR", counterBatch: "GL", counterCustomer: "AR", counterMovement: "IC"}
	return Counter{System: systems[name] + "{company}", Key: name}
}

// table gives the site's full name of a table, schema first, each part to be quoted; nil where the site has none.
func (n Names) table(table, company string) []string {
	name, named := n.Tables[table]
	if named && name == "" {
		return nil
	}
	if !named {
		name = table
	}
	schema, suffix := n.Schema, n.Suffix
	if isSide(table) {
		schema, suffix = n.SideSchema, ""
	}
	name = forCompany(name+suffix, company)
	if schema == "" {
		return []string{name}
	}
	return append(strings.Split(forCompany(schema, company), "."), name)
}

// column gives the site's name of a column; "" where the site has none.
func (n Names) column(table, name string) string {
	if site, named := n.Columns[table][name]; named {
		return site
	}
	for current, history := range twins {
		if history == table {
			return n.column(current, name)
		}
	}
	if table == "somast" && name == "orderstat" {
		return n.Hold.withDefaults().Column
	}
	return name
}
