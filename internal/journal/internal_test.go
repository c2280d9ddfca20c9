package journal

import (
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/pgtest"
)

func TestSQLiteConnections(t *testing.T) {
	db, err := connect("sqlite:"+t.TempDir()+"/journal.db", true, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.close()) }()
	pragma := func(q queryer, name string) (value string) {
		require.NoError(t, q.get(t.Context(), &value, `PRAGMA `+name))
		return value
	}
	require.Equal(t, "wal", pragma(db.write(), "journal_mode"))
	require.Equal(t, "2", pragma(db.write(), "synchronous"), "FULL: or a power cut takes back intents")
	require.Equal(t, "1", pragma(db.write(), "foreign_keys"))
	require.Equal(t, "30000", pragma(db.write(), "busy_timeout"))
	require.Equal(t, "1", pragma(db.read(), "query_only"))
	require.Equal(t, 1, db.writer.Stats().MaxOpenConnections)
}

func TestPostgresConnections(t *testing.T) {
	dsn := pgtest.New(t, nil)
	setting := func(dsn string) (value string) {
		db, err := connect(dsn, false, 3)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.close()) }()
		require.Equal(t, 3, db.writer.Stats().MaxOpenConnections)
		require.NoError(t, db.read().get(t.Context(), &value, `SELECT current_setting('synchronous_commit')`))
		return value
	}
	require.Equal(t, "on", setting(dsn), "whatever the server's default is: this test server's is off")
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	require.Equal(t, "remote_apply", setting(dsn+separator+"synchronous_commit=remote_apply"))
}

// TestMigrationsGoUpAndDown brings a journal of the first release, with an order in it, to the newest tables and back.
func TestMigrationsGoUpAndDown(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": "sqlite:" + t.TempDir() + "/journal.db", "postgres": pgtest.New(t, nil)} {
		t.Run(name, func(t *testing.T) {
			db, err := connect(dsn, true, 2)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.close()) }()
			provider, err := db.provider(centralTables, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			_, err = provider.UpTo(t.Context(), 1)
			require.NoError(t, err)
			_, err = db.write().exec(t.Context(), `INSERT INTO orders (order_id, channel, body_hash, input, status, payment_status, reason,
				needs_attention, currency, total, erp, erp_order_number, erp_invoice, customer_code, gateway_id, progress_seq, received_at,
				started_at, updated_at) VALUES `+in(19), "WEB-1", "web-us", "h", []byte("sealed"), "received", "none", "", false, "USD", "1", "", "",
				"", "", "", 0, 1, 0, 1)
			require.NoError(t, err)

			_, err = provider.Up(t.Context())
			require.NoError(t, err)
			require.NoError(t, db.check(t.Context(), centralTables))
			var hash string
			require.NoError(t, db.read().get(t.Context(), &hash, `SELECT customer_hash FROM orders WHERE original IS NULL`))
			require.Empty(t, hash, "whose order it is stands in what is sealed")

			_, err = provider.DownTo(t.Context(), 1)
			require.NoError(t, err)
			require.ErrorIs(t, db.check(t.Context(), centralTables), ErrNotSetUp)
			_, err = provider.DownTo(t.Context(), 0)
			require.NoError(t, err)
		})
	}
}

// TestOperationsOfBeforeSettle: a journal of the first release knows which of its operations a report will show.
func TestOperationsOfBeforeSettle(t *testing.T) {
	for name, dsn := range map[string]string{"sqlite": "sqlite:" + t.TempDir() + "/journal.db", "postgres": pgtest.New(t, nil)} {
		t.Run(name, func(t *testing.T) {
			db, err := connect(dsn, true, 2)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.close()) }()
			provider, err := db.provider(operationTables, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			_, err = provider.UpTo(t.Context(), 1)
			require.NoError(t, err)
			for _, op := range []struct{ order, effect, state string }{
				{"1", "authorize", "succeeded"}, {"1", "capture", "succeeded"}, {"1", "refund", "succeeded"}, {"1", "refund", "refused"},
				{"2", "sale", "succeeded"}, {"3", "sale", "succeeded"}, {"3", "reverse", "succeeded"}, {"4", "capture", "succeeded"},
				{"4", "void_capture", "succeeded"}, {"5", "capture", "unknown"}, {"6", "", "succeeded"},
			} {
				key := op.order + "-" + op.effect + "-" + op.state
				_, err := db.write().exec(t.Context(), `INSERT INTO operations (operation_key, system, kind, effect, order_id, input_hash, reference, guard,
					amount, currency, request, state, outside_id, sends, first_sent_at, last_sent_at, created_at, updated_at) VALUES `+in(18),
					key, "cybersource", op.effect, op.effect, op.order, "", "", "", "1", "USD", []byte{}, op.state, key, 1, 5, 7, 5, 9)
				require.NoError(t, err)
			}
			_, err = provider.Up(t.Context())
			require.NoError(t, err)
			var settles []string
			require.NoError(t, db.read().list(t.Context(), &settles, `SELECT operation_key FROM operations
				WHERE settles AND settled_on = '' AND moved = '1' AND taken_at = 7 ORDER BY operation_key`))
			require.Equal(t, []string{"1-capture-succeeded", "1-refund-succeeded", "2-sale-succeeded"}, settles)
			_, err = provider.DownTo(t.Context(), 0)
			require.NoError(t, err)
		})
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"order WEB-10001 is paid": "order WEB-10001 is paid",
		"card 4111111111111111":   "card [masked]",
		"4111-1111 1111.1111 ok":  "[masked] ok",
		"7000000000000000000022":  "7000000000000000000022", // a gateway transaction, too long for a card
		"1234567890123456":        "1234567890123456",       // no card by its check digit
		"4111/1111/1111/1111":     "[masked]",
		"a\x00b\xff":              "ab\uFFFD",
	} {
		require.Equal(t, want, redact(text), text)
	}
	require.Len(t, redact(strings.Repeat("x", 10000)), longestText+len("…"))
}

func FuzzRedact(f *testing.F) {
	f.Add("card 4111 1111 1111 1111")
	f.Add(strings.Repeat("9", 490) + "4111111111111111")
	f.Add("4\u00a01\u00a01\u00a01 1111 1111 1111\x00")
	f.Fuzz(func(t *testing.T, text string) {
		clean := redact(text)
		if canonical.HoldsCardNumber(clean) || !utf8.ValidString(clean) || strings.Contains(clean, "\x00") || len(clean) > longestText+3 {
			t.Fatalf("%q became %q", text, clean)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor(1700000000000000, "WEB-1"))
	f.Add("")
	f.Add("MTIzNA")
	f.Fuzz(func(t *testing.T, text string) {
		at, id, err := parseCursor(text)
		if err != nil {
			return
		}
		againAt, againID, err := parseCursor(cursor(instant(at), id))
		if err != nil || againAt != at || againID != id {
			t.Fatalf("%q does not round-trip: %d %q, %v", text, againAt, againID, err)
		}
	})
}
