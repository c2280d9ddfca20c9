package sagepro

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/shopspring/decimal"
)

// sqlServer is Microsoft SQL Server, 2012 or newer.
type sqlServer struct{}

func (sqlServer) quote(name string) string {
	if plainName(strings.ToLower(name)) {
		return name // an upper-case name needs no quotes here
	}
	return "[" + name + "]"
}

func (sqlServer) bind() int { return sqlx.AT }

// UPDLOCK keeps what was read from everybody else who means to write it; ROWLOCK keeps the lock from the whole page.
func (sqlServer) lockTable() string             { return " WITH (UPDLOCK, ROWLOCK)" }
func (sqlServer) lockRows() string              { return "" }
func (sqlServer) top(rows string) string        { return "TOP (" + rows + ") " }
func (sqlServer) limit(string) string           { return "" }
func (sqlServer) isolation() sql.IsolationLevel { return sql.LevelReadCommitted }

// session has no arguments: with them it would run in a scope of its own, at whose end its settings would be gone. XACT_ABORT makes every
// failed statement roll the transaction back. A server may be set to count no rows unasked; here they are what tells a row that is made from one that was
// there.
func (sqlServer) session(wait time.Duration) string {
	return fmt.Sprintf("SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT %d", wait.Milliseconds())
}

func (sqlServer) increment(table, column, where string) string {
	return fmt.Sprintf("UPDATE %s SET %s = %s + 1 OUTPUT deleted.%s WHERE %s", table, column, column, column, where)
}

// insertAbsent holds the key's range from the look to the end of the transaction, so that of two at once one waits and then finds the row: a
// unique violation would have rolled everything back.
func (sqlServer) insertAbsent(table string, columns []string, keys int) (string, bool) {
	conditions := make([]string, 0, keys)
	for _, key := range columns[:keys] {
		conditions = append(conditions, key+" = ?")
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM %s WITH (UPDLOCK, HOLDLOCK) WHERE %s)",
		table, strings.Join(columns, ", "), marks(len(columns)), table, strings.Join(conditions, " AND ")), true
}

func (sqlServer) clock() string {
	return "SELECT CONVERT(VARCHAR(26), CAST(SYSUTCDATETIME() AS DATETIME2(6)), 121)"
}

// columns reads the catalogue views, not INFORMATION_SCHEMA, which does not tell of identity columns in another database.
func (d sqlServer) columns(schema []string) (string, []any) {
	database, owner := "", ""
	switch len(schema) {
	case 1:
		owner = schema[0]
	case 2:
		database, owner = d.quote(schema[0])+".", schema[1]
	}
	return fmt.Sprintf(`SELECT o.name AS table_name, c.name AS column_name, t.name AS data_type,
 CASE WHEN c.max_length < 0 THEN 0 WHEN t.name IN ('nchar', 'nvarchar') THEN c.max_length / 2 ELSE c.max_length END AS size,
 CASE WHEN t.name IN ('float', 'real') THEN -1 ELSE c.scale END AS places, c.is_nullable AS nullable,
 CASE WHEN c.default_object_id <> 0 OR c.is_identity = 1 OR c.is_computed = 1 OR t.name = 'timestamp' THEN 1 ELSE 0 END AS filled
 FROM %[1]ssys.columns c JOIN %[1]ssys.objects o ON o.object_id = c.object_id AND o.type IN ('U', 'V')
 JOIN %[1]ssys.schemas s ON s.schema_id = o.schema_id JOIN %[1]ssys.types t ON t.user_type_id = c.system_type_id
 WHERE s.name = COALESCE(NULLIF(?, ''), SCHEMA_NAME())`, database), []any{owner}
}

func (sqlServer) kindOf(databaseType string) kind {
	switch strings.ToLower(databaseType) {
	case "money", "smallmoney", "numeric", "decimal", "float", "real":
		return kindDecimal
	case "int", "bigint", "smallint", "tinyint":
		return kindInteger
	case "bit":
		return kindFlag
	case "date", "datetime", "smalldatetime", "datetime2":
		return kindDate
	default:
		return kindText
	}
}

func (sqlServer) narrow(databaseType string) bool {
	return slices.Contains([]string{"char", "varchar", "text"}, strings.ToLower(databaseType))
}

func (sqlServer) untyped() bool     { return false }
func (sqlServer) countsAlone() bool { return false }

// text sends what is plain ASCII as VARCHAR: NVARCHAR, which Go's strings travel as, would make the server convert the column instead of the
// value and read every row where an index would do.
func (sqlServer) text(value string) any {
	for i := range len(value) {
		if value[i] >= 0x80 {
			return value
		}
	}
	return mssql.VarChar(value)
}

// decimal sends what MONEY holds as MONEY: from a text the server need not take it for such a column. What is finer, as a rate of exchange, goes
// as text, which DECIMAL takes.
func (sqlServer) decimal(value decimal.Decimal) any {
	if value.Equal(value.Truncate(moneyPlaces)) && value.Abs().LessThan(decimal.New(9, mostDigits-1)) {
		return mssql.Money[decimal.Decimal]{Decimal: value}
	}
	return value.String()
}

// moneyPlaces are the decimals of MONEY.
const moneyPlaces = 4

// date has no dashes: with them DATETIME reads it by the language of the login.
func (sqlServer) date(day string) any      { return strings.ReplaceAll(day, "-", "") }
func (sqlServer) instant(at time.Time) any { return at.UTC().Format("2006-01-02T15:04:05.000000") }
func (sqlServer) blankDate() string        { return "1900-01-01" }

func (sqlServer) failure(err error) failure {
	var got mssql.Error
	var stream mssql.StreamError
	switch {
	case errors.As(err, &got):
	case errors.As(err, &stream), strings.HasPrefix(err.Error(), noInstance):
		return failedConnection
	default:
		return odbcFailure(err)
	}
	for _, each := range append(slices.Clone(got.All), got) { // what came first is why; "the login failed" or "the statement has been terminated" comes last
		if known := sqlServerFailure(each.Number); known != failedOtherwise {
			return known
		}
	}
	if got.Class >= 20 { // the server ends the connection
		return failedConnection
	}
	return failedOtherwise
}

// noInstance is how the driver's sentence begins where a host does not tell the port of an instance: the host, or the instance, is down.
const noInstance = "no instance matching "

// odbcFailure reads SQL Server's own number of an ODBC driver's error, and the state where the driver itself has failed.
func odbcFailure(err error) failure {
	if number, told := odbcNative(err); told {
		if known := sqlServerFailure(number); known != failedOtherwise {
			return known
		}
	}
	if state, told := odbcState(err); told {
		return stateFailure(state)
	}
	return failedOtherwise
}

func sqlServerFailure(number int32) failure {
	switch number {
	case 1205:
		return failedDeadlock
	case 1222, -2:
		return failedLock
	case 921, 922, 924, 927, 942, 945, 952, 976, 983, 3906, 4060, 5061, 5064, 18401, 18461: // recovering, single user, restoring, offline, in transition, secondary,
		// read-only, not to be opened (which is all that a login is told of most of these), being upgraded
		return failedExclusive
	case 229, 230, 262, 297, 300, 916, 18452, 18456, 18470, 18486, 18487, 18488:
		return failedLogin
	case 2601, 2627:
		return failedUnique
	case 220, 232, 241, 242, 245, 295, 515, 2628, 8114, 8115, 8152:
		return failedValue
	case 207, 208, 911, 2812:
		return failedSchema
	case 547:
		return failedRule
	case 233, 596, 6005, 10053, 10054, 10060, 40613, 17142, 17187, 17809: // cut off, shutting down, not available, paused, not ready
		return failedConnection
	case 701, 802, 1101, 1105, 1204, 8645, 8651, 9001, 9002, 10928, 10929, 40197, 40501: // out of memory, disk, locks or log for now
		return failedConnection
	}
	if number >= firstOwnError {
		return failedRule
	}
	return failedOtherwise
}

// firstOwnError is the first number of errors that a site's own triggers and procedures raise.
const firstOwnError = 50000

func (sqlServer) said(err error) string {
	var got mssql.Error
	if errors.As(err, &got) {
		return got.Message
	}
	return err.Error()
}

func (sqlServer) types() sideTypes {
	return sideTypes{money: "NUMERIC(19,4)", text: "VARCHAR(MAX)", instant: "DATETIME2(6)", date: "DATE", bigint: "BIGINT",
		exact: " COLLATE Latin1_General_BIN2",
		table: "IF OBJECT_ID(N'%[1]s', N'U') IS NULL CREATE TABLE %[1]s (%[2]s)",
		index: "IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'%[1]s' AND object_id = OBJECT_ID(N'%[2]s')) CREATE INDEX %[1]s ON %[2]s (%[3]s)"}
}
