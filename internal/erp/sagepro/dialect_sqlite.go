package sagepro

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lite is SQLite 3.35 or newer. It has one writer at a time, neither lengths nor decimals, and does not fill up CHAR: money and quantities are
// texts, and keys are written as long as the layout says.
type lite struct{}

// quote uses brackets: a name in double quotes that does not exist would be a text, silently.
func (lite) quote(name string) string {
	if plainName(strings.ToLower(name)) {
		return name
	}
	return "[" + name + "]"
}

func (lite) bind() int                { return sqlx.QUESTION }
func (lite) lockTable() string        { return "" }
func (lite) lockRows() string         { return "" }
func (lite) top(string) string        { return "" }
func (lite) limit(rows string) string { return " LIMIT " + rows }

// isolation is SQLite's own: a transaction writes first of all, so that it holds the one write lock before it reads, as BEGIN IMMEDIATE would
// have it.
func (lite) isolation() sql.IsolationLevel { return sql.LevelDefault }

func (lite) session(wait time.Duration) string {
	return fmt.Sprintf("PRAGMA busy_timeout = %d", wait.Milliseconds())
}

func (lite) increment(table, column, where string) string {
	return fmt.Sprintf("UPDATE %s SET %s = %s + 1 WHERE %s RETURNING %s - 1", table, column, column, where, column)
}

func (lite) insertAbsent(table string, columns []string, _ int) (string, bool) {
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO NOTHING", table, strings.Join(columns, ", "), marks(len(columns))), false
}

func (lite) clock() string { return "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'" }

// columns leaves it to the declared type, such as VARCHAR(20) or NUMERIC(9,2), to tell lengths and places.
func (lite) columns([]string) (string, []any) {
	return `SELECT m.name AS table_name, p.name AS column_name, p.type AS data_type, 0 AS size, -1 AS places, CASE WHEN p."notnull" = 0 THEN 1 ELSE 0 END AS nullable,
 CASE WHEN p.dflt_value IS NOT NULL OR p.pk = 1 AND upper(p.type) = 'INTEGER' THEN 1 ELSE 0 END AS filled
 FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type IN ('table', 'view')`, nil
}

func (lite) kindOf(databaseType string) kind {
	switch name := strings.ToUpper(databaseType); {
	case strings.Contains(name, "INT"):
		return kindInteger
	case strings.HasPrefix(name, "NUM"), strings.HasPrefix(name, "DEC"), strings.HasPrefix(name, "REAL"), strings.HasPrefix(name, "DOUBLE"), strings.HasPrefix(name, "FLOAT"):
		return kindDecimal
	case name == "DATE":
		return kindDate
	default:
		return kindText
	}
}

func (lite) narrow(string) bool { return false }
func (lite) untyped() bool      { return true }
func (lite) countsAlone() bool  { return true }

func (lite) text(value string) any             { return value }
func (lite) decimal(value decimal.Decimal) any { return value.String() }
func (lite) date(day string) any               { return day }
func (lite) instant(at time.Time) any          { return at.UTC().Format(clockLayout) }
func (lite) blankDate() string                 { return "1900-01-01" }

func (lite) failure(err error) failure {
	var got *sqlite.Error
	if !errors.As(err, &got) {
		return failedOtherwise
	}
	switch got.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return failedUnique
	case sqlite3.SQLITE_CONSTRAINT_TRIGGER, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return failedRule
	case sqlite3.SQLITE_BUSY_SNAPSHOT:
		return failedDeadlock // what was read is old by now: whoever reads and then writes has to begin anew
	}
	switch got.Code() & 0xff {
	case sqlite3.SQLITE_BUSY:
		return failedLock
	case sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_PROTOCOL:
		return failedExclusive
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOTADB:
		return failedLogin
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL:
		return failedConnection
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return failedValue
	case sqlite3.SQLITE_ERROR:
		if text := got.Error(); strings.Contains(text, "no such table") || strings.Contains(text, "no such column") || strings.Contains(text, "has no column") {
			return failedSchema
		}
	}
	return failedOtherwise
}

func (lite) said(err error) string { return err.Error() }

// liteDSN gives a connection of a file what this adapter counts on: BEGIN takes the write lock, and who finds it taken waits. A DSN with
// parameters of its own is left alone.
func liteDSN(dsn string) string {
	if strings.Contains(dsn, "?") || dsn == ":memory:" {
		return dsn
	}
	path := strings.TrimPrefix(dsn, "file:")
	query := url.Values{"_txlock": {"immediate"}, "_busy_timeout": {"5000"}, "_pragma": {"journal_mode(WAL)", "synchronous(FULL)"}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}

func (lite) types() sideTypes {
	return sideTypes{money: "TEXT", text: "TEXT", instant: "TEXT", date: "TEXT", bigint: "INTEGER",
		table: "CREATE TABLE IF NOT EXISTS %[1]s (%[2]s)", index: "CREATE INDEX IF NOT EXISTS %[1]s ON %[2]s (%[3]s)"}
}
