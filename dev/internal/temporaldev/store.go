package temporaldev

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// clusterName and clusterID are those of the server's only cluster; they are written into the file and must not change.
const (
	clusterName = "active"
	clusterID   = "6b0f6a3e-7f0c-4c5e-9a44-0d5b2f4f7233"
)

// retention keeps closed workflows long enough that a demonstration of last week can still be looked at.
const retention = 30 * 24 * time.Hour

// schemaVersion is what this build of the server expects in a file: main and visibility schema.
const schemaVersion = sqliteschema.Version + "/" + sqliteschema.VisibilityVersion

// store is where the server keeps its state.
type store struct{ sql *config.SQL }

// openStore prepares the database and registers the namespaces with their search attributes in it, before any service
// runs, so that no cache of the first start has to catch up.
func openStore(cfg Config) (*store, error) {
	s := &store{sql: &config.SQL{PluginName: sqliteplugin.PluginName}}
	if cfg.Dir == "" {
		// A name of its own, or all servers of one process would share one database.
		s.sql.DatabaseName = "temporaldev-" + uuid.NewString()
		s.sql.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		path, err := filepath.Abs(filepath.Join(cfg.Dir, "temporal.db"))
		if err != nil {
			return nil, fmt.Errorf("temporal database: %w", err)
		}
		if err := prepareFile(path); err != nil {
			return nil, fmt.Errorf("temporal database %s: %w", path, err)
		}
		s.sql.DatabaseName = (&url.URL{Path: path}).EscapedPath() // the server builds a file: URI of it
		// A write-ahead log that is synced at checkpoints: a crash of the process loses nothing, a power cut may lose the
		// last moments, in one piece. The intents of money operations are in a journal of their own, which syncs each.
		s.sql.ConnectAttributes = map[string]string{
			"mode": "rw", "journal_mode": "wal", "synchronous": "normal", "busy_timeout": "10000",
		}
	}
	if err := s.createNamespaces(namespaces(cfg), cfg.SearchAttributes); err != nil {
		return nil, err
	}
	return s, nil
}

// createNamespaces registers those that are missing; existing ones it leaves as they are.
func (s *store) createNamespaces(names []string, attributes map[string]enums.IndexedValueType) error {
	var configs []*sqliteschema.NamespaceConfig
	for _, name := range names {
		namespace, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, attributes)
		if err != nil {
			return fmt.Errorf("temporal namespace %s: %w", name, err)
		}
		namespace.Detail.Config.Retention = durationpb.New(retention)
		configs = append(configs, namespace)
	}
	if err := sqliteschema.CreateNamespaces(s.sql, configs...); err != nil {
		return fmt.Errorf("register temporal namespaces: %w", err)
	}
	return nil
}

// prepareFile creates the tables in a new file, in one transaction, so that a crash leaves either none or all, and refuses
// a file whose schema is not this server's, which would fail later and less clearly.
func prepareFile(path string) error {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=rwc&_pragma=busy_timeout=10000")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE type = 'table'`).Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return checkSchema(ctx, db)
	}
	if err := os.Chmod(path, 0o600); err != nil { // payloads are encrypted, workflow IDs are not
		return err
	}
	return createSchema(ctx, db)
}

func createSchema(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if err := sqliteschema.SetupSchemaOnDB(schemaTx{tx: tx, ctx: ctx}); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE temporaldev_schema (version TEXT NOT NULL)`); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO temporaldev_schema (version) VALUES (?)`, schemaVersion); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	return tx.Commit()
}

var errForeignFile = errors.New("was not made by this program: move it away, or use another directory")

func checkSchema(ctx context.Context, db *sql.DB) error {
	var version string
	if err := db.QueryRowContext(ctx, `SELECT version FROM temporaldev_schema`).Scan(&version); err != nil {
		return fmt.Errorf("%w (%w)", errForeignFile, err)
	}
	if version != schemaVersion {
		return fmt.Errorf("has schema %s, this Temporal server needs %s: move the file away to start afresh", version, schemaVersion)
	}
	return nil
}

// schemaTx lets the server's schema set-up, which wants its own database type, run in our transaction. It calls Exec only.
type schemaTx struct {
	sqlplugin.AdminDB
	ctx context.Context
	tx  *sql.Tx
}

func (s schemaTx) Exec(statement string, args ...any) error {
	_, err := s.tx.ExecContext(s.ctx, statement, args...)
	return err
}
