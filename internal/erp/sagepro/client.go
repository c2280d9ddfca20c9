// Package sagepro drives Sage Pro ERP through its database, which is the only interface that it has. What application code of Sage Pro does
// around a document (next number, running totals, record locks, history) is done here, in one transaction per operation, whose first
// row is the operation's own: it is there exactly if the operation was committed.
//
// Every site's Sage Pro differs: Names says what its tables and columns are called, Check tells what is missing, and documents may hold any
// column that the site has. The databases' dialects are told apart in the dialect files alone.
package sagepro

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Config describes one company of a Sage Pro site. DB and Dialect are needed.
type Config struct {
	DB      *sqlx.DB // by Open; the adapter does not close it
	Dialect Dialect
	Company string // two characters; default "01"
	Names   Names

	Name           string // name in faults and logs; default "erp-sagepro"
	User           string // who is named in audit columns, at most four characters; default "TNDL"
	FreightItem    string // item of the line that freight becomes; default "FREIGHT"
	Location       string // stock location of lines that name none; default "N"
	CustomerPrefix string // first characters of the codes of customers that are made here; default "W"

	StaleLock time.Duration  // a person's record lock that is older is passed over and taken away; 0: never
	BusyPause time.Duration  // when to come again while the ERP is in exclusive use; default 30 s
	LockWait  time.Duration  // longest wait for a row of another transaction; default 5 s
	Timeout   time.Duration  // one call; default 25 s
	TimeZone  *time.Location // of business dates and audit columns; default UTC

	Guard  *outbound.Guard  // breaker, rate limit and record of calls; default one without a rate limit
	Logger *slog.Logger     // default: nothing is logged
	Clock  func() time.Time // default time.Now
}

const (
	defaultName      = "erp-sagepro"
	defaultTimeout   = 25 * time.Second
	defaultBusyPause = 30 * time.Second
	defaultLockWait  = 5 * time.Second
	longestUser      = 4
)

// Client implements erp.Port, erp.ChangePort, erp.JournalPort, erp.RatePort and erp.Catalog. It is safe for concurrent use.
type Client struct {
	config  Config
	dialect dialect
	bind    int
	layout  layout
	hold    Hold
	held    CustomerHold
	site    atomic.Pointer[site] // nil until the first call reached the database
}

var companyCode = regexp.MustCompile(`^[A-Za-z0-9]{2}$`)

// New checks the configuration; it calls nobody.
func New(config Config) (*Client, error) {
	config = config.withDefaults()
	d, err := dialectOf(config.Dialect)
	if err != nil {
		return nil, err
	}
	stock, err := stockLayout()
	if err != nil {
		return nil, err
	}
	switch {
	case config.DB == nil:
		return nil, errors.New("configure sagepro: there is no database")
	case !companyCode.MatchString(config.Company):
		return nil, errors.New("configure sagepro: a company has two characters")
	case len(config.User) > longestUser:
		return nil, errors.New("configure sagepro: the user of audit columns has at most four characters")
	}
	if err := config.Names.check(); err != nil {
		return nil, err
	}
	return &Client{config: config, dialect: d, bind: bindOf(config.DB, d), layout: stock, hold: config.Names.Hold.withDefaults(),
		held: config.Names.CustomerHold.withDefaults()}, nil
}

func (c Config) withDefaults() Config {
	for _, text := range []struct {
		value    *string
		fallback string
	}{
		{&c.Company, "01"}, {&c.Name, defaultName}, {&c.User, "TNDL"}, {&c.FreightItem, "FREIGHT"}, {&c.Location, "N"}, {&c.CustomerPrefix, "W"},
	} {
		if *text.value == "" {
			*text.value = text.fallback
		}
	}
	for _, duration := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.Timeout, defaultTimeout}, {&c.BusyPause, defaultBusyPause}, {&c.LockWait, defaultLockWait},
	} {
		if *duration.value <= 0 {
			*duration.value = duration.fallback
		}
	}
	if c.TimeZone == nil {
		c.TimeZone = time.UTC
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Guard == nil {
		c.Guard = outbound.NewGuard(outbound.Config{System: c.Name, Logger: c.Logger, Clock: c.Clock})
	}
	c.FreightItem, c.Location = foldCode(c.FreightItem), strings.TrimSpace(c.Location)
	return c
}

// The methods of calls as they are recorded: what HTTP calls GET and POST.
const (
	methodRead  = "READ"
	methodWrite = "WRITE"
)

// guarded runs one call of a name behind breaker and rate limit, within its time-out.
func (c *Client) guarded(ctx context.Context, method, name string, do func(context.Context) error) error {
	return c.config.Guard.Do(ctx, outbound.Call{Method: method, Route: name}, func(*outbound.Call) error {
		ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
		if err := ctx.Err(); err != nil {
			return c.failed(err)
		}
		return do(ctx)
	})
}

// change runs a call that changes something.
func (c *Client) change(ctx context.Context, name string, do func(context.Context) error) error {
	return c.guarded(ctx, methodWrite, name, do)
}

// read runs a look-up. Each of its statements sees what was committed before it; those that must agree are one.
func (c *Client) read(ctx context.Context, name string, look func(context.Context, querier) error) error {
	return c.guarded(ctx, methodRead, name, func(ctx context.Context) error {
		q, err := c.querier(ctx)
		if err != nil {
			return err
		}
		return c.failed(look(ctx, q))
	})
}

// querier asks the database itself, outside of a transaction.
func (c *Client) querier(ctx context.Context) (querier, error) {
	known, err := c.known(ctx)
	if err != nil {
		return querier{}, err
	}
	return querier{run: c.config.DB, site: known, dialect: c.dialect, bind: c.bind}, nil
}

// known gives what the database has, and asks for it once.
func (c *Client) known(ctx context.Context) (*site, error) {
	if known := c.site.Load(); known != nil {
		return known, nil
	}
	read, err := c.readSite(ctx)
	if err != nil {
		return nil, c.failed(err)
	}
	c.site.Store(read)
	return read, nil
}

// now is the time in the site's zone.
func (c *Client) now() time.Time { return c.config.Clock().In(c.config.TimeZone) }

// today is the site's business date, YYYY-MM-DD.
func (c *Client) today() string { return c.now().Format(time.DateOnly) }

// docKey is what names an operation's row: never empty.
func docKey(key string) string { return erp.IdempotencyKey(key) }
