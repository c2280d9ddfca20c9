package sagepro

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/erp"
)

// Sage Pro has no column that tells when a row was changed. So this package keeps a fingerprint of each document that concerns us in cyb_change, with
// the database's time at which another one was first seen; a question compares first, and is then answered from there. A row that was
// committed late is just seen late: its time of change is that of the sight, so that nobody who asks from where he has read to can miss it.

// feed is one kind of documents that can be asked for what changed.
type feed[T any] struct {
	name string // of the stream in cyb_change
	// look gives the documents as they stand: all that may have changed since their last look. numbers are those to be looked at; nil for all.
	look func(ctx context.Context, q querier, numbers []string) (map[string]sight[T], error)
	// wanted leaves out what a question does not ask for; nil wants all.
	wanted func(document T, query erp.ChangeQuery) bool
	// more tells whether the last look at everything found something to keep beside the documents, and keep keeps it. nil: there never is.
	more func() bool
	keep func(ctx context.Context, t *tx) error
}

// sight is a document as it stands.
type sight[T any] struct {
	document T
	finished bool // nothing more is to come of it: it is looked at for a while yet
	gone     bool // it counts no more, and is left out of lists
}

// The states of rows in cyb_change.
const (
	stateFinished = "history"
	stateGone     = "void"
)

// afterlife is how long after its last change a finished document is still looked at: people correct a tracking number, or take a shipment back. A
// look costs no more with the years then.
const afterlife = 30 * 24 * time.Hour

// changeRow is a row of cyb_change.
type changeRow struct {
	Number  text   `db:"number"`
	Print   text   `db:"print"`
	Changed moment `db:"changed"`
	State   text   `db:"state"`
}

const changeColumns = "{cyb_change: number print changed state}"

const (
	mostChanges    = 500 // rows of a page
	changesPerPage = 100 // where the question names no limit
)

// list answers a question. The first page looks at everything; the next ones only read on.
func list[T any](ctx context.Context, c *Client, name string, query erp.ChangeQuery, f feed[T]) (erp.ChangePage[T], error) {
	var page erp.ChangePage[T]
	from, err := c.readCursor(query)
	if err != nil {
		return page, err
	}
	if query.Cursor == "" {
		if err := note(ctx, c, name, f); err != nil {
			return page, err
		}
	}
	err = c.read(ctx, name, func(ctx context.Context, q querier) (err error) {
		page, err = readPage(ctx, q, query, from, f)
		return err
	})
	return page, err
}

// note looks, and writes what is new. It writes nothing while nothing is; else it looks once more behind a lock, so that times of change grow in
// the order in which they are committed.
func note[T any](ctx context.Context, c *Client, name string, f feed[T]) error {
	news := false
	err := c.read(ctx, name, func(ctx context.Context, q querier) error {
		changed, err := differences(ctx, q, f)
		news = len(changed) > 0 || f.more != nil && f.more()
		return err
	})
	if err != nil || !news {
		return err
	}
	return c.change(ctx, name, func(ctx context.Context) error {
		return c.transact(ctx, "", func(ctx context.Context, t *tx) error {
			if err := t.lockStream(ctx, f.name); err != nil {
				return err
			}
			changed, err := differences(ctx, t.querier, f)
			if err != nil {
				return err
			}
			if err := t.writeChanges(ctx, f.name, changed); err != nil || f.more == nil || !f.more() {
				return err
			}
			return f.keep(ctx, t)
		})
	})
}

// lockStream has notes of one stream follow one another.
func (t *tx) lockStream(ctx context.Context, stream string) error {
	_, err := t.insertAbsent(ctx, "cyb_watermark", []string{"company", "stream"}, row{"company": t.site.company, "stream": stream, "lastid": 0})
	if err != nil {
		return err
	}
	var held []whole
	return t.list(ctx, &held, "SELECT {cyb_watermark: lastid} FROM {cyb_watermark!} WHERE {cyb_watermark.company} = ? AND {cyb_watermark.stream} = ?{lock}",
		t.value("cyb_watermark.company", t.site.company), t.value("cyb_watermark.stream", stream))
}

// differences is what a look gives that cyb_change does not tell yet: rows with the print and state that they are to have. Changed is zero where
// the time of change stays.
func differences[T any](ctx context.Context, q querier, f feed[T]) ([]changeRow, error) {
	seen, err := f.look(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	numbers := slices.Sorted(maps.Keys(seen))
	noted, err := q.noted(ctx, f.name, numbers)
	if err != nil {
		return nil, err
	}
	var rows []changeRow
	for _, number := range numbers {
		now, err := rowOf(number, seen[number])
		if err != nil {
			return nil, err
		}
		before, known := noted[number]
		switch {
		case !known && now.State == stateGone: // it never was in a list
		case !known || before.Print != now.Print:
			now.Changed = moment{time.Unix(0, 1)}
			rows = append(rows, now)
		case before.State != now.State:
			rows = append(rows, now)
		}
	}
	return rows, nil
}

func rowOf[T any](number string, s sight[T]) (changeRow, error) {
	written, err := json.Marshal(s.document)
	if err != nil {
		return changeRow{}, fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(written)
	r := changeRow{Number: text(number), Print: text(hex.EncodeToString(sum[:]))}
	switch {
	case s.gone:
		r.State = stateGone
	case s.finished:
		r.State = stateFinished
	}
	return r, nil
}

// noted reads what cyb_change tells of documents.
func (q querier) noted(ctx context.Context, stream string, numbers []string) (map[string]changeRow, error) {
	all := map[string]changeRow{}
	for page := range slices.Chunk(numbers, mostKeys) {
		var found []changeRow
		err := q.list(ctx, &found, "SELECT "+changeColumns+" FROM {cyb_change} WHERE {cyb_change.company} = ? AND {cyb_change.stream} = ? AND {cyb_change.number} IN ("+
			marks(len(page))+")", append([]any{q.value("cyb_change.company", q.site.company), q.value("cyb_change.stream", stream)}, q.values("cyb_change.number", page)...)...)
		if err != nil {
			return nil, err
		}
		for _, each := range found {
			all[string(each.Number)] = each
		}
	}
	return all, nil
}

// writeChanges notes changes, each at a time of its own that is later than all of the stream.
func (t *tx) writeChanges(ctx context.Context, stream string, rows []changeRow) error {
	at, err := t.nextChange(ctx, stream)
	if err != nil {
		return err
	}
	for _, each := range rows {
		values := row{"print": each.Print, "state": each.State}
		if !each.Changed.IsZero() {
			values["changed"] = at
			at = at.Add(time.Microsecond)
		}
		if err := t.writeChange(ctx, stream, string(each.Number), values); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeChange(ctx context.Context, stream, number string, values row) error {
	key := row{"company": t.site.company, "stream": stream, "number": number}
	made, err := t.insertAbsent(ctx, "cyb_change", []string{"company", "stream", "number"}, merged(values, key))
	if err != nil || made {
		return err
	}
	return t.updateOne(ctx, "cyb_change", key, values)
}

// nextChange is the database's time, or just after the last change of the stream where that is later.
func (t *tx) nextChange(ctx context.Context, stream string) (time.Time, error) {
	at, err := databaseTime(ctx, t.querier)
	if err != nil {
		return at, err
	}
	var last moment
	err = t.get(ctx, &last, "SELECT MAX({cyb_change.changed}) AS changed FROM {cyb_change} WHERE {cyb_change.company} = ? AND {cyb_change.stream} = ?",
		t.value("cyb_change.company", t.site.company), t.value("cyb_change.stream", stream))
	if after := last.Add(time.Microsecond); err == nil && after.After(at) {
		at = after
	}
	return at, err
}

// cursor is where a page begins: behind a time of change and a number.
type cursor struct {
	at     time.Time
	number string
}

func (c cursor) String() string { return c.at.UTC().Format(time.RFC3339Nano) + "|" + c.number }

func (c *Client) readCursor(query erp.ChangeQuery) (cursor, error) {
	if query.Cursor == "" {
		return cursor{}, nil
	}
	at, number, _ := strings.Cut(query.Cursor, "|")
	when, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || number == "" {
		return cursor{}, c.bug("the cursor of a list is none of ours")
	}
	return cursor{at: when, number: number}, nil
}

// readPage reads on behind a cursor until the page is full.
func readPage[T any](ctx context.Context, q querier, query erp.ChangeQuery, from cursor, f feed[T]) (erp.ChangePage[T], error) {
	var page erp.ChangePage[T]
	limit := changesPerPage
	if query.Limit > 0 {
		limit = min(query.Limit, mostChanges)
	}
	for {
		rows, err := q.changedAfter(ctx, f.name, query.Since, from, limit+1)
		if err != nil {
			return page, err
		}
		numbers := make([]string, 0, len(rows))
		for _, each := range rows {
			numbers = append(numbers, string(each.Number))
		}
		documents, err := f.look(ctx, q, numbers)
		if err != nil {
			return page, err
		}
		for _, each := range rows {
			if len(page.Rows) == limit {
				page.Next = from.String()
				return page, nil
			}
			from = cursor{each.Changed.Time, string(each.Number)}
			if found, there := documents[from.number]; there && !found.gone && (f.wanted == nil || f.wanted(found.document, query)) {
				page.Rows = append(page.Rows, erp.Changed[T]{Document: found.document, At: each.Changed.Time})
			}
		}
		if len(rows) <= limit {
			return page, nil
		}
	}
}

// changedAfter reads the changes since a time behind a cursor, in their order.
func (q querier) changedAfter(ctx context.Context, stream string, since time.Time, from cursor, limit int) ([]changeRow, error) {
	query := fmt.Sprintf("SELECT {top %d}"+changeColumns+" FROM {cyb_change} WHERE {cyb_change.company} = ? AND {cyb_change.stream} = ? AND {cyb_change.state} <> ?", limit)
	arguments := []any{q.value("cyb_change.company", q.site.company), q.value("cyb_change.stream", stream), q.value("cyb_change.state", stateGone)}
	if !since.IsZero() {
		query += " AND {cyb_change.changed} >= ?"
		arguments = append(arguments, q.value("cyb_change.changed", since.UTC().Truncate(time.Microsecond)))
	}
	if !from.at.IsZero() {
		at := q.value("cyb_change.changed", from.at)
		query += " AND ({cyb_change.changed} > ? OR {cyb_change.changed} = ? AND {cyb_change.number} > ?)"
		arguments = append(arguments, at, at, q.value("cyb_change.number", from.number))
	}
	query += fmt.Sprintf(" ORDER BY {cyb_change.changed}, {cyb_change.number}{limit %d}", limit)
	var found []changeRow
	return found, q.list(ctx, &found, query, arguments...)
}

// ourOrder is an order that was made here, by its row in cyb_xref.
type ourOrder struct {
	ErpKey text `db:"erpkey"`
	ExtRef text `db:"extref"`
}

// unfinished lists the documents of ours of an entity that are to be looked at for a stream.
func (q querier) unfinished(ctx context.Context, entity, stream string) ([]ourOrder, error) {
	at, err := databaseTime(ctx, q)
	if err != nil {
		return nil, err
	}
	var found []ourOrder
	return found, q.list(ctx, &found, "SELECT x.{cyb_xref.erpkey} AS erpkey, x.{cyb_xref.extref} AS extref FROM {cyb_xref} x WHERE x.{cyb_xref.company} = ?"+
		" AND x.{cyb_xref.entity} = ? AND x.{cyb_xref.erpkey} <> '' AND NOT EXISTS (SELECT 1 FROM {cyb_change} c WHERE c.{cyb_change.company} = x.{cyb_xref.company}"+
		" AND c.{cyb_change.stream} = ? AND c.{cyb_change.number} = x.{cyb_xref.erpkey} AND c.{cyb_change.state} = ? AND c.{cyb_change.changed} < ?)",
		q.value("cyb_xref.company", q.site.company), q.value("cyb_xref.entity", entity), q.value("cyb_change.stream", stream), q.value("cyb_change.state", stateFinished),
		q.value("cyb_change.changed", at.Add(-afterlife)))
}

// xrefsIn finds the rows of an entity in cyb_xref by the values of a column.
func (q querier) xrefsIn(ctx context.Context, entity, column string, values []string) ([]xref, error) {
	var all []xref
	for page := range slices.Chunk(values, mostKeys) {
		var found []xref
		err := q.list(ctx, &found, "SELECT "+xrefColumns+" FROM {cyb_xref} WHERE {cyb_xref.company} = ? AND {cyb_xref.entity} = ? AND {cyb_xref."+column+"} IN ("+
			marks(len(page))+")", append([]any{q.value("cyb_xref.company", q.site.company), q.value("cyb_xref.entity", entity)}, q.values("cyb_xref."+column, page)...)...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// inBoth finds rows of a table and its history by the values of a column, each once. columns is a list for a result, with "@" for the table.
func inBoth[T any, P twin[T]](ctx context.Context, q querier, table, columns, column string, values []string) ([]T, error) {
	var all []T
	for page := range slices.Chunk(distinct(values), mostKeys) {
		found, err := listOnce[T, P](ctx, q, table, "SELECT "+columns+" FROM {@} WHERE {@."+column+"} IN ("+marks(len(page))+")", q.values(table+"."+column, page)...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func distinct(values []string) []string {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return slices.DeleteFunc(slices.Compact(sorted), func(value string) bool { return value == "" })
}
