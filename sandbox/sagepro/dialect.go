package sagepro

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"
)

// dialect is all that differs between the two databases.
type dialect interface {
	name() string // as sqlx knows the placeholders
	schema() string
	// plain connects without faults, driver with them.
	plain() (driver.Connector, error)
	driver() driver.Driver
	// connect opens a connection for a client; its link can be cut, where the database has one.
	connect(ctx context.Context) (driver.Conn, link, error)
	// alone keeps other processes from making the schema at the same time, until the transaction ends.
	alone(ctx context.Context, tx *sqlx.Tx) error
	// empty gives the statements that empty tables.
	empty(tables []string) []string
	// locking is what a SELECT ends with that locks its rows.
	locking() string
	// snapshot is the isolation under which a transaction reads all tables as of one moment.
	snapshot() sql.IsolationLevel
	// reserve takes the next id_col of a table, so that whoever comes next gets one behind it.
	reserve(ctx context.Context, tx *sqlx.Tx, table string) (int64, error)
	// fail answers a statement with the database's own error for a fault.
	fail(ctx context.Context, conn driver.Conn, mode Mode) error
	close() error
}

func openDialect(name, dsn string) (dialect, error) {
	if dsn == "" {
		return nil, errors.New("the Sage Pro sandbox needs the DSN of its database")
	}
	switch name {
	case "sqlite":
		return openSQLite(dsn)
	case "postgres":
		connector, err := pq.NewConnector(dsn)
		if err != nil {
			return nil, errors.New("the DSN is none that lib/pq takes") // without its text: it may hold a password
		}
		return &postgresDialect{dsn: dsn, connector: connector}, nil
	default:
		return nil, fmt.Errorf("dialect %q is none of sqlite, postgres", name)
	}
}

// sqliteDialect keeps the company in a file.
type sqliteDialect struct {
	connector driver.Connector
	native    map[Mode]error // see nativeErrors
}

const sqliteBusyTimeoutMS = "10000"

func openSQLite(dsn string) (*sqliteDialect, error) {
	if strings.Contains(dsn, ":memory:") || strings.Contains(dsn, "mode=memory") {
		return nil, errors.New("the Sage Pro sandbox needs a file: each connection has a memory of its own")
	}
	full, err := sqliteDSN(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(full)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	native, err := nativeErrors()
	if err != nil {
		return nil, fmt.Errorf("learn SQLite's own errors: %w", err)
	}
	return &sqliteDialect{connector: connector, native: native}, nil
}

// sqliteDSN adds what the DSN leaves open: transactions take the write lock when they begin and wait for it, and a commit is on the disk.
func sqliteDSN(dsn string) (string, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New("the DSN has a query that can't be read")
	}
	if !values.Has("_txlock") {
		values.Set("_txlock", "immediate")
	}
	pragmas := strings.Join(values["_pragma"], " ")
	if !values.Has("_busy_timeout") && !values.Has("_timeout") && !strings.Contains(pragmas, "busy_timeout") {
		values.Set("_busy_timeout", sqliteBusyTimeoutMS)
	}
	values["_pragma"] = append(values["_pragma"], "journal_mode(WAL)")
	if !strings.Contains(pragmas, "synchronous") {
		values["_pragma"] = append(values["_pragma"], "synchronous(FULL)")
	}
	if !strings.HasPrefix(dsn, "file:") {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	return "file:" + path + "?" + values.Encode(), nil
}

func (*sqliteDialect) name() string                       { return "sqlite" }
func (*sqliteDialect) schema() string                     { return withHistory(schemaSQLite) }
func (d *sqliteDialect) plain() (driver.Connector, error) { return d.connector, nil }
func (d *sqliteDialect) driver() driver.Driver            { return d.connector.Driver() }
func (*sqliteDialect) locking() string                    { return "" } // the transaction has the write lock already
func (*sqliteDialect) snapshot() sql.IsolationLevel       { return sql.LevelDefault }
func (*sqliteDialect) close() error                       { return nil }

func (d *sqliteDialect) connect(ctx context.Context) (driver.Conn, link, error) {
	conn, err := d.connector.Connect(ctx)
	return conn, nil, err
}

func (*sqliteDialect) alone(context.Context, *sqlx.Tx) error { return nil } // the transaction has the write lock already

func (*sqliteDialect) empty(tables []string) []string {
	statements := []string{"DELETE FROM sqlite_sequence"}
	for _, t := range tables {
		statements = append(statements, "DELETE FROM "+t)
	}
	return statements
}

func (*sqliteDialect) reserve(ctx context.Context, tx *sqlx.Tx, table string) (int64, error) {
	var id int64
	err := tx.GetContext(ctx, &id, "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq", table)
	if errors.Is(err, sql.ErrNoRows) { // nothing was ever put into the table
		_, err = tx.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, 1)", table)
		id = 1
	}
	return id, err
}

func (d *sqliteDialect) fail(_ context.Context, _ driver.Conn, mode Mode) error {
	return d.native[mode]
}

// nativeErrors makes SQLite give each error that a fault answers with: the driver has no other way to get one.
func nativeErrors() (map[Mode]error, error) {
	dir, err := os.MkdirTemp("", "sagepro-errors-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: filepath.Join(dir, "errors.db")}).EscapedPath() + "?_pragma=journal_mode(WAL)&_busy_timeout=0")
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (a); INSERT INTO t VALUES (7), (8), (9)"); err != nil {
		return nil, err
	}
	native := map[Mode]error{}
	for mode, provoke := range map[Mode]func(context.Context, *sql.DB) error{ModeDeadlock: snapshotError, ModeLocked: busyError, ModeBusy: lockedError} {
		err := provoke(ctx, db)
		var own *sqlite.Error
		if !errors.As(err, &own) {
			return nil, fmt.Errorf("%s: got %w", mode, errors.Join(errors.New("no error of SQLite"), err))
		}
		native[mode] = own
	}
	return native, nil
}

// snapshotError is SQLITE_BUSY_SNAPSHOT: of two transactions that read and then write, one can't go on.
func snapshotError(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var count int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&count); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO t VALUES (1)"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO t VALUES (2)")
	return asProvoked(err)
}

// busyError is SQLITE_BUSY: another connection has the write lock.
func busyError(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (3)"); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO t VALUES (4)")
	return asProvoked(err)
}

// lockedError is SQLITE_LOCKED: a table is in use and can't be changed.
func lockedError(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	rows, err := conn.QueryContext(ctx, "SELECT a FROM t")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	rows.Next()
	_, err = conn.ExecContext(ctx, "DROP TABLE t")
	return errors.Join(asProvoked(err), rows.Err())
}

// asProvoked is an error that had to come.
func asProvoked(err error) error {
	if err == nil {
		return errors.New("SQLite did not refuse")
	}
	return err
}

// postgresDialect keeps the company in a database of its own.
type postgresDialect struct {
	dsn       string
	connector *pq.Connector
}

// schemaLock is the advisory lock under which processes make the schema.
const schemaLock = 0x5a6e9

func (*postgresDialect) name() string                       { return "postgres" }
func (*postgresDialect) schema() string                     { return PostgresSchema() }
func (d *postgresDialect) plain() (driver.Connector, error) { return d.connector, nil }
func (d *postgresDialect) driver() driver.Driver            { return d.connector.Driver() }
func (*postgresDialect) locking() string                    { return " FOR UPDATE" }
func (*postgresDialect) snapshot() sql.IsolationLevel       { return sql.LevelRepeatableRead }
func (*postgresDialect) close() error                       { return nil }

// connect dials through a link of its own, so that a fault cuts what the driver really talks over.
func (d *postgresDialect) connect(ctx context.Context) (driver.Conn, link, error) {
	connector, err := pq.NewConnector(d.dsn)
	if err != nil {
		return nil, nil, err
	}
	dialer := &cutDialer{}
	connector.Dialer(dialer)
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	return conn, dialer.connected(), nil
}

func (*postgresDialect) alone(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock)
	return err
}

func (*postgresDialect) empty(tables []string) []string {
	return []string{"TRUNCATE " + strings.Join(tables, ", ") + " RESTART IDENTITY"}
}

func (*postgresDialect) reserve(ctx context.Context, tx *sqlx.Tx, table string) (int64, error) {
	var id int64
	err := tx.GetContext(ctx, &id, "SELECT nextval(pg_get_serial_sequence($1, 'id_col'))", table)
	return id, err
}

// fail has the server itself raise the error, so that it also does to the transaction what such an error does.
func (*postgresDialect) fail(ctx context.Context, conn driver.Conn, mode Mode) error {
	raise := map[Mode]string{
		ModeDeadlock: "'deadlock detected' USING ERRCODE = '40P01'",
		ModeLocked:   "'canceling statement due to lock timeout' USING ERRCODE = '55P03'",
		ModeBusy:     "'database is being accessed by other users' USING ERRCODE = '55006'",
	}[mode]
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return driver.ErrSkip
	}
	_, err := execer.ExecContext(ctx, "DO $$ BEGIN RAISE EXCEPTION "+raise+"; END $$", nil)
	return asProvoked(err)
}
