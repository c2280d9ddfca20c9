package pgtest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var migrations atomic.Int32

func migrate(dsn string) error {
	migrations.Add(1)
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	// Left open on purpose: a template must be usable though its migration was careless.
	_, err = db.Exec(`CREATE TABLE orders (id text PRIMARY KEY)`)
	return err
}

func TestEveryTestGetsADatabaseOfItsOwn(t *testing.T) {
	before := migrations.Load()
	one, two := connect(t, New(t, migrate)), connect(t, New(t, migrate))
	_, err := one.Exec(`INSERT INTO orders (id) VALUES ('WEB-1')`)
	require.NoError(t, err)

	require.Equal(t, 1, count(t, one, `SELECT count(*) FROM orders`))
	require.Equal(t, 0, count(t, two, `SELECT count(*) FROM orders`))
	require.LessOrEqual(t, migrations.Load()-before, int32(1), "the template is migrated once, if not by a test before")
}

func TestDatabaseIsGoneAfterItsTest(t *testing.T) {
	var name string
	t.Run("inner", func(t *testing.T) {
		address, err := url.Parse(New(t, migrate))
		require.NoError(t, err)
		name = strings.TrimPrefix(address.Path, "/")
		db, err := sql.Open("postgres", address.String())
		require.NoError(t, err)
		require.NoError(t, db.Ping()) // still connected when the database goes
	})
	if name == "" {
		t.Skip("no database was given")
	}
	require.Equal(t, 0, count(t, connect(t, New(t, nil)), `SELECT count(*) FROM pg_database WHERE datname = '`+name+`'`))
}

func TestWithoutMigrationTheDatabaseIsEmpty(t *testing.T) {
	db := connect(t, New(t, nil))
	require.Equal(t, 0, count(t, db, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`))
	_, err := db.Exec(`CREATE TABLE mine (id int)`)
	require.NoError(t, err, "the role owns its database")
}

func TestTheRoleHasNoOtherRights(t *testing.T) {
	if os.Getenv(serverEnv) != "" {
		t.Skip("the role is that of " + serverEnv)
	}
	db := connect(t, New(t, nil))
	require.Equal(t, 0, count(t, db, `SELECT count(*) FROM pg_roles WHERE rolname IN (current_user, '`+Guest+`') AND (rolsuper OR rolcreaterole)`))
}

func TestAFailedMigrationIsReportedAndLeavesNothing(t *testing.T) {
	New(t, nil) // skips where there is no server
	server, err := shared()
	require.NoError(t, err)
	broken := errors.New("broken")
	for range 2 { // a failure is not kept as a template
		_, err = server.template(func(string) error { return broken })
		require.ErrorIs(t, err, broken)
	}
	require.Len(t, server.templates, 1)
}

// A server that outlives the test processes is cleaned of what killed ones left, and of nothing else.
func TestAbandonedDatabasesAreDropped(t *testing.T) {
	here := connect(t, New(t, migrate))
	mine, err := shared()
	require.NoError(t, err)
	exists := `SELECT count(*) FROM pg_database WHERE datname = '%s'`

	killed, err := openOn(mine.base.String())
	require.NoError(t, err)
	left, err := killed.template(migrate)
	require.NoError(t, err)
	require.NoError(t, killed.admin.Close()) // as the end of its process would
	require.Equal(t, 1, count(t, here, fmt.Sprintf(exists, left)))

	next, err := openOn(mine.base.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = next.admin.Close() })
	require.Equal(t, 0, count(t, here, fmt.Sprintf(exists, left)))
	require.Equal(t, 0, count(t, here, `SELECT count(*) FROM orders`), "a database in use is left alone")
}

func TestServerAddressMustBeAURL(t *testing.T) {
	for _, base := range []string{"host=localhost password=hidden", "mysql://x", "postgres://%zz"} {
		_, err := openOn(base)
		require.ErrorContains(t, err, serverEnv)
		require.NotContains(t, err.Error(), "hidden")
	}
}

// A process of its own asks for a database and is then killed: server and files must go with it.
func TestAKilledTestProcessLeavesNothingBehind(t *testing.T) {
	if err := Available(); err != nil || os.Getenv(serverEnv) != "" {
		t.Skip("no cluster of its own here")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	tmp := t.TempDir()
	// Like /tmp, because under root the server runs as another user, who must get in, and remove its directory.
	require.NoError(t, os.Chmod(tmp, 0o777|os.ModeSticky))
	require.NoError(t, os.Chmod(filepath.Dir(tmp), 0o711))
	child := exec.Command(self, "-test.run=^TestHelperAsksForADatabase$", "-test.v")
	child.Env = append(os.Environ(), "PGTEST_HELPER=1", "TMPDIR="+tmp)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	child.Stderr = os.Stderr
	require.NoError(t, child.Start())
	requireLine(t, out, "database ready")
	clusters, err := filepath.Glob(filepath.Join(tmp, "tenderline-pg-*"))
	require.NoError(t, err)
	require.Len(t, clusters, 1)

	require.NoError(t, child.Process.Kill())
	_ = child.Wait()

	require.Eventually(t, func() bool {
		_, err := os.Stat(clusters[0])
		return errors.Is(err, os.ErrNotExist)
	}, time.Minute, 20*time.Millisecond)
}

func TestHelperAsksForADatabase(t *testing.T) {
	if os.Getenv("PGTEST_HELPER") == "" {
		t.Skip("runs in the process of another test only")
	}
	New(t, migrate)
	_, _ = os.Stdout.WriteString("database ready\n")
	select {} // until it is killed
}

// requireLine reads until the line comes.
func requireLine(t *testing.T, from io.Reader, line string) {
	t.Helper()
	var seen bytes.Buffer
	buffer := make([]byte, 256)
	for !strings.Contains(seen.String(), line) {
		n, err := from.Read(buffer)
		seen.Write(buffer[:n])
		require.NoError(t, err, seen.String())
	}
}

func TestMajorVersion(t *testing.T) {
	require.Zero(t, majorVersion("/nonexistent/postgres"))
	require.Zero(t, majorVersion("/bin/sh"))
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func count(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRow(query).Scan(&n))
	return n
}
