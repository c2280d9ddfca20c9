package sagepro_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	sandbox "github.com/tenderline/tenderline/sandbox/sagepro"
)

// server stands for a SQL Server where none can run: it takes T-SQL, keeps what it was sent, and has the sandbox's SQLite database do what each
// statement means, so that the answers are those of a real company. It understands what this adapter writes and refuses anything else that
// SQLite would take and SQL Server would not. Its errors are those of the driver for SQL Server.
type server struct {
	inner  driver.Connector // of the sandbox
	schema []catalogRow

	meanings sync.Map // T-SQL -> SQL
	triggers bool     // the site's own: SQL Server adds the rows that they write to those of an update of the ERP's tables

	mu      sync.Mutex
	sent    []string
	planted []plantedError
}

// plantedError is answered to the next statement that fits.
type plantedError struct {
	statement *regexp.Regexp // of T-SQL, or COMMIT
	err       error
}

func newServer(t *testing.T, inner driver.Connector) *server {
	t.Helper()
	return &server{inner: inner, schema: readCatalog(t)}
}

func (s *server) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := s.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &serverConn{server: s, Conn: inner}, nil
}

func (s *server) Driver() driver.Driver { return s.inner.Driver() }

// plant has the next statement that fits answered with an error.
func (s *server) plant(statement string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planted = append(s.planted, plantedError{statement: regexp.MustCompile(statement), err: err})
}

// taken gives what was sent since it was asked last.
func (s *server) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// heard notes a statement, and gives the error that is planted for it.
func (s *server) heard(statement string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, statement)
	for i, planted := range s.planted {
		if planted.statement.MatchString(statement) {
			s.planted = slices.Delete(s.planted, i, i+1)
			return planted.err
		}
	}
	return nil
}

type serverConn struct {
	driver.Conn
	server *server
}

// IsValid and ResetSession tell the pool of a connection that was cut.
func (c *serverConn) IsValid() bool { return c.Conn.(driver.Validator).IsValid() }

func (c *serverConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

func (c *serverConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.server.heard(strings.TrimSpace("BEGIN " + isolations[options.Isolation])); err != nil {
		return nil, err
	}
	inner, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, asSQLServer(err)
	}
	return &serverTx{conn: c, inner: inner}, nil
}

var isolations = map[driver.IsolationLevel]string{2: "READ COMMITTED"}

type serverTx struct {
	conn  *serverConn
	inner driver.Tx
}

// Commit answers a planted error after it has committed, unless the server would have rolled back by itself.
func (x *serverTx) Commit() error {
	planted := x.conn.server.heard("COMMIT")
	var refused mssql.Error
	if errors.As(planted, &refused) {
		return errors.Join(planted, x.inner.Rollback())
	}
	if err := x.inner.Commit(); err != nil {
		return asSQLServer(err)
	}
	return planted
}

func (x *serverTx) Rollback() error {
	_ = x.conn.server.heard("ROLLBACK")
	return x.inner.Rollback()
}

func (c *serverConn) ExecContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Result, error) {
	meant, err := c.meaning(query)
	if err != nil {
		return nil, err
	}
	if meant == "" {
		return driver.RowsAffected(0), nil
	}
	result, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, meant, arguments)
	if err == nil && c.server.triggers && strings.HasPrefix(query, "UPDATE ") && !strings.HasPrefix(query, "UPDATE cyb_") {
		count, err := result.RowsAffected()
		return driver.RowsAffected(2 * count), err
	}
	return result, asSQLServer(err)
}

func (c *serverConn) QueryContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Rows, error) {
	meant, err := c.meaning(query)
	if err != nil {
		return nil, err
	}
	if strings.Contains(query, "sys.columns") {
		return &catalogRows{rows: c.server.schema}, nil
	}
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, meant, arguments)
	return rows, asSQLServer(err)
}

// CheckNamedValue takes what the driver for SQL Server takes, and writes it as SQLite's database has it.
func (c *serverConn) CheckNamedValue(value *driver.NamedValue) error {
	switch got := value.Value.(type) {
	case mssql.VarChar:
		value.Value = asDate(string(got))
	case mssql.Money[decimal.Decimal]:
		value.Value = got.Decimal.String()
	case string:
		value.Value = asDate(got)
	case nil, int64, bool:
	default:
		return fmt.Errorf("parameter %d is a %s", value.Ordinal, reflect.TypeOf(got))
	}
	return nil
}

var compactDate = regexp.MustCompile(`^(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])$`)

// asDate spells a date as the sandbox has it. SQL Server is sent dates without dashes: those it reads in one way only.
func asDate(text string) string {
	if !compactDate.MatchString(text) {
		return text
	}
	return text[:4] + "-" + text[4:6] + "-" + text[6:]
}

// notTransact are what SQLite takes and SQL Server does not, outside of texts: what only other dialects write, and names that T-SQL keeps for
// itself without brackets around them.
var notTransact = regexp.MustCompile(`(?i)\|\||\bLIMIT\s+[\d@(]|\bRETURNING\b|\bON CONFLICT\b|\bFOR UPDATE\b|\bILIKE\b|\bSUBSTR\(|\bLENGTH\(|\bTRUE\b|\bFALSE\b|\?|\$\d|"|` +
	`\bAS TEXT\b|\bOFFSET\b|[^\[\w](current|limit|key|source|lineno|type)[^\]\w]|\bid_col\b[^)]*\)\s*VALUES`)

var (
	hints     = regexp.MustCompile(`(?i) WITH \((UPDLOCK, ROWLOCK|UPDLOCK, HOLDLOCK)\)`)
	top       = regexp.MustCompile(`(?is)^(\s*SELECT) TOP \((\d+)\)(.*)$`)
	output    = regexp.MustCompile(`(?is)^(UPDATE .*) OUTPUT deleted\.(\S+) (WHERE .*)$`)
	parameter = regexp.MustCompile(`@p(\d+)`)
	databases = regexp.MustCompile(`\b(PRO01|TENDERLINE)\.dbo\.`) // of a site with several, see TestTransactSQLOfASite
	session   = regexp.MustCompile(`^SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT \d+$`)
	quoted    = regexp.MustCompile(`'[^']*'`)
	clock     = "SELECT CONVERT(VARCHAR(26), CAST(SYSUTCDATETIME() AS DATETIME2(6)), 121)"
)

// meaning notes a statement and turns it into what SQLite does for it; "" is nothing.
func (c *serverConn) meaning(query string) (string, error) {
	if err := c.server.heard(query); err != nil {
		return "", err
	}
	if known, done := c.server.meanings.Load(query); done {
		return known.(string), nil
	}
	meant, err := translate(query)
	if err == nil {
		c.server.meanings.Store(query, meant)
	}
	return meant, err
}

func translate(query string) (string, error) {
	switch {
	case session.MatchString(query), strings.Contains(query, "sys.columns"):
		return "", nil
	case query == clock:
		return "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'", nil
	}
	if wrong := notTransact.FindString(quoted.ReplaceAllString(query, "''")); wrong != "" {
		return "", fmt.Errorf("%q is no T-SQL: %s", wrong, query)
	}
	query = databases.ReplaceAllString(hints.ReplaceAllString(query, ""), "")
	query = top.ReplaceAllString(query, "$1$3 LIMIT $2")
	query = output.ReplaceAllString(query, "$1 $3 RETURNING $2 - 1")
	return parameter.ReplaceAllString(query, "?$1"), nil
}

// asSQLServer gives the number by which SQL Server reports what SQLite found.
func asSQLServer(err error) error {
	var found *sqlite.Error
	if !errors.As(err, &found) {
		return err
	}
	number := int32(50000)
	switch code := found.Code(); {
	case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		number = 2601
	case code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		number = 2627
	case code == sqlite3.SQLITE_CONSTRAINT_CHECK:
		number = 2628
	case code&0xff == sqlite3.SQLITE_BUSY:
		number = 1222
	case code&0xff == sqlite3.SQLITE_ERROR:
		return fmt.Errorf("the statement is wrong: %w", err)
	}
	return mssql.Error{Number: number, Class: 16, Message: found.Error()}
}

// catalogRow is a column as SQL Server's catalogue views tell of it.
type catalogRow struct {
	table, column, kind      string
	size, places             int64
	nullable, filledByServer bool
}

var (
	createTable  = regexp.MustCompile(`(?s)CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);`)
	createColumn = regexp.MustCompile(`(?:^|,)\s*"?(\w+)"? (BIGINT|INT|SMALLINT|CHAR|VARCHAR|NUMERIC|DATE|TIMESTAMP|TEXT)\b(?:\((\d+)(?:,\s*(\d+))?\))?([^,]*)`)
)

// readCatalog has the company's schema as a site's SQL Server would.
func readCatalog(t *testing.T) []catalogRow {
	t.Helper()
	kinds := map[string]string{"BIGINT": "bigint", "INT": "int", "SMALLINT": "smallint", "CHAR": "char", "VARCHAR": "varchar", "NUMERIC": "numeric", "DATE": "datetime",
		"TIMESTAMP": "datetime2", "TEXT": "text"}
	var all []catalogRow
	for _, table := range createTable.FindAllStringSubmatch(sandbox.PostgresSchema(), -1) {
		for _, found := range createColumn.FindAllStringSubmatch(table[2], -1) {
			row := catalogRow{table: table[1], column: found[1], kind: kinds[found[2]]}
			row.nullable = !strings.Contains(found[5], "NOT NULL") && !strings.Contains(found[5], "PRIMARY KEY")
			row.filledByServer = strings.Contains(found[5], "DEFAULT") // identity too
			first, _ := strconv.ParseInt(found[3], 10, 64)
			if row.places, _ = strconv.ParseInt(found[4], 10, 64); row.kind != "numeric" {
				row.size = first
			}
			if row.kind == "text" {
				row.size = 16 // of the pointer in the row, which is all that the catalogue tells of such a column
			}
			all = append(all, row)
		}
	}
	require.Greater(t, len(all), 300)
	return all
}

type catalogRows struct {
	rows []catalogRow
	next int
}

func (*catalogRows) Columns() []string {
	return []string{"table_name", "column_name", "data_type", "size", "places", "nullable", "filled"}
}
func (*catalogRows) Close() error { return nil }

func (r *catalogRows) Next(values []driver.Value) error {
	if r.next == len(r.rows) {
		return io.EOF
	}
	row := r.rows[r.next]
	r.next++
	for i, value := range []driver.Value{row.table, row.column, row.kind, row.size, row.places, row.nullable, bit(row.filledByServer)} {
		values[i] = value
	}
	return nil
}

func bit(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
