// Package journaltest gives each test a journal of its own that has its tables already.
package journaltest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/journal"
)

// empty is a migrated journal without rows: the migrations cost more than most tests that need their tables.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "journal.db")
	if err := journal.Migrate(context.Background(), "sqlite:"+path, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// File makes an empty journal on SQLite in the test's folder and gives its path.
func File(t testing.TB) string {
	t.Helper()
	tables, err := empty()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.WriteFile(path, tables, 0o600))
	return path
}
