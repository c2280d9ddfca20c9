package journal_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/internal/pgtest"
)

// raw opens the database beside the journal, as a thief or an administrator would.
func raw(t *testing.T, dsn string) *sqlx.DB {
	t.Helper()
	driver, source := "postgres", dsn
	if path, found := strings.CutPrefix(dsn, "sqlite:"); found {
		driver, source = "sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23", " ", "%20").Replace(path)
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return sqlx.NewDb(db, strings.Replace(driver, "sqlite", "sqlite3", 1))
}

// personal fills every table with a text that no column may show.
func personal(t *testing.T, f *fixture) {
	t.Helper()
	take(t, f, "WEB-1")
	begin(t, f, salesOrder("k"))
	require.NoError(t, f.Operations().Unknown(t.Context(), "k", "ada@example.com"))
	require.NoError(t, f.Operations().Succeed(t.Context(), "k", "SO-1", []byte("ada@example.com")))
	receive(t, f, "e1")
	item := parked("a1", "WEB-1")
	item.Summary, item.Suggestion, item.Sent, item.Answer = "ada@example.com", "ada@example.com", []byte("ada@example.com"), []byte("ada@example.com")
	require.NoError(t, f.Park(t.Context(), item))
	require.NoError(t, f.AddFixes(t.Context(), "a1", []byte("ada@example.com")))
	require.NoError(t, f.Resolve(t.Context(), "a1", "retry", "olivia", "ada@example.com"))
	require.NoError(t, f.SaveCorrection(t.Context(), "WEB-1", newOrder("WEB-1").Input, journal.Action{Key: "a1", Reason: "ada@example.com"}))
	_, _, err := f.TakeRefund(t.Context(), newRefund("r1"), func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
		return breakdown("1"), nil
	})
	require.NoError(t, err)
	opened := newReview("WEB-1")
	opened.Risk.Queue = "ada@example.com"
	require.NoError(t, f.OpenReview(t.Context(), opened, notice("n1")))
	require.NoError(t, f.NoteReview(t.Context(), "WEB-1", journal.ReviewNoteRecord{Key: "1", Note: "decided", Comment: "ada@example.com"}, nil, nil))
}

var sealedColumns = map[string][]string{
	"operations": {"request", "outcome", "detail"}, "orders": {"input", "original"}, "inbox": {"body"},
	"attention": {"document", "fixes", "reason"}, "refunds": {"reason"}, "reviews": {"document", "comment"}, "review_notes": {"comment"},
	"notices": {"document"},
}

func personalDataIsSealed(t *testing.T, f *fixture) {
	personal(t, f)
	db := raw(t, f.dsn)
	for table := range sealedColumns {
		requireSealed(t, db, table)
	}
}

// requireSealed looks for personal data in the rows of a table, of which there must be some.
func requireSealed(t *testing.T, db *sqlx.DB, table string) {
	t.Helper()
	rows, err := db.Queryx(`SELECT * FROM ` + table)
	require.NoError(t, err)
	defer rows.Close()
	count := 0
	for rows.Next() {
		row := map[string]any{}
		require.NoError(t, rows.MapScan(row))
		for column, value := range row {
			text, _ := value.(string)
			bytes, _ := value.([]byte)
			require.NotContains(t, text+string(bytes), "example.com", "%s.%s", table, column)
		}
		count++
	}
	require.NoError(t, rows.Err())
	require.NotZero(t, count, table)
}

func tamperedTextIsRefused(t *testing.T, f *fixture) {
	personal(t, f)
	reads := map[string]func() error{
		"operations": func() error { _, err := f.Operations().Get(t.Context(), "k"); return err },
		"orders":     func() error { _, err := f.Order(t.Context(), "WEB-1"); return err },
		"inbox":      func() error { _, err := f.Event(t.Context(), "e1"); return err },
		"attention":  func() error { _, err := f.Attention(t.Context(), "a1"); return err },
		"actions":    func() error { _, err := f.Audit(t.Context(), "WEB-1"); return err },
		"refunds":    func() error { _, err := f.Refund(t.Context(), "WEB-1", "r1"); return err },
		"reviews":    func() error { _, err := f.Review(t.Context(), "WEB-1"); return err },

		"review_notes": func() error { _, err := f.Review(t.Context(), "WEB-1"); return err },
	}
	db := raw(t, f.dsn)
	for table, columns := range sealedColumns {
		if reads[table] == nil {
			continue // what is read as a queue is left out: keysRotate
		}
		for _, column := range columns {
			var sealed []byte
			require.NoError(t, db.Get(&sealed, fmt.Sprintf(`SELECT %s FROM %s`, column, table)))
			stored := sealed
			write := func(text []byte) {
				_, err := db.Exec(db.Rebind(fmt.Sprintf(`UPDATE %s SET %s = ? WHERE %s = ?`, table, column, column)), text, stored)
				require.NoError(t, err)
				stored = text
			}
			tampered := bytes.Clone(sealed)
			tampered[len(tampered)-1] ^= 1
			write(tampered)
			require.ErrorIs(t, reads[table](), keyring.ErrTampered, "%s.%s", table, column)
			write([]byte("in the clear"))
			require.ErrorIs(t, reads[table](), keyring.ErrMalformed, "%s.%s", table, column)
			write(sealed)
			require.NoError(t, reads[table]())
		}
	}

	// A text that is sealed well, but for another row, is refused too.
	second := salesOrder("k2")
	begin(t, f, second)
	_, err := db.Exec(`UPDATE operations SET request = (SELECT request FROM operations WHERE operation_key = 'k') WHERE operation_key = 'k2'`)
	require.NoError(t, err)
	_, err = f.Operations().Get(t.Context(), "k2")
	require.ErrorIs(t, err, keyring.ErrTampered)
}

func keysRotate(t *testing.T, f *fixture) {
	begin(t, f, salesOrder("k"))
	rotated, err := journal.Open(t.Context(), f.dsn, journal.Options{Keyring: testRing(t, "k2"), Clock: f.clock.Now})
	require.NoError(t, err)
	defer func() { require.NoError(t, rotated.Close()) }()
	op, err := rotated.Operations().Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, salesOrder("k").Request, op.Request)

	_, _, err = rotated.Operations().Begin(t.Context(), salesOrder("new"))
	require.NoError(t, err)
	var sealed []byte
	require.NoError(t, raw(t, f.dsn).Get(&sealed, `SELECT request FROM operations WHERE operation_key = 'new'`))
	id, err := keyring.KeyID(sealed)
	require.NoError(t, err)
	require.Equal(t, "k2", id)

	receive(t, f, "e1")
	take(t, f, "WEB-1")
	require.NoError(t, f.Park(t.Context(), parked("a1", "WEB-1")))
	lost, err := keyring.New("k3", map[string][]byte{"k3": bytes.Repeat([]byte{3}, keyring.KeySize)})
	require.NoError(t, err)
	stranger, err := journal.Open(t.Context(), f.dsn, journal.Options{Keyring: lost})
	require.NoError(t, err)
	defer func() { require.NoError(t, stranger.Close()) }()
	_, err = stranger.Operations().Get(t.Context(), "k")
	require.ErrorIs(t, err, keyring.ErrUnknownKey)

	// Queues and lists go on beside what can't be opened.
	created, err := stranger.Receive(t.Context(), event("e2"))
	require.NoError(t, err)
	require.True(t, created)
	items, err := stranger.Pending(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, "e2", items[0].ID)
	unstarted, err := stranger.Unstarted(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Empty(t, unstarted)
	require.NoError(t, f.AddNotices(t.Context(), notice("n1")))
	require.NoError(t, stranger.AddNotices(t.Context(), notice("n2")))
	notices, err := stranger.DueNotices(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Len(t, notices, 1)
	require.Equal(t, "n2", notices[0].ID)
	require.NoError(t, f.OpenReview(t.Context(), newReview("WEB-1")))
	reviews, _, err := stranger.Reviews(t.Context(), journal.ReviewFilter{})
	require.NoError(t, err)
	require.Equal(t, []string{"WEB-1"}, reviewIDs(reviews))
	require.Empty(t, reviews[0].Risk)
	page, _, err := stranger.Attentions(t.Context(), journal.AttentionFilter{})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Contains(t, page[0].Summary, "key ring")
	require.Empty(t, page[0].Sent)
}

func timesAndAmountsRoundTrip(t *testing.T, f *fixture) {
	berlin := time.FixedZone("CET", 3600)
	for i, amount := range []string{"0.1", "0.000000000000000001", "123456789012345678901234567890.123456789", "-48.19", "1000", "100.00"} {
		record := newOrder(fmt.Sprint("WEB-", i))
		record.Total = dec(amount)
		record.ReceivedAt = time.Date(1969+i*20, 1, 1, 0, 0, 0, 999999999, berlin)
		_, _, err := f.TakeOrder(t.Context(), record)
		require.NoError(t, err)
		got := order(t, f, record.OrderID)
		requireAmount(t, amount, got.Total)
		require.Equal(t, record.ReceivedAt.UTC().Truncate(time.Microsecond), got.ReceivedAt)
	}
}

func TestJournalThatIsNotSetUpIsRefused(t *testing.T) {
	empty := map[string]func(t *testing.T) string{
		"no file":    func(t *testing.T) string { return sqliteDSN(t) },
		"empty file": emptyFile,
		"postgres":   func(t *testing.T) string { return pgtest.New(t, nil) },
	}
	for name, dsn := range empty {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			opts := journal.Options{Keyring: testRing(t, "k1")}
			_, err := journal.Open(t.Context(), at, opts)
			require.ErrorIs(t, err, journal.ErrNotSetUp)
			require.ErrorContains(t, err, "`tenderline setup`")
			_, err = journal.OpenOperations(t.Context(), at, opts)
			require.ErrorIs(t, err, journal.ErrNotSetUp)

			require.NoError(t, journal.MigrateOperations(t.Context(), at, slog.New(slog.DiscardHandler)))
			operations, err := journal.OpenOperations(t.Context(), at, opts)
			require.NoError(t, err)
			require.NoError(t, operations.Check(t.Context()))
			require.NoError(t, operations.Close())
			_, err = journal.Open(t.Context(), at, opts)
			require.ErrorIs(t, err, journal.ErrNotSetUp, "operations alone are no central journal")

			for range 2 {
				require.NoError(t, migrated(at))
			}
			store, err := journal.Open(t.Context(), at, opts)
			require.NoError(t, err)
			require.NoError(t, store.Check(t.Context()))
			require.NoError(t, store.Close())
			require.Error(t, store.Check(t.Context()))
		})
	}
}

func emptyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return "sqlite:" + path
}

func TestOperationsOnPremises(t *testing.T) {
	dsn := sqliteDSN(t)
	operations, err := journal.OpenOperations(t.Context(), dsn, journal.Options{Keyring: testRing(t, "k1"), Migrate: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, operations.Close()) }()
	_, fresh, err := operations.Begin(t.Context(), salesOrder("k"))
	require.NoError(t, err)
	require.True(t, fresh)
	require.NoError(t, operations.RecordCalls(t.Context(), []journal.Call{{OrderID: "WEB-1"}}))
	audit, err := operations.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, 1)

	info, err := os.Stat(strings.TrimPrefix(dsn, "sqlite:"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestProgramsMigrateAtOnce starts programs together on an empty database, as a deployment does.
func TestProgramsMigrateAtOnce(t *testing.T) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return sqliteDSN(t) },
		"postgres": func(t *testing.T) string { return pgtest.New(t, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			race(t, 4, func(int) error { return migrated(at) })
			store, err := journal.Open(t.Context(), at, journal.Options{Keyring: testRing(t, "k1")})
			require.NoError(t, err)
			require.NoError(t, store.Close())
		})
	}
}

// TestSQLiteWritersNeverSeeBusy has two stores, as of two processes, write to one file at once.
func TestSQLiteWritersNeverSeeBusy(t *testing.T) {
	f := newFixture(t, sqliteDSN(t))
	other, err := journal.Open(t.Context(), f.dsn, journal.Options{Keyring: testRing(t, "k1")})
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	stores := []*journal.Store{f.Store, other}
	take(t, f, "WEB-1")
	race(t, 16, func(i int) error {
		store := stores[i%2]
		for n := range 10 {
			op := paymentOp(fmt.Sprint("WEB-", i, "-", n), "sale", "10")
			if _, _, err := store.BeginPayment(t.Context(), op, journal.EffectSale); err != nil {
				return err
			}
			if err := store.SucceedPayment(t.Context(), op.Key, "tx-"+op.Key, nil, journal.PaymentChange{}, nil); err != nil {
				return err
			}
			progress := journal.Progress{OrderID: "WEB-1", Events: []journal.Event{{Key: op.Key}}}
			if err := store.RecordProgress(t.Context(), progress); err != nil {
				return err
			}
		}
		return nil
	})
	events, err := f.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, events, 160)
}

func TestOpenRefuses(t *testing.T) {
	ring := testRing(t, "k1")
	for dsn, want := range map[string]string{
		"":                             "journal DSN",
		"mysql://x":                    "journal DSN",
		"sqlite:":                      "path of a file",
		"sqlite::memory:":              "in memory",
		"postgres://u:s3cret@h:port/x": "not a PostgreSQL URL",
	} {
		_, err := journal.Open(t.Context(), dsn, journal.Options{Keyring: ring, Migrate: true})
		require.ErrorContains(t, err, want, dsn)
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err := journal.Open(t.Context(), sqliteDSN(t), journal.Options{Migrate: true})
	require.ErrorContains(t, err, "key ring")
}
