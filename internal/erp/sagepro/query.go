package sagepro

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// querier runs queries in the layout's names, on a database or in a transaction. Its errors are the driver's.
type querier struct {
	run     sqlx.ExtContext
	site    *site
	dialect dialect
	bind    int
}

// row is what is written of one row: a value by column of the layout, or of the site.
type row map[string]any

// get scans one row into dest; sql.ErrNoRows if there is none.
func (q querier) get(ctx context.Context, dest any, query string, arguments ...any) error {
	written, err := q.site.sql(query)
	if err != nil {
		return err
	}
	return sqlx.GetContext(ctx, q.run, dest, sqlx.Rebind(q.bind, written), arguments...)
}

// list scans all rows into the slice that dest points to.
func (q querier) list(ctx context.Context, dest any, query string, arguments ...any) error {
	written, err := q.site.sql(query)
	if err != nil {
		return err
	}
	return q.listPlain(ctx, dest, written, arguments...)
}

// listBoth asks a table and its history twin in one statement, current first, so that a row that is just being moved is not missed. It may come
// from both: see listOnce. In the query "@" stands for the table, and {@moved} for 1 in history, else 0: SELECT {@: sono}, {@moved} AS moved FROM {@}
// WHERE {@.sono} = ?.
func (q querier) listBoth(ctx context.Context, dest any, table, query string, arguments ...any) error {
	written := of(query, table, "0")
	if history, moves := twins[table]; moves && q.site.keeps(history) {
		written += " UNION ALL " + of(query, history, "1")
		arguments = append(slices.Clone(arguments), arguments...)
	}
	return q.list(ctx, dest, written, arguments...)
}

// twin is a row of a table that has history.
type twin[T any] interface {
	*T
	itself() (row text, moved whole) // which one it is, wherever it stands, and whether it is from history; a query that does not ask for that sees rows twice
}

// listOnce is listBoth for rows of which each counts once.
func listOnce[T any, P twin[T]](ctx context.Context, q querier, table, query string, arguments ...any) ([]T, error) {
	var found []T
	err := q.listBoth(ctx, &found, table, query, arguments...)
	return once[T, P](found), err
}

// once leaves out the current rows that are in history too: a period close was moving them while they were read. Where readers take locks, as SQL
// Server's do unasked, a row is seen before it is taken away, and once more where it was put.
func once[T any, P twin[T]](rows []T) []T {
	history := map[text]bool{}
	for i := range rows {
		if row, moved := P(&rows[i]).itself(); moved != 0 {
			history[row] = true
		}
	}
	if len(history) == 0 {
		return rows
	}
	return slices.DeleteFunc(rows, func(each T) bool {
		row, moved := P(&each).itself()
		return moved == 0 && history[row]
	})
}

func of(query, table, moved string) string {
	return strings.ReplaceAll(strings.ReplaceAll(query, "{@moved}", moved), "{@", "{"+table)
}

// listPlain runs a query that is SQL already.
func (q querier) listPlain(ctx context.Context, dest any, query string, arguments ...any) error {
	return sqlx.SelectContext(ctx, q.run, dest, sqlx.Rebind(q.bind, query), arguments...)
}

// execPlain runs a statement that is SQL already and tells how many rows it touched.
func (q querier) execPlain(ctx context.Context, query string, arguments ...any) (int64, error) {
	result, err := q.run.ExecContext(ctx, sqlx.Rebind(q.bind, query), arguments...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// value writes an argument as the column "table.name" keeps it.
func (q querier) value(column string, value any) any {
	table, name, _ := strings.Cut(column, ".")
	known, exists := q.site.column(table, name)
	if !exists {
		return value
	}
	bound, err := bindValue(q.dialect, known, value)
	if err != nil {
		return value // of a type that the driver has to judge
	}
	return bound
}

// values writes arguments for "table.column IN (...)".
func (q querier) values(column string, values []string) []any {
	all := make([]any, 0, len(values))
	for _, value := range values {
		all = append(all, q.value(column, value))
	}
	return all
}

// columnsOf resolves the columns of a row, in the order of their names, so that a statement's text is always the same. Optional columns that
// the site has not are left out.
func (q querier) columnsOf(table string, values row) (names []string, arguments []any, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		column, exists := q.site.column(table, name)
		if !exists {
			if q.site.layout[table][name].use == optional {
				continue
			}
			return nil, nil, missingColumn{table + "." + name}
		}
		bound, err := bindValue(q.dialect, column, values[name])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", table, err)
		}
		if bound == nil && !column.nullable {
			bound = neutral(q.dialect, column)
		}
		names, arguments = append(names, q.dialect.quote(column.name)), append(arguments, bound)
	}
	return names, arguments, nil
}
