package sagepro

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
)

//go:embed schema_sqlite.sql
var schemaSQLite string

//go:embed schema_postgres.sql
var schemaPostgres string

var tableName = regexp.MustCompile(`(?m)^CREATE TABLE IF NOT EXISTS (\w+) \(`)

// tables names every table of the schema, in the order in which it makes them.
func tables(schema string) []string {
	var names []string
	for _, match := range tableName.FindAllStringSubmatch(schema, -1) {
		names = append(names, match[1])
	}
	return names
}

// prepare makes what is absent of the schema, seeds a company that is new, and brings the periods up to the clock.
func (s *Server) prepare(ctx context.Context) error {
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		if err := s.dialect.alone(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.dialect.schema()); err != nil {
			return fmt.Errorf("make schema: %w", err)
		}
		seeded := false
		if err := tx.GetContext(ctx, &seeded, "SELECT count(*) > 0 FROM sycnext"); err != nil {
			return err
		}
		if seeded {
			return nil
		}
		return s.seed(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("prepare company %s: %w", s.config.Company, err)
	}
	return s.followClock(ctx)
}

// reset empties every table and seeds anew, the numbers of rows included.
func (s *Server) reset(ctx context.Context) error {
	s.mu.Lock()
	s.late, s.reserved = 0, 0
	s.mu.Unlock()
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		for _, statement := range s.dialect.empty(tables(s.dialect.schema())) {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("empty tables: %w", err)
			}
		}
		return s.seed(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("reset company %s: %w", s.config.Company, err)
	}
	s.following.Lock()
	s.followed = ""
	s.following.Unlock()
	return s.followClock(ctx)
}

// change runs a transaction of the server's own, and commits it where it went well.
func (s *Server) change(ctx context.Context, run func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := run(tx); err != nil {
		_ = tx.Rollback() // what went wrong before says more
		return err
	}
	return tx.Commit()
}

// number fills the number of a document up on the left, as sono and invno are kept.
func number(n string) string { return fmt.Sprintf("%10s", strings.TrimSpace(n)) }

// code fills a code up on the right.
func code(c string, width int) string { return fmt.Sprintf("%-*s", width, strings.TrimSpace(c)) }

// Widths of codes that are keys.
const (
	custnoWidth = 6
	itemWidth   = 15
	loctidWidth = 3
	vendnoWidth = 6
	glacntWidth = 24
)
