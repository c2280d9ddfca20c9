package journal_test

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
)

// start is where each test's clock begins; its microseconds must survive the database.
var start = time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.UTC)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func testRing(t testing.TB, primary string) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New(primary, map[string][]byte{
		"k1": bytes.Repeat([]byte{1}, keyring.KeySize),
		"k2": bytes.Repeat([]byte{2}, keyring.KeySize),
	})
	require.NoError(t, err)
	return ring
}

// fixture is a migrated store of its own for one test.
type fixture struct {
	*journal.Store
	dsn   string
	clock *clock
}

func newFixture(t testing.TB, dsn string) *fixture {
	t.Helper()
	c := &clock{now: start}
	store, err := journal.Open(context.Background(), dsn, journal.Options{Keyring: testRing(t, "k1"), Clock: c.Now, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return &fixture{Store: store, dsn: dsn, clock: c}
}

func sqliteDSN(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "a journal %41?#.db")
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }
