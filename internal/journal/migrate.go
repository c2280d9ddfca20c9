package journal

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// tableSet is a set of tables that is migrated by itself.
type tableSet struct {
	folder  string
	history string // the table in which goose keeps what it has done
}

var (
	operationTables = tableSet{folder: "migrations/operations", history: "journal_operations_version"}
	centralTables   = tableSet{folder: "migrations/central", history: "journal_central_version"}
)

func migrate(ctx context.Context, dsn string, log *slog.Logger, sets ...tableSet) error {
	db, err := connect(dsn, true, 2)
	if err != nil {
		return err
	}
	return errors.Join(db.migrate(ctx, log, sets...), db.close())
}

// migrate brings the tables up to date, while others may do so at the same time. On PostgreSQL they wait for a lock. On SQLite,
// where there is none, each migration is a transaction that only one of them can commit: who loses looks again.
func (d *database) migrate(ctx context.Context, log *slog.Logger, sets ...tableSet) error {
	for _, set := range sets {
		err := d.up(ctx, log, set)
		for range migrationTries - 1 {
			if err == nil || d.dialect != sqliteDialect {
				break
			}
			err = d.up(ctx, log, set)
		}
		if err != nil {
			return fmt.Errorf("migrate journal: %w", err)
		}
	}
	return nil
}

const (
	migrationTries = 10
	migrationLock  = 5 * time.Minute // how long to wait for another program that migrates
)

func (d *database) up(ctx context.Context, log *slog.Logger, set tableSet) error {
	provider, err := d.provider(set, log)
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	for _, result := range results {
		log.InfoContext(ctx, "journal migrated", "file", result.Source.Path, "duration", result.Duration)
	}
	return nil
}

func (d *database) provider(set tableSet, log *slog.Logger) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, set.folder)
	if err != nil {
		return nil, err
	}
	files := dialectFiles{folder, d.dialect.name}
	options := []goose.ProviderOption{goose.WithTableName(set.history), goose.WithSlog(log), goose.WithDisableGlobalRegistry(true)}
	if d.dialect == postgresDialect {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrationLock.Seconds())))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(goose.Dialect(d.dialect.name), d.writer.DB, files, options...)
}

// dialectFiles shows of a folder the migrations for one dialect: "00001_name.sql" is for both, "00002_name.postgres.sql" for one.
type dialectFiles struct {
	fs.FS
	dialect string
}

// ReadDir leaves out what is for the other dialect.
func (f dialectFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		parts := strings.Split(entry.Name(), ".")
		return len(parts) == 3 && parts[1] != f.dialect
	}), err
}

// check tells whether the database answers and is at least at the version of this program. It asks for no more than the right
// to read; a newer version is fine, so that a new release can be rolled out, and back, program by program.
func (d *database) check(ctx context.Context, sets ...tableSet) error {
	if err := d.reader.PingContext(ctx); err != nil {
		return fmt.Errorf("reach journal: %w", err)
	}
	for _, set := range sets {
		want, err := set.latest()
		if err != nil {
			return err
		}
		have, err := d.version(ctx, set)
		if err != nil {
			return err
		}
		if have < want {
			return fmt.Errorf("%w (%s is at version %d, this program needs %d)", ErrNotSetUp, set.history, have, want)
		}
	}
	return nil
}

// version is the latest migration the database has seen, 0 if none.
func (d *database) version(ctx context.Context, set tableSet) (int64, error) {
	known := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`
	if d.dialect == postgresDialect {
		known = `SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(?)`
	}
	var tables int
	if err := d.read().get(ctx, &tables, known, set.history); err != nil {
		return 0, fmt.Errorf("read journal version: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var version int64
	err := d.read().get(ctx, &version, `SELECT COALESCE(MAX(version_id), 0) FROM `+set.history)
	if err != nil {
		return 0, fmt.Errorf("read journal version: %w", err)
	}
	return version, nil
}

// latest is the version of the last embedded migration.
func (s tableSet) latest() (int64, error) {
	entries, err := fs.ReadDir(migrations, s.folder)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}
