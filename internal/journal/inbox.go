package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
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
	return s.receive(ctx, s.db.write(), item)
}

func (s *Store) receive(ctx context.Context, q queryer, item InboxItem) (created bool, err error) {
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
	inserted, err := q.exec(ctx, `INSERT INTO inbox (`+inboxColumns+`, updated_at) VALUES `+in(12)+`
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
	return s.endEvent(ctx, s.db.write(), id, InboxDelivered, "")
}

// Ignored ends an event that concerns nothing of ours; reason says why.
func (s *Store) Ignored(ctx context.Context, id, reason string) error {
	return s.endEvent(ctx, s.db.write(), id, InboxIgnored, reason)
}

// inboxAttention is how the ids of parked items begin that stand for events.
const inboxAttention = "att-inbox-"

// InboxStep is the step of a parked item that stands for an event.
const InboxStep = "inbox"

// The resolutions of a parked item that stands for an event.
const (
	inboxReplay  = "retry"
	inboxDismiss = "skip"
)

// InboxAttentionID is the id of the parked item that GiveUp makes of an event.
func InboxAttentionID(eventID string) string { return inboxAttention + eventID }

// InboxEventID gives the event that a parked item stands for; false where it is a step of a workflow.
func InboxEventID(attentionID string) (eventID string, ok bool) {
	return strings.CutPrefix(attentionID, inboxAttention)
}

// GiveUp leaves an event to a person: it becomes a parked item, without workflow, of the step "inbox", which retry replays and skip
// dismisses, with the notices that tell of it. An event that is given up again, after a replay, opens its item again.
func (s *Store) GiveUp(ctx context.Context, id string, class fault.Kind, reason string, notices ...Notice) error {
	return s.leave(ctx, id, reason, nil, notices, func(event inboxRow) Attention {
		return Attention{
			Class: class, Actions: []string{inboxReplay, inboxDismiss},
			Summary: fmt.Sprintf("Event %s of %s was given up: %s", event.EventType, event.Source, redact(reason)),
		}
	})
}

// Proposal is what a person is to decide about an event.
type Proposal struct {
	Class      fault.Kind
	Summary    string
	Suggestion string
	Actions    []string // what it may be resolved with
	Fixes      []byte   // JSON of the ways to resolve it, the likeliest first
}

// Propose leaves an event to a person, as GiveUp does, who is to decide about what it tells.
func (s *Store) Propose(ctx context.Context, id string, proposal Proposal, notices ...Notice) error {
	return s.leave(ctx, id, proposal.Summary, proposal.Fixes, notices, func(inboxRow) Attention {
		return Attention{Class: proposal.Class, Summary: proposal.Summary, Suggestion: proposal.Suggestion, Actions: proposal.Actions}
	})
}

// leave makes a parked item of an event, or opens it again.
func (s *Store) leave(ctx context.Context, id, reason string, fixes []byte, notices []Notice, itemOf func(inboxRow) Attention) error {
	return s.db.transact(ctx, func(q queryer) error {
		var row inboxRow
		err := q.get(ctx, &row, `SELECT `+inboxColumns+` FROM inbox WHERE id = ?`+q.dialect.forUpdate, id)
		if err := found(err, "event", id); err != nil {
			return err
		}
		if err := s.endEvent(ctx, q, id, InboxAttention, reason); err != nil {
			return err
		}
		item := itemOf(row)
		item.ID, item.OrderID, item.Step, item.System = InboxAttentionID(id), row.OrderID, InboxStep, row.Source
		parked, err := s.park(ctx, q, item, ` ON CONFLICT (id) DO UPDATE SET state = excluded.state, class = excluded.class,
			document = excluded.document, actions = excluded.actions, fixes = NULL, since = excluded.since,
			resolution = '', actor = '', reason = NULL, resolved_at = 0 WHERE attention.state = 'resolved'`)
		if err != nil || !parked {
			return err
		}
		if len(fixes) > 0 {
			if err := s.addFixes(ctx, q, item.ID, fixes); err != nil {
				return err
			}
		}
		return s.addNotices(ctx, q, notices)
	})
}

// ResolveEvent closes the parked item of an event as Resolve does and, in the same transaction, makes the event due again (replay), now and
// with all its tries, or ends it as ignored. Repeating it changes nothing; another resolution or actor is ErrResolved.
func (s *Store) ResolveEvent(ctx context.Context, id, resolution, actor, reason string, replay bool) error {
	return s.resolve(ctx, InboxAttentionID(id), resolution, actor, reason, nil, func(q queryer) error {
		state, why := InboxIgnored, "dismissed by "+actor
		if replay {
			state, why = InboxPending, ""
		}
		now := s.now()
		_, err := q.exec(ctx, `UPDATE inbox SET state = ?, last_error = ?, tries = CASE WHEN ? THEN 0 ELSE tries + 1 END, next_try_at = ?,
			updated_at = ? WHERE id = ? AND state = 'attention'`, state, redact(why), replay, now, now, id)
		return failed(err, "resolve event", id)
	})
}

// Replay makes an event that was given up or ignored due again, now and with all its tries. One that is pending stays as it is.
func (s *Store) Replay(ctx context.Context, id string) error {
	now := s.now()
	changed, err := s.db.write().exec(ctx, `UPDATE inbox SET next_try_at = CASE WHEN state = 'pending' THEN next_try_at ELSE ? END,
		tries = CASE WHEN state = 'pending' THEN tries ELSE 0 END, state = 'pending', updated_at = ?
		WHERE id = ? AND state <> 'delivered'`, now, now, id)
	if err != nil {
		return failed(err, "replay event", id)
	}
	return s.exists(changed, "undelivered event", id)
}

func (s *Store) endEvent(ctx context.Context, q queryer, id string, state InboxState, reason string) error {
	changed, err := q.exec(ctx, `UPDATE inbox SET state = ?, last_error = ?, tries = tries + 1, updated_at = ?
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

// InboxFilter says which events a list holds. Zero fields don't narrow it.
type InboxFilter struct {
	State   InboxState
	OrderID string
	Limit   int    // default 50, at most 500
	Cursor  string // of the page before
}

// Inbox lists events without their body, the latest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Inbox(ctx context.Context, filter InboxFilter) (page []InboxItem, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []inboxRow
	err = s.db.read().list(ctx, &rows, `SELECT `+inboxFacts+` FROM inbox`+where.text()+` ORDER BY received_at DESC, id DESC LIMIT ?`,
		append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].ReceivedAt, rows[limit-1].ID)
	}
	page, err = convert(rows, s.inboxItem)
	return page, next, err
}

func (f InboxFilter) conditions() (conditions, error) {
	var where conditions
	if f.State != "" {
		where.add(`state = ?`, f.State)
	}
	if f.OrderID != "" {
		where.add(`order_id = ?`, f.OrderID)
	}
	if f.Cursor != "" {
		at, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(received_at < ? OR (received_at = ? AND id < ?))`, at, at, id)
	}
	return where, nil
}

// inboxFacts is what of an event is not sealed.
const inboxFacts = `id, source, event_type, resource_id, order_id, state, tries, next_try_at, last_error, received_at`

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
