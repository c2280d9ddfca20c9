package sagepro

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"net/http"
	"strings"
)

// connector gives clients connections that obey the faults.
type connector struct {
	server *Server
	driver driver.Driver
}

func (c *connector) Driver() driver.Driver { return c.driver }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, line, err := c.server.dialect.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{server: c.server, inner: inner, line: line}, nil
}

// conn is a client's connection. database/sql gives it to one caller at a time.
type conn struct {
	server *Server
	inner  driver.Conn
	line   link      // nil: the database has none
	dead   bool      // its line was cut
	unit   *unit     // what the open transaction does, nil outside of one
	open   driver.Tx // the driver's own
}

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
)

// unit is what is done or not done as a whole: a transaction, or a statement outside of any.
type unit struct {
	accesses []access
	struck   map[*Fault]bool
	hit      Mode // the last fault that hit it
}

func newUnit() *unit { return &unit{struck: map[*Fault]bool{}} }

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if c.dead {
		return nil, driver.ErrBadConn
	}
	inner, err := prepare(ctx, c.inner, query)
	if err != nil {
		return nil, err
	}
	return &stmt{conn: c, inner: inner, accesses: accesses(query)}, nil
}

func prepare(ctx context.Context, inner driver.Conn, query string) (driver.Stmt, error) {
	if preparer, ok := inner.(driver.ConnPrepareContext); ok {
		return preparer.PrepareContext(ctx, query)
	}
	return inner.Prepare(query)
}

func (c *conn) Close() error { return c.inner.Close() }

func (c *conn) Begin() (driver.Tx, error) { return c.BeginTx(context.Background(), driver.TxOptions{}) }

// BeginTx begins a transaction. The periods follow the clock first, so that a client finds them as they are by now.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.dead {
		return nil, driver.ErrBadConn
	}
	if err := c.server.followClock(ctx); err != nil {
		return nil, err
	}
	beginner, ok := c.inner.(driver.ConnBeginTx)
	if !ok {
		return nil, errors.New("the driver begins no transactions with options")
	}
	inner, err := beginner.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	c.unit, c.open = newUnit(), inner
	return &tx{conn: c, inner: inner}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	execer, ok := c.inner.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return strike(ctx, c, accesses(query), func() (driver.Result, error) { return execer.ExecContext(ctx, query, args) })
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	queryer, ok := c.inner.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return strike(ctx, c, accesses(query), func() (driver.Rows, error) { return queryer.QueryContext(ctx, query, args) })
}

func (c *conn) Ping(ctx context.Context) error {
	if c.dead {
		return driver.ErrBadConn
	}
	if pinger, ok := c.inner.(driver.Pinger); ok {
		return pinger.Ping(ctx)
	}
	return nil
}

func (c *conn) ResetSession(ctx context.Context) error {
	if c.dead {
		return driver.ErrBadConn
	}
	if resetter, ok := c.inner.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func (c *conn) IsValid() bool {
	if validator, ok := c.inner.(driver.Validator); ok && !validator.IsValid() {
		return false
	}
	return !c.dead
}

func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.inner.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

// strike runs a statement under the faults that match it. Outside of a transaction the statement is a unit of its own, and the faults that wait
// for the end of one strike at once.
func strike[T any](ctx context.Context, c *conn, does []access, run func() (T, error)) (T, error) {
	var none T
	if c.dead {
		return none, driver.ErrBadConn
	}
	inside := c.unit != nil
	u := c.unit
	if !inside {
		u = newUnit()
	}
	u.accesses = append(u.accesses, does...)
	if struck, found := strikes(c.server.faults, does, false, u.struck); found {
		fault := struck.Fault
		c.heed(u, fault)
		if fault.Mode != ModeDelay {
			return none, c.refused(ctx, u, fault)
		}
		if err := struck.Wait(ctx, fault.DelayMS); err != nil {
			return none, err
		}
	}
	if inside {
		return run()
	}
	return alone(c, u, run)
}

// refused is what a statement is answered that a fault strikes.
func (c *conn) refused(ctx context.Context, u *unit, fault Fault) error {
	if fault.Mode == ModeCut {
		c.server.keep(u, 0)
		return c.cut()
	}
	if c.unit == nil {
		c.server.keep(u, http.StatusInternalServerError)
	}
	return c.server.dialect.fail(ctx, c.inner, fault.Mode)
}

// alone runs a statement outside of any transaction: it commits by itself.
func alone[T any](c *conn, u *unit, run func() (T, error)) (T, error) {
	var none T
	struck, found := strikes(c.server.faults, u.accesses, true, u.struck)
	fault := struck.Fault
	if found {
		c.heed(u, fault)
	}
	if found && fault.Mode == ModeDropBefore {
		c.server.keep(u, 0)
		return none, c.cut()
	}
	result, err := run()
	if err != nil {
		c.server.keep(u, http.StatusInternalServerError)
		return none, err
	}
	if found {
		if rows, ok := any(result).(driver.Rows); ok {
			_ = rows.Close() // nobody gets to read them
		}
		c.server.keep(u, 0)
		return none, c.cut()
	}
	c.server.keep(u, http.StatusOK)
	return result, nil
}

// heed notes a fault that hits.
func (c *conn) heed(u *unit, fault Fault) {
	u.hit = fault.Mode
	c.server.logger.Info("sandbox fault", "mode", string(fault.Mode), "route", fault.Route)
}

// cut breaks the line and tells what its client sees. The database rolls back what was open; one without a line is told to. The driver's own connection is
// closed by database/sql, once it has closed the statements that were prepared on it.
func (c *conn) cut() error {
	c.dead = true
	switch {
	case c.line != nil:
		_ = c.line.Close() // it may be broken already
	case c.open != nil:
		_ = c.open.Rollback() // nobody hears of it
	}
	c.open = nil
	return cutError()
}

// tx is a client's transaction.
type tx struct {
	conn  *conn
	inner driver.Tx
}

// Commit commits, unless a fault waits for a transaction like this one. With a line the driver itself finds out that it is cut.
func (t *tx) Commit() error {
	c, u := t.conn, t.conn.unit
	c.unit = nil
	if c.dead {
		return driver.ErrBadConn
	}
	struck, found := strikes(c.server.faults, u.accesses, true, u.struck)
	fault := struck.Fault
	if !found {
		c.open = nil
		err := t.inner.Commit()
		c.server.keep(u, status(err))
		return err
	}
	c.heed(u, fault)
	c.server.keep(u, 0)
	switch {
	case c.line == nil && fault.Mode == ModeDropBefore:
		return c.cut()
	case c.line == nil:
		_ = t.inner.Commit() // its answer is lost, whatever it is
		c.open = nil
		return c.cut()
	case fault.Mode == ModeDropBefore:
		c.line.cutBefore()
	default:
		c.line.cutAfter()
	}
	err := t.inner.Commit()
	return cmp.Or(err, c.cut())
}

func (t *tx) Rollback() error {
	c, u := t.conn, t.conn.unit
	c.unit = nil
	if c.dead {
		return driver.ErrBadConn // rolled back by the database already
	}
	c.open = nil
	if u.hit != "" {
		c.server.keep(u, http.StatusInternalServerError)
	}
	return t.inner.Rollback()
}

func status(err error) int {
	if err != nil {
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// keep records a unit.
func (s *Server) keep(u *unit, status int) {
	if len(u.accesses) == 0 {
		return
	}
	known := u.knownBy()
	entry := Request{At: s.now(), Method: known.verb, Path: known.table, Status: status, Fault: u.hit}
	for _, a := range u.accesses {
		entry.Statements = append(entry.Statements, a.String())
	}
	s.requests.Add(entry)
}

// knownBy is what tells a unit best: the first row that it adds to the ERP's own tables, counters left out; else what it changes of them; else what it
// reads.
func (u *unit) knownBy() access {
	best, rank := u.accesses[0], -1
	for _, a := range u.accesses {
		r := 0
		own := !strings.HasPrefix(a.table, "cyb_") && a.table != "sycnext"
		switch {
		case a.verb == "INSERT" && own:
			r = 4
		case a.verb != "SELECT" && own:
			r = 3
		case a.verb == "INSERT":
			r = 2
		case a.verb != "SELECT":
			r = 1
		}
		if r > rank {
			best, rank = a, r
		}
	}
	return best
}

// stmt is a prepared statement of a client's.
type stmt struct {
	conn     *conn
	inner    driver.Stmt
	accesses []access
}

func (s *stmt) Close() error  { return s.inner.Close() }
func (s *stmt) NumInput() int { return s.inner.NumInput() }

// Exec is what database/sql never calls: there is ExecContext.
func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }

// Query is what database/sql never calls: there is QueryContext.
func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	execer, ok := s.inner.(driver.StmtExecContext)
	if !ok {
		return nil, errors.New("the driver runs no prepared statements with a context")
	}
	return strike(ctx, s.conn, s.accesses, func() (driver.Result, error) { return execer.ExecContext(ctx, args) })
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	queryer, ok := s.inner.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("the driver runs no prepared queries with a context")
	}
	return strike(ctx, s.conn, s.accesses, func() (driver.Rows, error) { return queryer.QueryContext(ctx, args) })
}

// CheckNamedValue lets the driver convert what is given to a prepared statement.
func (s *stmt) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := s.inner.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return s.conn.CheckNamedValue(value)
}
