// Package sagepro is a stand-in for a Sage Pro company: its database, on SQLite or PostgreSQL, and what its people do with it.
//
// Sage Pro has no interface but its tables, so the stand-in has none either: a client connects to the same database. What
// the ERP's own programs keep right in these tables (open orders, allocated stock, balances, history) the clerk keeps right
// here, and /_sandbox/drift tells where a client did not. A client that connects through Connector meets the faults that
// tests and demonstrations plant: connections that are cut before or after a commit, deadlocks, locks, exclusive use.
package sagepro

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenderline/tenderline/sandbox/control"
)

const (
	defaultCompany = "01"
	ownConnections = 4 // of the clerk and the control surface, beside those of clients
)

// Config sets up a Server.
type Config struct {
	// Dialect is "sqlite" or "postgres".
	Dialect string
	// DSN is where the database is: of SQLite a path or a file: URI, of PostgreSQL what lib/pq takes. It may hold a password and is never
	// logged.
	DSN string
	// Company is the two characters of the company; "" is "01".
	Company string
	// Clock gives business dates and audit columns; nil is time.Now.
	Clock func() time.Time
	// Logger hears of injected faults; nil discards.
	Logger *slog.Logger
}

// Server is one company with its people. It is safe for concurrent use.
type Server struct {
	config    Config
	logger    *slog.Logger
	dialect   dialect
	db        *sqlx.DB // its own connections, which no fault touches
	connector *connector
	faults    *control.Planted[Fault]
	requests  control.Recent[Request]
	handler   http.Handler

	following sync.Mutex
	followed  string // the day that the periods were brought up to, YYYY-MM-DD

	mu       sync.Mutex
	late     time.Duration
	reserved int64 // id_col that a change begun earlier has taken; 0: none
}

var companyCode = regexp.MustCompile(`^[0-9A-Z]{2}$`)

// New opens the database and makes schema and seed where they are absent.
func New(ctx context.Context, config Config) (*Server, error) {
	if config.Company == "" {
		config.Company = defaultCompany
	}
	if !companyCode.MatchString(config.Company) {
		return nil, fmt.Errorf("company %q is not two digits or capital letters", config.Company)
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := openDialect(config.Dialect, config.DSN)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, logger: config.Logger, dialect: d, faults: control.NewPlanted((*Fault).prepare)}
	s.connector = &connector{server: s, driver: d.driver()}
	plain, err := d.plain()
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	s.db = sqlx.NewDb(sql.OpenDB(plain), d.name())
	s.db.SetMaxOpenConns(ownConnections)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.handler = s.routes()
	return s, nil
}

// Handler serves the control surface, /_sandbox/.
func (s *Server) Handler() http.Handler { return s.handler }

// Connector gives clients connections to the database that obey the planted faults: sql.OpenDB(server.Connector()).
func (s *Server) Connector() driver.Connector { return s.connector }

// Close closes the server's own connections. Clients close theirs.
func (s *Server) Close() error { return errors.Join(s.db.Close(), s.dialect.close()) }

// now is the time of the company, in whole seconds as its audit columns have it.
func (s *Server) now() time.Time { return s.config.Clock().UTC() }
