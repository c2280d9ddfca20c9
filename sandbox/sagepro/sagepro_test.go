package sagepro

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/pgtest"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 7, 28, 9, 14, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// company is a sandbox on one database, with a client that connects through it.
type company struct {
	t      testing.TB
	server *Server
	client *sqlx.DB
	clock  *clock
}

// onBoth runs a test on either database.
func onBoth(t *testing.T, test func(t *testing.T, c *company)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, openCompany(t, Config{Dialect: "sqlite", DSN: filepath.Join(t.TempDir(), "pro01.db")})) })
	t.Run("postgres", func(t *testing.T) { test(t, openCompany(t, Config{Dialect: "postgres", DSN: pgtest.New(t, nil)})) })
}

func openCompany(t testing.TB, config Config) *company {
	t.Helper()
	c := &company{t: t, clock: newClock()}
	config.Clock = c.clock.Now
	server, err := New(t.Context(), config)
	require.NoError(t, err)
	c.server = server
	c.client = sqlx.NewDb(sql.OpenDB(server.Connector()), config.Dialect)
	t.Cleanup(func() {
		require.NoError(t, c.client.Close())
		require.NoError(t, server.Close())
	})
	return c
}

func TestSchemaAndSeed(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		var next int64
		require.NoError(t, c.client.Get(&next, c.client.Rebind("SELECT nextval FROM sycnext WHERE sysid = ? AND keyname = ?"), "SO01", "sono"))
		require.Equal(t, int64(10245), next)
		var open int
		require.NoError(t, c.client.Get(&open, "SELECT count(*) FROM sycperd WHERE isopen = 'Y'"))
		require.Equal(t, 6, open, "two months of three modules")
		require.NoError(t, c.server.reset(context.Background()))
	})
}
