package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is the little in which the two databases differ.
type dialect struct {
	name      string // as sqlx and goose know it
	forUpdate string // locks the selected rows; SQLite has the write lock already
	skip      string // locks the selected rows, passing over those that others hold
	binary    string // compares texts byte by byte; SQLite does so by itself
}

var (
	sqliteDialect   = dialect{name: "sqlite3"}
	postgresDialect = dialect{name: "postgres", forUpdate: " FOR UPDATE", skip: " FOR UPDATE SKIP LOCKED", binary: ` COLLATE "C"`}
)

// database is one database: a handle that writes and a handle that reads, the same one on PostgreSQL. SQLite has one writer
// at a time: all writes of the process queue for one connection, so that none of them ever sees SQLITE_BUSY; those of
// other processes wait for the busy time-out.
type database struct {
	dialect dialect
	writer  *sqlx.DB
	reader  *sqlx.DB
}

const (
	sqliteBusyTimeout  = 30 * time.Second
	postgresConnectMax = 5 * time.Second
	connectionLifetime = 30 * time.Minute
	transactionTries   = 4
)

// connect opens the database of a DSN: "sqlite:/path/file.db" or "postgres://...". create allows to make the SQLite file.
func connect(dsn string, create bool, maxConnections int) (*database, error) {
	switch scheme, rest, _ := strings.Cut(dsn, ":"); scheme {
	case "sqlite":
		return connectSQLite(rest, create)
	case "postgres", "postgresql":
		return connectPostgres(dsn, maxConnections)
	default:
		return nil, errors.New(`journal DSN: want "sqlite:/path/file.db" or "postgres://..."`)
	}
}

func connectSQLite(path string, create bool) (*database, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("journal DSN: SQLite needs the path of a file, a journal in memory is none")
	}
	if err := prepareFile(path, create); err != nil {
		return nil, err
	}
	writer, err := openSQLite(path, url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)"}})
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	reader, err := openSQLite(path, url.Values{"_query_only": {"1"}})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	reader.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))
	return &database{dialect: sqliteDialect, writer: writer, reader: reader}, nil
}

// openSQLite opens a handle with what both of them need. synchronous=FULL makes a commit durable in WAL mode: an intent that
// a power cut takes back would be a charge nobody knows of.
func openSQLite(path string, query url.Values) (*sqlx.DB, error) {
	query.Set("_busy_timeout", fmt.Sprint(sqliteBusyTimeout.Milliseconds()))
	query["_pragma"] = append(query["_pragma"], "synchronous(FULL)", "foreign_keys(1)")
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	connector, err := sqlite.NewConnector(name.String())
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return sqlx.NewDb(sql.OpenDB(connector), sqliteDialect.name), nil
}

// prepareFile makes the file, readable by its owner only, or tells that there is none.
func prepareFile(path string, create bool) error {
	if !create {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: there is no file %s", ErrNotSetUp, path)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	return file.Close()
}

func connectPostgres(dsn string, maxConnections int) (*database, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, errors.New("journal DSN: not a PostgreSQL URL") // the cause may repeat the password
	}
	config.BinaryParameters = true // one round-trip per statement, without prepared statements, which poolers do not like
	// Whatever the server's default is, though not what the DSN says: an intent must be on the disk before its request is
	// sent. A pooler between must let the parameter pass.
	session := map[string]string{"synchronous_commit": "on"}
	maps.Copy(session, config.Runtime)
	config.Runtime = session
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = postgresConnectMax
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, errors.New("journal DSN: not a PostgreSQL URL")
	}
	if maxConnections <= 0 {
		maxConnections = 20
	}
	db := sqlx.NewDb(sql.OpenDB(connector), postgresDialect.name)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxLifetime(connectionLifetime)
	return &database{dialect: postgresDialect, writer: db, reader: db}, nil
}

func (d *database) close() error {
	if d.reader == d.writer {
		return d.writer.Close()
	}
	return errors.Join(d.reader.Close(), d.writer.Close())
}

// queryer is what a transaction and a handle have in common: the queries of this package run on either.
type queryer struct {
	sqlx.ExtContext
	dialect dialect
}

func (d *database) read() queryer  { return queryer{d.reader, d.dialect} }
func (d *database) write() queryer { return queryer{d.writer, d.dialect} }

// get scans one row into dest; sql.ErrNoRows if there is none.
func (q queryer) get(ctx context.Context, dest any, query string, args ...any) error {
	return sqlx.GetContext(ctx, q, dest, q.Rebind(query), args...)
}

// list scans all rows into the slice that dest points to.
func (q queryer) list(ctx context.Context, dest any, query string, args ...any) error {
	return sqlx.SelectContext(ctx, q, dest, q.Rebind(query), args...)
}

// exec runs a statement and tells how many rows it touched.
func (q queryer) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, q.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// transact runs do in one transaction, again where the database broke it off for the sake of another one: do must change
// nothing but the database and what it assigns anew each time.
func (d *database) transact(ctx context.Context, do func(queryer) error) error {
	var err error
	for range transactionTries {
		err = d.once(ctx, do)
		if err == nil || !brokenOff(err) {
			return err
		}
	}
	return err
}

func (d *database) once(ctx context.Context, do func(queryer) error) error {
	tx, err := d.writer.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := do(queryer{tx, d.dialect}); err != nil {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			return errors.Join(err, rollback)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// brokenOff tells whether nothing of the transaction happened and it may simply run again.
func brokenOff(err error) bool {
	if postgres := pq.As(err, pqerror.TRDeadlockDetected, pqerror.TRSerializationFailure); postgres != nil {
		return true
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// violatesUnique tells whether a unique index refused the row.
func violatesUnique(err error) bool {
	if postgres := pq.As(err, pqerror.UniqueViolation); postgres != nil {
		return true
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}

// instant is a time as the database keeps it: microseconds since 1970 in UTC, 0 for the zero time.
type instant int64

func toInstant(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixMicro())
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(i)).UTC()
}

// in writes "(?, ?, ...)" for a list of arguments, which must not be empty.
func in(count int) string {
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", count), ", ") + ")"
}
