package sagepro

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/shopspring/decimal"
)

// postgres is PostgreSQL 13 or newer.
type postgres struct{}

func (postgres) quote(name string) string {
	if plainName(name) {
		return name
	}
	return pq.QuoteIdentifier(name)
}

func (postgres) bind() int                     { return sqlx.DOLLAR }
func (postgres) lockTable() string             { return "" }
func (postgres) lockRows() string              { return " FOR UPDATE" }
func (postgres) top(string) string             { return "" }
func (postgres) limit(rows string) string      { return " LIMIT " + rows }
func (postgres) isolation() sql.IsolationLevel { return sql.LevelReadCommitted }

func (postgres) session(wait time.Duration) string {
	return fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())
}

func (postgres) increment(table, column, where string) string {
	return fmt.Sprintf("UPDATE %s SET %s = %s + 1 WHERE %s RETURNING %s - 1", table, column, column, where, column)
}

func (postgres) insertAbsent(table string, columns []string, _ int) (string, bool) {
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO NOTHING", table, strings.Join(columns, ", "), marks(len(columns))), false
}

func (postgres) clock() string {
	return "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
}

func (postgres) columns(schema []string) (string, []any) {
	owner := ""
	if len(schema) > 0 {
		owner = schema[len(schema)-1]
	}
	return `SELECT table_name, column_name, data_type, COALESCE(character_maximum_length, 0) AS size, COALESCE(numeric_scale, -1) AS places,
 CASE WHEN is_nullable = 'YES' THEN 1 ELSE 0 END AS nullable,
 CASE WHEN column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS' THEN 1 ELSE 0 END AS filled
 FROM information_schema.columns WHERE table_schema = COALESCE(NULLIF(CAST(? AS TEXT), ''), current_schema())`, []any{owner}
}

func (postgres) kindOf(databaseType string) kind {
	switch strings.ToLower(databaseType) {
	case "numeric", "money", "double precision", "real":
		return kindDecimal
	case "integer", "bigint", "smallint":
		return kindInteger
	case "boolean":
		return kindFlag
	case "date":
		return kindDate
	case "timestamp without time zone", "timestamp with time zone":
		return kindInstant
	default:
		return kindText
	}
}

func (postgres) narrow(string) bool { return false }
func (postgres) untyped() bool      { return false }
func (postgres) countsAlone() bool  { return true }

func (postgres) text(value string) any             { return value }
func (postgres) decimal(value decimal.Decimal) any { return value.String() }
func (postgres) date(day string) any               { return day }
func (postgres) instant(at time.Time) any          { return at.UTC().Format(clockLayout) }
func (postgres) blankDate() string                 { return "1900-01-01" }

func (postgres) failure(err error) failure {
	if got := pq.As(err); got != nil {
		if got.Code == pqerror.CheckViolation && got.Constraint == "" { // raised by a trigger, not found by a constraint
			return failedRule
		}
		return stateFailure(string(got.Code))
	}
	if state, known := odbcState(err); known {
		return stateFailure(state)
	}
	return failedOtherwise
}

func (postgres) said(err error) string {
	if got := pq.As(err); got != nil {
		return got.Message
	}
	return err.Error()
}

// stateFailure reads an SQLSTATE.
func stateFailure(state string) failure {
	switch state {
	case "40P01", "40001":
		return failedDeadlock
	case "55P03":
		return failedLock
	case "55006", "57P03", "25006":
		return failedExclusive
	case "42501":
		return failedLogin
	case "23505":
		return failedUnique
	case "23502", "23514":
		return failedValue
	case "P0001", "23503":
		return failedRule
	case "42P01", "42703", "3F000":
		return failedSchema
	case "57014", "57P01", "57P02", "57P05", "HYT00", "HYT01":
		return failedConnection
	}
	if len(state) != 5 {
		return failedOtherwise
	}
	switch state[:2] {
	case "08", "53", "58": // 53: out of memory, disk or connections for now; 58: its machine fails it
		return failedConnection
	case "22":
		return failedValue
	case "28", "3D":
		return failedLogin
	default:
		return failedOtherwise
	}
}

func (postgres) types() sideTypes {
	return sideTypes{money: "NUMERIC(19,4)", text: "TEXT", instant: "TIMESTAMP", date: "DATE", bigint: "BIGINT",
		table: "CREATE TABLE IF NOT EXISTS %[1]s (%[2]s)", index: "CREATE INDEX IF NOT EXISTS %[1]s ON %[2]s (%[3]s)"}
}
