// Package pgtest gives tests real PostgreSQL databases, on a machine that has the server's binaries and nothing running:
//
//	dsn := pgtest.New(t, journal.Migrate)
//
// A test process makes a throw-away cluster when it asks for its first database; a helper process takes it down, files
// and all, when the test process ends, however it ends. Every test gets a database of its own, copied from a template
// that was migrated once.
//
// TENDERLINE_TEST_POSTGRES, a postgres:// URL of a role that may create databases, makes tests use that server instead.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // the driver "postgres"
)

// serverEnv names an existing server to use.
const serverEnv = "TENDERLINE_TEST_POSTGRES"

// callTimeout bounds each statement on the cluster (the slowest, a database copy, takes some 50 ms) and each program but the server.
const callTimeout = time.Minute

// ErrNoBinaries says that this machine has no PostgreSQL server to run.
var ErrNoBinaries = errors.New("no PostgreSQL server binaries (initdb, postgres; version 13 or newer) on this machine")

// shared is the server of this test process, found or made at the first call.
var shared = sync.OnceValues(open)

// New returns the URL of a fresh database, owned by a role without other rights, that exists until the test ends. migrate
// brings an empty database to the schema under test; it runs once for all tests that pass the same function, so it must
// not depend on variables it captures. With a nil migrate the database is empty.
//
// Without PostgreSQL on the machine the test is skipped, and fails where CI is "true".
func New(t testing.TB, migrate func(dsn string) error) (dsn string) {
	t.Helper()
	server, err := shared()
	if errors.Is(err, ErrNoBinaries) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	template, err := server.template(migrate)
	if err != nil {
		t.Fatalf("make template database: %v", err)
	}
	name, err := server.create(template)
	if err != nil {
		t.Fatalf("make test database: %v", err)
	}
	t.Cleanup(func() {
		if err := server.drop(name); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return server.dsn(name)
}

// Guest is a role that the tests' one may act as (SET ROLE): it has no right but those that a test gives it in its own database. A server that the
// environment names may lack it.
const Guest = "pgtest_guest"

// Available reports whether New can give databases here: nil, ErrNoBinaries, or what is wrong with the binaries.
func Available() error {
	if os.Getenv(serverEnv) != "" {
		return nil
	}
	_, err := findBinaries()
	return err
}

// server makes databases on one PostgreSQL server. Their names start with prefix, which is this process's own.
type server struct {
	admin  *sql.DB // one connection, open for the life of the process: it tells others that prefix is in use
	base   *url.URL
	prefix string

	mu        sync.Mutex
	made      int
	templates map[uintptr]string // by code address of the migration
}

// open connects to the server that the environment names, else makes a cluster.
func open() (*server, error) {
	base := os.Getenv(serverEnv)
	if base == "" {
		own, err := startCluster()
		if err != nil {
			return nil, err
		}
		base = own
	}
	return openOn(base)
}

func openOn(base string) (*server, error) {
	address, err := url.Parse(base)
	if err != nil || !strings.HasPrefix(base, "postgres") {
		return nil, fmt.Errorf("%s must be a postgres:// URL", serverEnv) // without the value: it may hold a password
	}
	s := &server{base: address, prefix: "pgtest_" + uuid.NewString()[:8], templates: map[uintptr]string{}}
	admin := *address
	query := admin.Query()
	query.Set("application_name", s.prefix)
	admin.RawQuery = query.Encode()
	if s.admin, err = sql.Open("postgres", admin.String()); err != nil {
		return nil, err
	}
	s.admin.SetMaxOpenConns(1)
	s.admin.SetMaxIdleConns(1)
	return s, s.dropAbandoned()
}

// template returns the name of the database to copy for this migration, and makes it at the first call.
func (s *server) template(migrate func(dsn string) error) (string, error) {
	if migrate == nil {
		return "template0", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := reflect.ValueOf(migrate).Pointer()
	if name, ok := s.templates[key]; ok {
		return name, nil
	}
	name, err := s.createLocked("template0")
	if err != nil {
		return "", err
	}
	if err := migrate(s.dsn(name)); err != nil {
		return "", errors.Join(fmt.Errorf("migrate: %w", err), s.drop(name))
	}
	// A database that someone is connected to can't be copied, and a migration may leave its pool to the collector.
	if err := s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`); err != nil {
		return "", fmt.Errorf("disconnect migration: %w", err)
	}
	s.templates[key] = name
	return name, nil
}

func (s *server) create(template string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.createLocked(template)
}

func (s *server) createLocked(template string) (string, error) {
	s.made++
	name := s.prefix + "_" + strconv.Itoa(s.made)
	return name, s.exec("CREATE DATABASE " + name + " TEMPLATE " + template)
}

func (s *server) drop(name string) error {
	return s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
}

// dropAbandoned removes what killed test processes left on a server that outlives them.
func (s *server) dropAbandoned() error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	rows, err := s.admin.QueryContext(ctx, `
		SELECT d.datname FROM pg_database d
		WHERE d.datname ~ '^pgtest_[0-9a-f]{8}_[0-9]+$' AND pg_get_userbyid(d.datdba) = current_user
		  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = left(d.datname, 15))`)
	if err != nil {
		return fmt.Errorf("list abandoned databases: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.drop(name); err != nil {
			return fmt.Errorf("drop abandoned database: %w", err)
		}
	}
	return nil
}

// exec runs a statement; the names in it are made here, so nothing needs quoting.
func (s *server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, err := s.admin.ExecContext(ctx, statement)
	return err
}

func (s *server) dsn(database string) string {
	address := *s.base
	address.Path = "/" + database
	return address.String()
}
