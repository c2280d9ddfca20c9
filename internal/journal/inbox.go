package journal

import (
	"context"
	"fmt"
	"time"
)

// InboxState says what became of a received event.
type InboxState string

// The states of an inbox item.
const (
	InboxPending   InboxState = "pending"
	InboxDelivered InboxState = "delivered"
	InboxIgnored   InboxState = "ignored"   // nothing to do: no event of ours
	InboxAttention InboxState = "attention" // given up: a person must look
)

// InboxItem is an event that was received from outside.
type InboxItem struct {
	ID         string // hash of what makes the event: type, resource, status
	Source     string // "cybersource", "erp-syspro", ...
	EventType  string
	ResourceID string
	OrderID    string
	Body       []byte // sealed at rest
	ReceivedAt time.Time
	State      InboxState
	Tries      int
	NextTryAt  time.Time
	LastError  string
}

// inboxLease is how long an item that Pending has given is kept from the next caller: longer than a delivery may take.
const inboxLease = time.Minute

// Receive stores an event durably before it is acknowledged. created=false: it was received before.
func (s *Store) Receive(ctx context.Context, item InboxItem) (created bool, err error) {
	body, err := s.seal(required(item.Body), "inbox", "body", item.ID)
	if err != nil {
		return false, err
	}
	now := s.now()
	received, next, state := now, now, InboxPending
	if !item.ReceivedAt.IsZero() {
		received = toInstant(item.ReceivedAt)
	}
	if !item.NextTryAt.IsZero() {
		next = toInstant(item.NextTryAt)
	}
	set(&state, item.State)
	inserted, err := s.db.write().exec(ctx, `INSERT INTO inbox (`+inboxColumns+`, updated_at) VALUES `+in(12)+`
		ON CONFLICT (id) DO NOTHING`, item.ID, item.Source, redact(item.EventType), redact(item.ResourceID), redact(item.OrderID), body,
		state, item.Tries, next, redact(item.LastError), received, now)
	return inserted == 1, failed(err, "receive event", item.ID)
}

// Pending gives events that are due at a time, oldest first, and leases them: the next call, by whichever process, passes
// them over for a minute. Follow each with Delivered, Ignored, Postpone or GiveUp; one that is not comes again. One whose body
// can't be opened is logged and left out, so that it does not hold up the others.
func (s *Store) Pending(ctx context.Context, now time.Time, limit int) ([]InboxItem, error) {
	var rows []inboxRow
	err := s.db.write().list(ctx, &rows, `WITH due AS (
			SELECT id FROM inbox WHERE state = 'pending' AND next_try_at <= ? ORDER BY next_try_at, id LIMIT ?`+s.db.dialect.skip+`)
		UPDATE inbox SET next_try_at = ? WHERE id IN (SELECT id FROM due) RETURNING `+inboxColumns,
		toInstant(now), limit, toInstant(now.Add(inboxLease)))
	if err != nil {
		return nil, fmt.Errorf("read inbox: %w", err)
	}
	items := readable(ctx, s.journal, rows, s.inboxItem)
	sortBy(items, func(a, b InboxItem) int { return byTime(a.ReceivedAt, b.ReceivedAt, a.ID, b.ID) })
	return items, nil
}

// Delivered ends an event that reached its process.
func (s *Store) Delivered(ctx context.Context, id string) error {
	return s.endEvent(ctx, id, InboxDelivered, "")
}

// Ignored ends an event that concerns nothing of ours; reason says why.
func (s *Store) Ignored(ctx context.Context, id, reason string) error {
	return s.endEvent(ctx, id, InboxIgnored, reason)
}

// GiveUp leaves an event to a person.
func (s *Store) GiveUp(ctx context.Context, id, reason string) error {
	return s.endEvent(ctx, id, InboxAttention, reason)
}

func (s *Store) endEvent(ctx context.Context, id string, state InboxState, reason string) error {
	changed, err := s.db.write().exec(ctx, `UPDATE inbox SET state = ?, last_error = ?, tries = tries + 1, updated_at = ?
		WHERE id = ?`, state, redact(reason), s.now(), id)
	if err != nil {
		return failed(err, "end event", id)
	}
	return s.exists(changed, "event", id)
}

// Postpone makes an event due again at a time, after a delivery that failed.
func (s *Store) Postpone(ctx context.Context, id string, until time.Time, reason string) error {
	changed, err := s.db.write().exec(ctx, `UPDATE inbox SET state = 'pending', last_error = ?, tries = tries + 1, next_try_at = ?,
		updated_at = ? WHERE id = ? AND state = 'pending'`, redact(reason), toInstant(until), s.now(), id)
	if err != nil {
		return failed(err, "postpone event", id)
	}
	return s.exists(changed, "pending event", id)
}

// Event gives a received event, ErrNotFound if there is none.
func (s *Store) Event(ctx context.Context, id string) (InboxItem, error) {
	var row inboxRow
	err := s.db.read().get(ctx, &row, `SELECT `+inboxColumns+` FROM inbox WHERE id = ?`, id)
	if err := found(err, "event", id); err != nil {
		return InboxItem{}, err
	}
	return s.inboxItem(row)
}

const inboxColumns = `id, source, event_type, resource_id, order_id, body, state, tries, next_try_at, last_error, received_at`

// inboxRow is an event as the table has it.
type inboxRow struct {
	ID         string     `db:"id"`
	Source     string     `db:"source"`
	EventType  string     `db:"event_type"`
	ResourceID string     `db:"resource_id"`
	OrderID    string     `db:"order_id"`
	Body       []byte     `db:"body"`
	State      InboxState `db:"state"`
	Tries      int        `db:"tries"`
	NextTryAt  instant    `db:"next_try_at"`
	LastError  string     `db:"last_error"`
	ReceivedAt instant    `db:"received_at"`
}

func (s *Store) inboxItem(row inboxRow) (InboxItem, error) {
	body, err := s.unseal(row.Body, "inbox", "body", row.ID)
	if err != nil {
		return InboxItem{}, err
	}
	return InboxItem{
		ID: row.ID, Source: row.Source, EventType: row.EventType, ResourceID: row.ResourceID, OrderID: row.OrderID, Body: body,
		ReceivedAt: row.ReceivedAt.time(), State: row.State, Tries: row.Tries, NextTryAt: row.NextTryAt.time(), LastError: row.LastError,
	}, nil
}
