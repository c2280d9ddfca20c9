package sagepro

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tenderline/tenderline/sandbox/control"
)

// TestCutAtTheCommit loses a commit, or only its answer: the client can't tell which, and its pool goes on with another connection.
func TestCutAtTheCommit(t *testing.T) {
	for mode, there := range map[Mode]int{ModeDropBefore: 0, ModeDropAfter: 1} {
		onBoth(t, func(t *testing.T, c *company) {
			t.Helper()
			c.plant(object{"route": "INSERT somast", "mode": mode, "times": 1})
			_, err := c.trySell(widgets("WEB-1"))
			requireCut(t, err)
			require.Eventually(t, func() bool { return c.count("somast") == there }, 5*time.Second, 5*time.Millisecond, "the server finds out by itself that its client is gone")
			require.Equal(t, there, c.count("cyb_xref"))
			require.Equal(t, 1, c.faults()[0].Hits)
			c.sell(widgets("WEB-2"))
			c.sound()
		})
	}
}

func requireCut(t *testing.T, err error) {
	t.Helper()
	var broken *net.OpError
	require.ErrorAs(t, err, &broken)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.NotErrorIs(t, err, driver.ErrBadConn, "database/sql must not try again by itself")
}

// TestCutAtAStatement kills the connection in the middle of a transaction.
func TestCutAtAStatement(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.plant(object{"route": "INSERT sotran", "mode": "cut", "times": 1})
		_, err := c.trySell(widgets("WEB-1"))
		requireCut(t, err)
		require.Eventually(t, func() bool { return c.count("somast") == 0 }, 5*time.Second, 5*time.Millisecond)

		tx, err := c.client.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		c.plant(object{"route": "UPDATE icitem", "mode": "cut", "times": 1})
		_, err = tx.ExecContext(t.Context(), "UPDATE icitem SET itmdesc = 'x'")
		requireCut(t, err)
		_, err = tx.ExecContext(t.Context(), "UPDATE icitem SET itmdesc = 'x'")
		require.ErrorIs(t, err, driver.ErrBadConn)
		require.Error(t, tx.Commit(), "a transaction without its connection can't commit")
		c.sell(widgets("WEB-2"))
		c.sound()
	})
}

// TestRefusedByTheDatabase answers with the database's own errors, and leaves the transaction as such errors do.
func TestRefusedByTheDatabase(t *testing.T) {
	states := map[Mode]string{ModeDeadlock: "40P01", ModeLocked: "55P03", ModeBusy: "55006"}
	codes := map[Mode]int{ModeDeadlock: sqlite3.SQLITE_BUSY_SNAPSHOT, ModeLocked: sqlite3.SQLITE_BUSY, ModeBusy: sqlite3.SQLITE_LOCKED}
	for mode, state := range states {
		onBoth(t, func(t *testing.T, c *company) {
			t.Helper()
			own := func(err error) {
				var fromPostgres *pq.Error
				if errors.As(err, &fromPostgres) {
					require.Equal(t, state, string(fromPostgres.Code))
					return
				}
				var fromSQLite *sqlite.Error
				require.ErrorAs(t, err, &fromSQLite)
				require.Equal(t, codes[mode], fromSQLite.Code())
			}
			c.plant(object{"route": "INSERT sotran", "mode": mode, "times": 1})
			_, err := c.trySell(widgets("WEB-1"))
			own(err)
			require.Equal(t, 0, c.count("somast"), "the client rolled back")

			c.plant(object{"route": "select ARMAST", "mode": mode, "times": 1})
			var n int
			own(c.client.GetContext(t.Context(), &n, "SELECT count(*) FROM armast"))
			require.NoError(t, c.client.GetContext(t.Context(), &n, "SELECT count(*) FROM armast"), "the fault is spent")
			if c.client.DriverName() == "postgres" {
				tx, err := c.client.BeginTxx(t.Context(), nil)
				require.NoError(t, err)
				c.plant(object{"route": "UPDATE icitem", "mode": mode, "times": 1})
				_, err = tx.ExecContext(t.Context(), "UPDATE icitem SET itmdesc = 'x'")
				own(err)
				_, err = tx.ExecContext(t.Context(), "UPDATE icitem SET itmdesc = 'x'")
				require.ErrorContains(t, err, "current transaction is aborted")
				require.Error(t, tx.Commit())
			}
			c.sell(widgets("WEB-2"))
			c.sound()
		})
	}
}

// TestFaultsOutsideOfTransactions take a statement for a transaction of its own.
func TestFaultsOutsideOfTransactions(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		rename := func() error {
			_, err := c.client.ExecContext(t.Context(), c.client.Rebind("UPDATE arcust SET contact = ? WHERE custno = ?"), "Ada", code("WEB", custnoWidth))
			return err
		}
		for _, test := range []struct {
			mode  Mode
			there int
		}{{ModeDropBefore, 0}, {ModeCut, 0}, {ModeDropAfter, 1}} {
			c.plant(object{"route": "UPDATE arcust", "mode": test.mode, "times": 1})
			requireCut(t, rename())
			require.Equal(t, test.there, c.count("arcust WHERE contact = 'Ada'"), test.mode)
		}
		c.plant(object{"route": "* *", "mode": "drop_after", "times": 1})
		var n int
		requireCut(t, c.client.GetContext(t.Context(), &n, "SELECT count(*) FROM armast"))
	})
}

// TestPreparedStatements obey faults as well.
func TestPreparedStatements(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		query, err := c.client.PreparexContext(t.Context(), c.client.Rebind("SELECT count(*) FROM arcust WHERE currency = ?"))
		require.NoError(t, err)
		defer func() { require.NoError(t, query.Close()) }()
		var n int
		require.NoError(t, query.GetContext(t.Context(), &n, "USD"))
		require.Equal(t, 5, n)
		c.plant(object{"route": "SELECT arcust", "mode": "busy", "times": 1})
		require.Error(t, query.GetContext(t.Context(), &n, "USD"))

		change, err := c.client.PreparexContext(t.Context(), c.client.Rebind("UPDATE arcust SET contact = ? WHERE custno = ?"))
		require.NoError(t, err)
		defer func() { require.NoError(t, change.Close()) }()
		c.plant(object{"route": "UPDATE arcust", "mode": "drop_after", "times": 1})
		_, err = change.ExecContext(t.Context(), "Ada", code("WEB", custnoWidth))
		requireCut(t, err)
		require.Equal(t, 1, c.count("arcust WHERE contact = 'Ada'"))
	})
}

func TestDelay(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.plant(object{"route": "INSERT somast", "mode": "delay", "delayMs": 30, "times": 1})
		begun := time.Now()
		c.sell(widgets("WEB-1"))
		require.GreaterOrEqual(t, time.Since(begun), 30*time.Millisecond)

		c.plant(object{"route": "UPDATE icitem", "mode": "delay", "delayMs": 600_000, "times": 1})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := c.client.ExecContext(ctx, "UPDATE icitem SET itmdesc = 'x'")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 0, c.count("icitem WHERE itmdesc = 'x'"), "whoever gives up has asked for nothing")
	})
}

// TestWhoWaitsInAFaultGoesOnWhenItIsEnded lets transactions wait for ten minutes, and ends their faults.
func TestWhoWaitsInAFaultGoesOnWhenItIsEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		hold := func(route, change string) <-chan error {
			c.plant(object{"route": route, "mode": "delay", "delayMs": 600_000, "times": 1})
			done := make(chan error, 1)
			go func() {
				_, err := c.client.ExecContext(t.Context(), change)
				done <- err
			}()
			require.Eventually(t, func() bool {
				faults := c.faults()
				return faults[len(faults)-1].Route == route && faults[len(faults)-1].Hits == 1
			}, 10*time.Second, 5*time.Millisecond)
			return done
		}
		item := hold("UPDATE icitem", "UPDATE icitem SET itmdesc = 'x'")
		customer := hold("UPDATE arcust", "UPDATE arcust SET contact = 'Ada'")
		c.ok(http.MethodDelete, "faults?route=UPDATE+icitem", nil)
		require.NoError(t, <-item)
		require.Positive(t, c.count("icitem WHERE itmdesc = 'x'"), "it was only late")
		require.Empty(t, customer)
		require.Len(t, c.faults(), 1)
		status, _ := c.call(http.MethodDelete, "faults?table=arcust", nil)
		require.Equal(t, http.StatusBadRequest, status)
		require.Empty(t, customer)
		c.ok(http.MethodDelete, "faults", nil)
		require.NoError(t, <-customer)
		require.Empty(t, c.faults())
	})
}

// TestAResetEndsTheWaitOfATransaction lets one wait that has written already, and so keeps others from writing.
func TestAResetEndsTheWaitOfATransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.plant(object{"route": "INSERT sotran", "mode": "delay", "delayMs": 600_000, "times": 1})
		done := make(chan error, 1)
		go func() {
			_, err := c.trySell(widgets("WEB-1"))
			done <- err
		}()
		require.Eventually(t, func() bool { return c.faults()[0].Hits == 1 }, 10*time.Second, 5*time.Millisecond)
		status, _ := c.call(http.MethodPost, "reset", nil)
		<-done
		require.Empty(t, c.faults())
		if status != http.StatusNoContent { // each held what the other wanted, and the database chose: now nobody is in the way
			c.post("reset", nil)
		}
		c.sell(widgets("WEB-2"))
		c.sound()
	})
}

// TestFaultsHitOncePerTransaction counts transactions, not statements.
func TestFaultsHitOncePerTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.plant(object{"route": "INSERT sotran", "mode": "delay", "delayMs": 1, "times": 2})
		c.sell(widgets("WEB-1")) // two lines
		require.Equal(t, 1, c.faults()[0].Hits)
		c.sell(widgets("WEB-2"))
		require.Equal(t, 2, c.faults()[0].Hits)
		c.sell(widgets("WEB-3"))
		require.Equal(t, 2, c.faults()[0].Hits, "it is spent")
	})
}

// TestFaultsSpareTheClerk lets the sandbox itself work while everybody else is shut out.
func TestFaultsSpareTheClerk(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		c.plant(object{"route": "* *", "mode": "busy"})
		_, err := c.trySell(widgets("WEB-2"))
		require.Error(t, err)
		c.post("shipments", object{"OrderNumber": "WEB-1"})
		require.Len(t, c.ledger().SalesOrders, 1)
		require.Positive(t, c.faults()[0].Hits)
		c.ok(http.MethodDelete, "faults", nil)
		c.sell(widgets("WEB-2"))
		c.sound()
	})
}

// TestFaultsHitOnce under many clients at once.
func TestFaultsHitOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.plant(object{"route": "UPDATE sandbox_pin", "mode": "cut", "times": 3})
		var wait sync.WaitGroup
		var mu sync.Mutex
		cut := 0
		for range 12 {
			wait.Go(func() {
				_, err := c.client.ExecContext(t.Context(), "UPDATE sandbox_pin SET sysid = sysid")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					cut++
				}
			})
		}
		wait.Wait()
		require.Equal(t, 3, cut)
	})
}

// TestFaultsLetTheFirstPass hits the third of several like transactions alone.
func TestFaultsLetTheFirstPass(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		t.Helper()
		c.plant(object{"route": "INSERT sotran", "mode": "drop_before", "skip": 2, "times": 1})
		for _, order := range []string{"WEB-1", "WEB-2"} {
			c.sell(widgets(order))
		}
		_, err := c.trySell(widgets("WEB-3"))
		requireCut(t, err)
		c.sell(widgets("WEB-4"))
		require.Equal(t, 1, c.faults()[0].Hits)
		c.sound()
	})
}

func TestFaultsRefused(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]Fault{
		"no table":       {Route: "INSERT", Mode: ModeBusy},
		"a path":         {Route: "POST /orders", Mode: ModeBusy},
		"unknown verb":   {Route: "MERGE somast", Mode: ModeBusy},
		"several tables": {Route: "INSERT somast sotran", Mode: ModeBusy},
		"unknown mode":   {Route: "* *", Mode: "garbage"},
		"no mode":        {Route: "* *"},
		"negative times": {Route: "* *", Mode: ModeBusy, Times: -1},
		"negative skip":  {Route: "* *", Mode: ModeBusy, Skip: -1},
		"rate":           {Route: "* *", Mode: ModeBusy, Rate: new(1.5)},
		"delay":          {Route: "* *", Mode: ModeDelay, DelayMS: int(time.Hour.Milliseconds())},
	} {
		require.Error(t, control.NewPlanted((*Fault).prepare).Add(fault), name)
	}
	many := control.NewPlanted((*Fault).prepare)
	for range control.MaxFaults {
		require.NoError(t, many.Add(Fault{Route: "* *", Mode: ModeBusy}))
	}
	require.Error(t, many.Add(Fault{Route: "* *", Mode: ModeBusy}))
}

func TestFaultRate(t *testing.T) {
	t.Parallel()
	p := control.NewPlanted((*Fault).prepare)
	require.NoError(t, p.Add(Fault{Route: "* *", Mode: ModeBusy, Rate: new(0.0)}))
	require.NoError(t, p.Add(Fault{Route: "INSERT *", Mode: ModeLocked, Rate: new(1.0)}))
	hit, found := strikes(p, []access{{"INSERT", "somast"}}, false, map[*Fault]bool{})
	require.True(t, found)
	require.Equal(t, ModeLocked, hit.Fault.Mode)
	_, found = strikes(p, []access{{"SELECT", "somast"}}, false, map[*Fault]bool{})
	require.False(t, found)
}

// TestRequests records what transactions did, so that each can be broken by what it is known by.
func TestRequests(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		c.plant(object{"route": "INSERT somast", "mode": "drop_after", "times": 1})
		_, err := c.trySell(widgets("WEB-2"))
		require.Error(t, err)
		c.plant(object{"route": "INSERT sotran", "mode": "deadlock", "times": 1})
		_, err = c.trySell(widgets("WEB-3"))
		require.Error(t, err)
		c.count("armast")
		var found struct{ Requests []Request }
		c.decode("requests", &found)
		require.Len(t, found.Requests, 4)
		known := []Request{}
		for _, r := range found.Requests {
			known = append(known, Request{Method: r.Method, Path: r.Path, Status: r.Status, Fault: r.Fault})
		}
		require.Equal(t, []Request{{Method: "INSERT", Path: "somast", Status: 200}, {Method: "INSERT", Path: "somast", Fault: ModeDropAfter},
			{Method: "INSERT", Path: "somast", Status: 500, Fault: ModeDeadlock}, {Method: "SELECT", Path: "armast", Status: 200}}, known)
		require.Contains(t, found.Requests[0].Statements, "UPDATE iciloc")
		require.Equal(t, c.clock.Now(), found.Requests[0].At)
		c.post("reset", nil)
		c.decode("requests", &found)
		require.Empty(t, found.Requests)
	})
}

// TestTwoClientsWait lets clients meet each other's locks as the database has them, without any fault.
func TestTwoClientsWait(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		var wait sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wait.Go(func() {
				errs[i] = c.bump()
			})
		}
		wait.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, 1, c.count("sycnext WHERE sysid = 'SO01' AND nextval = 10253"))
	})
}

// bump takes a number in a transaction that is committed.
func (c *company) bump() error {
	tx, err := c.client.BeginTxx(c.t.Context(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	w := &writer{ctx: c.t.Context(), tx: tx}
	w.next("SO01", "sono")
	if w.err != nil {
		return w.err
	}
	return tx.Commit()
}

// TestDeadConnections refuse everything, so that a pool which keeps one all the same takes another.
func TestDeadConnections(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		raw, err := c.server.Connector().Connect(t.Context())
		require.NoError(t, err)
		own := raw.(*conn)
		require.True(t, own.IsValid())
		c.plant(object{"route": "UPDATE icitem", "mode": "drop_before", "times": 1})
		_, err = own.ExecContext(t.Context(), "UPDATE icitem SET itmdesc = 'x'", nil)
		requireCut(t, err)
		require.False(t, own.IsValid())
		_, err = own.BeginTx(t.Context(), driver.TxOptions{})
		require.ErrorIs(t, err, driver.ErrBadConn)
		_, err = own.PrepareContext(t.Context(), "SELECT 1")
		require.ErrorIs(t, err, driver.ErrBadConn)
		_, err = own.QueryContext(t.Context(), "SELECT 1", nil)
		require.ErrorIs(t, err, driver.ErrBadConn)
		require.ErrorIs(t, own.Ping(t.Context()), driver.ErrBadConn)
		require.ErrorIs(t, own.ResetSession(t.Context()), driver.ErrBadConn)
		_ = own.Close() // its line is gone
	})
}

// TestConnectorIsWhole goes through what database/sql asks of a driver beside statements.
func TestConnectorIsWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		require.NoError(t, c.client.PingContext(t.Context()))
		require.NotNil(t, c.server.Connector().Driver())
		conn, err := c.client.Conn(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.PingContext(t.Context()))
		tx, err := conn.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
		require.NoError(t, conn.Close())
		var at time.Time
		if c.client.DriverName() == "postgres" {
			require.NoError(t, c.client.GetContext(t.Context(), &at, "SELECT $1::timestamp", c.clock.Now()), "arguments go through the driver's own check")
			require.True(t, c.clock.Now().Equal(at))
		}
	})
}
