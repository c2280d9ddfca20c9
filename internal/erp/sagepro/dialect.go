package sagepro

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
)

// Dialect is the SQL that a database speaks.
type Dialect string

// The dialects. SQLServer is what sites run; Postgres and SQLite stand for it in tests and in the sandbox.
const (
	SQLServer Dialect = "sqlserver"
	Postgres  Dialect = "postgres"
	SQLite    Dialect = "sqlite"
)

// dialect is all in which the databases differ. One file holds each.
type dialect interface {
	// quote writes a name, in quotes where it needs them.
	quote(name string) string
	// bind is the placeholder style of the dialect's own driver, as sqlx counts them.
	bind() int
	// lockTable stands behind a table's name and lockRows at the end of a query: together they lock the rows that it gives until the
	// transaction ends.
	lockTable() string
	lockRows() string
	// top stands behind SELECT and limit at the end of a query: together they bound the rows that it gives.
	top(rows string) string
	limit(rows string) string
	// session is sent first in a transaction, without arguments: a failed statement ends it, a lock is waited for so long.
	session(wait time.Duration) string
	// isolation of a transaction: a statement sees what was committed before it began.
	isolation() sql.IsolationLevel
	// increment raises a column by one in the rows of a condition and gives its former value.
	increment(table, column, where string) string
	// insertAbsent inserts a row of the columns unless there is one with the same first keys of them. twice tells that the keys' values follow
	// once more as arguments.
	insertAbsent(table string, columns []string, keys int) (query string, twice bool)
	// countsAlone tells that a statement counts its own rows, and not those that a trigger of the site has touched besides.
	countsAlone() bool
	// clock asks for the database's time, in UTC, as text to the microsecond.
	clock() string
	// columns asks for the columns of all tables of a schema (database and schema, or either, or none: the connection's own).
	columns(schema []string) (query string, arguments []any)
	// kindOf tells what a database's type holds.
	kindOf(databaseType string) kind
	// narrow tells that a type holds the characters of Windows-1252 alone, and question marks in place of all others.
	narrow(databaseType string) bool
	// untyped tells that a text column may as well hold numbers, because the database has no type for them.
	untyped() bool
	// text, decimal, date and instant write values so that any type of the site takes them.
	text(value string) any
	decimal(value decimal.Decimal) any
	date(day string) any
	instant(at time.Time) any
	// blankDate fills a date that must not be NULL.
	blankDate() string
	// failure classes an error of the driver; nil errors and those it does not know are failedOtherwise.
	failure(err error) failure
	// said is the database's own sentence of an error of its driver.
	said(err error) string
	// types of side tables.
	types() sideTypes
}

func dialectOf(name Dialect) (dialect, error) {
	switch name {
	case SQLServer:
		return sqlServer{}, nil
	case Postgres:
		return postgres{}, nil
	case SQLite:
		return lite{}, nil
	default:
		return nil, fmt.Errorf("configure sagepro: unknown SQL dialect %q, want sqlserver, postgres or sqlite", name)
	}
}

// failure is what an error of a database means.
type failure int

const (
	failedOtherwise  failure = iota
	failedConnection         // no connection, or it broke
	failedLogin              // refused, or lacking a right
	failedDeadlock           // broken off for the sake of another transaction
	failedLock               // waited too long for a row
	failedExclusive          // the whole database or table is taken: period close, reindex, restore
	failedUnique             // a row of this key is there
	failedValue              // a value does not fit its column
	failedSchema             // a table or column is not there
	failedRule               // a rule that the site has put into its database says no
)

// brokenConnection fits what database/sql and drivers say of connections that are gone, whatever the dialect.
func brokenConnection(err error) bool {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) || errors.As(err, &certificate) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// overODBC tells of a database that is reached through ODBC, whatever it is. That driver has rules of its own: one style of placeholders for all
// databases, no wishes about isolation, and decimals as floats unless they are asked for as texts.
func overODBC(db *sqlx.DB) bool { return db.DriverName() == driverODBC }

// driverODBC is the name of the driver for ODBC; a program has it that is built with the tag odbc.
const driverODBC = "odbc"

var errNoODBC = errors.New("built without the tag odbc")

// bindOf gives the placeholders of a driver.
func bindOf(db *sqlx.DB, d dialect) int {
	if overODBC(db) {
		return sqlx.QUESTION
	}
	return d.bind()
}

// isolationOf gives what a transaction is begun with; over ODBC it has what the server gives unasked, which is the same.
func isolationOf(db *sqlx.DB, d dialect) sql.IsolationLevel {
	if overODBC(db) {
		return sql.LevelDefault
	}
	return d.isolation()
}

// reserved are words that one of the databases reads as its own, and that columns of Sage Pro or a site are called by.
var reserved = []string{"add", "all", "and", "any", "as", "asc", "authorization", "backup", "begin", "between", "bulk", "by", "case", "check", "close",
	"collate", "column", "commit", "constraint", "contains", "create", "cross", "current", "cursor", "database", "date", "default", "delete", "desc",
	"distinct", "drop", "else", "end", "escape", "exists", "external", "file", "for", "foreign", "from", "full", "function", "go", "grant", "group",
	"having", "if", "in", "index", "inner", "insert", "into", "is", "join", "key", "left", "like", "limit", "lineno", "merge", "national", "not",
	"null", "of", "off", "offset", "on", "open", "option", "or", "order", "outer", "over", "plan", "primary", "print", "proc", "public", "read",
	"references", "return", "right", "row", "rule", "save", "schema", "select", "session", "set", "some", "source", "table", "then", "time", "to",
	"top", "transaction", "trigger", "type", "union", "unique", "update", "use", "user", "using", "values", "view", "when", "where", "while", "with"}

// plainName tells whether a name needs no quotes.
func plainName(name string) bool {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r == '_'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != "" && !slices.Contains(reserved, name)
}

// Open opens a database by driver and DSN, with the pool of a worker that shares an ERP with its people. Connections are given up sooner than
// servers do it. For SQLite the DSN may be the path of a file alone. Errors never hold the DSN, which has a password in it.
func Open(driverName, dsn string) (*sqlx.DB, error) {
	open := sql.Open
	switch driverName {
	case "sqlite":
		dsn = liteDSN(dsn)
	case driverODBC:
		open = func(_, dsn string) (*sql.DB, error) { return openODBC(dsn) }
	}
	db, err := open(driverName, dsn)
	if err != nil {
		if errors.Is(err, errNoODBC) || strings.Contains(err.Error(), "unknown driver") {
			return nil, fmt.Errorf("open Sage Pro: there is no driver %q in this program", driverName)
		}
		return nil, errors.New("open Sage Pro: the data source name can't be read")
	}
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(connectionIdle)
	db.SetConnMaxLifetime(connectionLifetime)
	return sqlx.NewDb(db, driverName), nil
}

const (
	maxConnections     = 8
	connectionIdle     = time.Minute
	connectionLifetime = 30 * time.Minute
)

// clockLayout is how databases are asked for their time.
const clockLayout = "2006-01-02 15:04:05.000000"

// databaseTime asks for the database's clock.
func databaseTime(ctx context.Context, q querier) (time.Time, error) {
	var text string
	if err := q.get(ctx, &text, q.dialect.clock()); err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(clockLayout, strings.TrimSpace(text))
	if err != nil {
		return time.Time{}, fmt.Errorf("the database's clock: %w", err)
	}
	return at, nil
}
