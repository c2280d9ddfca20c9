//go:build odbc

package sagepro

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/alexbrainman/odbc" // needs cgo and unixODBC
)

// openODBC opens a data source by ODBC. ODBC's driver for Go forgets that a connection broke at a statement, and its pool would hand it out once
// more: these connections remember.
func openODBC(dsn string) (*sql.DB, error) {
	source, err := sql.Open(driverODBC, dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(odbcConnector{driver: source.Driver(), dsn: dsn}), source.Close()
}

type odbcConnector struct {
	driver driver.Driver
	dsn    string
}

func (c odbcConnector) Driver() driver.Driver { return c.driver }

func (c odbcConnector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &odbcConn{Conn: inner}, nil
}

// odbcConn is a connection that knows when it is broken.
type odbcConn struct {
	driver.Conn
	broken bool
}

// IsValid keeps a broken connection out of the pool.
func (c *odbcConn) IsValid() bool { return !c.broken }

// QueryContext ends a query with its context, which the driver does for no other statement.
func (c *odbcConn) QueryContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Rows, error) {
	queryer, can := c.Conn.(driver.QueryerContext)
	if !can {
		return nil, driver.ErrSkip
	}
	rows, err := queryer.QueryContext(ctx, query, arguments)
	return rows, c.heed(err)
}

func (c *odbcConn) Prepare(query string) (driver.Stmt, error) {
	inner, err := c.Conn.Prepare(query)
	if err != nil {
		return nil, c.heed(err)
	}
	return &odbcStmt{Stmt: inner, conn: c}, nil
}

// heed notes what says that the connection is gone.
func (c *odbcConn) heed(err error) error {
	state, told := odbcState(err)
	if errors.Is(err, driver.ErrBadConn) || told && stateFailure(state) == failedConnection {
		c.broken = true
	}
	return err
}

type odbcStmt struct {
	driver.Stmt
	conn *odbcConn
}

func (s *odbcStmt) Exec(arguments []driver.Value) (driver.Result, error) {
	result, err := s.Stmt.Exec(arguments) //nolint:staticcheck // the driver has no other
	return result, s.conn.heed(err)
}

func (s *odbcStmt) Query(arguments []driver.Value) (driver.Rows, error) {
	rows, err := s.Stmt.Query(arguments) //nolint:staticcheck // the driver has no other
	return rows, s.conn.heed(err)
}

// odbcState gives the SQLSTATE of an ODBC driver's error.
func odbcState(err error) (string, bool) {
	var got *odbc.Error
	if !errors.As(err, &got) || len(got.Diag) == 0 {
		return "", false
	}
	return got.Diag[0].State, true
}

// odbcNative gives the database's own number of an ODBC driver's error.
func odbcNative(err error) (int32, bool) {
	var got *odbc.Error
	if !errors.As(err, &got) || len(got.Diag) == 0 {
		return 0, false
	}
	return int32(got.Diag[0].NativeError), true
}
