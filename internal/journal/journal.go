// Package journal is Tenderline's own database: the operations that make money move exactly once, payments with their
// reservations, the read model of orders with its timeline, refunds and reviews, the webhook inbox, what waits for a person, the
// outbox of notices to people, and the audit of every outside call. It runs on SQLite and on PostgreSQL with one schema and one set of queries.
//
// Texts that may hold personal data are sealed by a key ring, each bound to its row and column. Times are kept in UTC with
// microseconds, amounts as exact decimals.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/keyring"
)

// The errors that callers tell apart.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrNotSetUp: the database lacks tables that this program needs.
	ErrNotSetUp = errors.New("the journal is not set up; run `tenderline setup`")
	// ErrInputDiffers: the operation's key is taken by one with another business input.
	ErrInputDiffers = errors.New("operation exists with another input")
	// ErrOutsideIDTaken: the transaction or document outside already belongs to another operation.
	ErrOutsideIDTaken = errors.New("outside id belongs to another operation")
	// ErrConcluded: the operation has a final outcome already, other than the one given; nothing was changed, nothing
	// may be sent.
	ErrConcluded = errors.New("operation has another final outcome")
	// ErrPaymentOperation: the operation changes a payment; conclude it with the Store's methods for payments.
	ErrPaymentOperation = errors.New("operation changes a payment")
	// ErrOrderDiffers: the order id is taken by an order with another body.
	ErrOrderDiffers = errors.New("order exists with another body")
	// ErrRefundDiffers: the refund id is taken by a refund of the order with another body.
	ErrRefundDiffers = errors.New("refund exists with another body")
	// ErrResolved: the parked item was resolved before, in another way.
	ErrResolved = errors.New("resolved before, in another way")
)

// Options of a journal.
type Options struct {
	Keyring        *keyring.Ring    // required: seals personal data
	Clock          func() time.Time // default: time.Now
	Logger         *slog.Logger     // default: none
	Migrate        bool             // bring the tables up to date; else refuse a journal that is not
	MaxConnections int              // of PostgreSQL; default 20
}

// journal is what both kinds of it stand on.
type journal struct {
	db    *database
	ring  *keyring.Ring
	clock func() time.Time
	log   *slog.Logger
}

// Store is the central journal. It is safe for concurrent use.
type Store struct {
	journal
	operations *Operations
}

// Open opens the central journal: "sqlite:/path/file.db" or "postgres://...".
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	j, err := open(ctx, dsn, opts, operationTables, centralTables)
	if err != nil {
		return nil, err
	}
	return &Store{journal: j, operations: &Operations{j}}, nil
}

// OpenOperations opens a journal of operations and audit alone, as an ERP worker on premises keeps it beside itself.
func OpenOperations(ctx context.Context, dsn string, opts Options) (*Operations, error) {
	j, err := open(ctx, dsn, opts, operationTables)
	if err != nil {
		return nil, err
	}
	return &Operations{j}, nil
}

// Migrate brings the central journal's tables up to date, making an SQLite file where there is none. It needs no keys.
func Migrate(ctx context.Context, dsn string, log *slog.Logger) error {
	return migrate(ctx, dsn, log, operationTables, centralTables)
}

// MigrateOperations does what Migrate does for a journal of operations alone.
func MigrateOperations(ctx context.Context, dsn string, log *slog.Logger) error {
	return migrate(ctx, dsn, log, operationTables)
}

func open(ctx context.Context, dsn string, opts Options, sets ...tableSet) (journal, error) {
	if opts.Keyring == nil {
		return journal{}, errors.New("open journal: a key ring is required")
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := connect(dsn, opts.Migrate, opts.MaxConnections)
	if err != nil {
		return journal{}, err
	}
	if opts.Migrate {
		err = db.migrate(ctx, opts.Logger, sets...)
	} else {
		err = db.check(ctx, sets...)
	}
	if err != nil {
		return journal{}, errors.Join(err, db.close())
	}
	return journal{db: db, ring: opts.Keyring, clock: opts.Clock, log: opts.Logger}, nil
}

// Operations gives the operations of this database: the gateway's, and by default the ERPs' too.
func (s *Store) Operations() *Operations { return s.operations }

// Check tells whether the database answers and has the tables that this program needs.
func (s *Store) Check(ctx context.Context) error {
	return s.db.check(ctx, operationTables, centralTables)
}

// Close closes the database, and with it the Operations of the store.
func (j journal) Close() error { return j.db.close() }

// now is the current time as the database keeps it.
func (j journal) now() instant { return toInstant(j.clock()) }

// seal encrypts a text for its place: table, column and key of the row. nil stays nil.
func (j journal) seal(text []byte, place ...string) ([]byte, error) {
	if text == nil {
		return nil, nil
	}
	sealed, err := j.ring.Seal(text, placeOf(place))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", place[0], err)
	}
	return sealed, nil
}

// unseal decrypts what seal made for the same place.
func (j journal) unseal(sealed []byte, place ...string) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	text, err := j.ring.Open(sealed, placeOf(place))
	if err != nil {
		return nil, fmt.Errorf("open %s of %q: %w", place[0], place[len(place)-1], err)
	}
	return text, nil
}

func placeOf(parts []string) []byte { return []byte(strings.Join(parts, "\x00")) }

// required makes an empty text of none, for columns that always hold one.
func required(text []byte) []byte {
	if text == nil {
		return []byte{}
	}
	return text
}

// convert turns rows into what callers see.
func convert[R, T any](rows []R, one func(R) (T, error)) ([]T, error) {
	list := make([]T, 0, len(rows))
	for _, row := range rows {
		item, err := one(row)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// readable is convert for queues: a row that can't be opened, for want of its key, is logged and left where it is.
func readable[R, T any](ctx context.Context, j journal, rows []R, one func(R) (T, error)) []T {
	list := make([]T, 0, len(rows))
	for _, row := range rows {
		item, err := one(row)
		if err != nil {
			j.log.ErrorContext(ctx, "journal row can't be opened", "error", err)
			continue
		}
		list = append(list, item)
	}
	return list
}

// found gives the error of a look-up that names what was looked for.
func found(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %q: %w", what, id, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read %s %q: %w", what, id, err)
	}
	return nil
}

// failed names the step that failed, once.
func failed(err error, step, id string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", step, id, err)
}
