package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
)

// AttentionState says whether a parked step still waits.
type AttentionState string

// The states of a parked step.
const (
	AttentionOpen     AttentionState = "open"
	AttentionResolved AttentionState = "resolved"
)

// Attention is a step that can't go on by itself: the read side of a waiting workflow.
type Attention struct {
	ID         string
	OrderID    string
	Channel    string // of the order; default: what the journal knows
	WorkflowID string // "": no process waits, as of an inbox event
	Step       string
	Class      fault.Kind
	System     string // the one outside that failed; "" for our own
	Summary    string // sealed at rest, as are the next three
	Suggestion string
	Sent       []byte
	Answer     []byte
	Fixes      []byte   // JSON of what may mend it, likeliest first; sealed at rest; added by AddFixes
	Actions    []string // what it may be resolved with
	Since      time.Time
	Deadline   time.Time // zero: none
	State      AttentionState
	Resolution string
	Actor      string
	Reason     string // sealed at rest
	ResolvedAt time.Time
}

// parkedDocument is the sealed part of an Attention.
type parkedDocument struct {
	Summary    string `json:"summary"`
	Suggestion string `json:"suggestion"`
	Sent       []byte `json:"sent,omitempty"`
	Answer     []byte `json:"answer,omitempty"`
}

// Park records a parked step, flags its order and adds the notices that tell of it. An id that is there already, open or resolved,
// stays as it is, and nobody is told again.
func (s *Store) Park(ctx context.Context, item Attention, notices ...Notice) error {
	return s.db.transact(ctx, func(q queryer) error {
		parked, err := s.park(ctx, q, item, ` ON CONFLICT (id) DO NOTHING`)
		if err != nil || !parked {
			return err
		}
		return s.addNotices(ctx, q, notices)
	})
}

// park inserts the item; conflict says what becomes of one that is there.
func (s *Store) park(ctx context.Context, q queryer, item Attention, conflict string) (parked bool, err error) {
	document, err := s.parked(item)
	if err != nil {
		return false, err
	}
	actions, err := json.Marshal(item.Actions)
	if err != nil {
		return false, failed(err, "park", item.ID)
	}
	since := s.now()
	if !item.Since.IsZero() {
		since = toInstant(item.Since)
	}
	inserted, err := q.exec(ctx, `INSERT INTO attention (id, order_id, channel, workflow_id, step, class, system, document, actions, state,
		since, deadline) VALUES (?, ?, COALESCE(?, (SELECT channel FROM orders WHERE order_id = ?), ''), ?, ?, ?, ?, ?, ?, ?, ?, ?)`+
		conflict, item.ID, item.OrderID, orNull(item.Channel), item.OrderID, item.WorkflowID, item.Step, item.Class, item.System,
		document, string(actions), AttentionOpen, since, toInstant(item.Deadline))
	if err != nil || inserted == 0 {
		return false, failed(err, "park", item.ID)
	}
	_, err = q.exec(ctx, `UPDATE orders SET needs_attention = ?, updated_at = ? WHERE order_id = ?`, true, s.now(), item.OrderID)
	return true, failed(err, "flag order", item.OrderID)
}

// AddFixes stores what may mend an open item, in place of what was stored before.
func (s *Store) AddFixes(ctx context.Context, id string, fixes []byte) error {
	return s.addFixes(ctx, s.db.write(), id, fixes)
}

func (s *Store) addFixes(ctx context.Context, q queryer, id string, fixes []byte) error {
	sealed, err := s.seal(fixes, "attention", "fixes", id)
	if err != nil {
		return err
	}
	changed, err := q.exec(ctx, `UPDATE attention SET fixes = ? WHERE id = ?`, sealed, id)
	if err != nil {
		return failed(err, "add fixes to", id)
	}
	return s.exists(changed, "parked step", id)
}

func (s *Store) parked(item Attention) ([]byte, error) {
	document, err := json.Marshal(parkedDocument{item.Summary, item.Suggestion, item.Sent, item.Answer})
	if err != nil {
		return nil, failed(err, "park", item.ID)
	}
	return s.seal(document, "attention", "document", item.ID)
}

// Resolve closes a parked step, unflags its order when nothing else of it waits, and notes the action in the audit. Repeating
// it changes nothing; another resolution or actor is ErrResolved. corrected are the places that a correction has changed, for the audit.
func (s *Store) Resolve(ctx context.Context, id, resolution, actor, reason string, corrected ...string) error {
	return s.resolve(ctx, id, resolution, actor, reason, corrected, func(queryer) error { return nil })
}

// resolve closes an item; then is done in the same transaction, also where the item was resolved alike before.
func (s *Store) resolve(ctx context.Context, id, resolution, actor, reason string, corrected []string, then func(queryer) error) error {
	sealed, err := s.seal([]byte(reason), "attention", "reason", id)
	if err != nil {
		return err
	}
	item, err := s.Attention(ctx, id)
	if err != nil {
		return err
	}
	detail := map[string]string{"attentionId": id, "step": item.Step, "workflowId": item.WorkflowID}
	if len(corrected) > 0 {
		detail["changed"] = strings.Join(corrected, " ")
	}
	return s.db.transact(ctx, func(q queryer) error {
		// The order's row is locked first: a step that parks meanwhile either is seen below or flags the order after us.
		var locked []string
		err := q.list(ctx, &locked, `SELECT order_id FROM orders WHERE order_id = ?`+q.dialect.forUpdate, item.OrderID)
		if err != nil {
			return failed(err, "lock order", item.OrderID)
		}
		changed, err := q.exec(ctx, `UPDATE attention SET state = 'resolved', resolution = ?, actor = ?, reason = ?, resolved_at = ?
			WHERE id = ? AND state = 'open'`, resolution, actor, sealed, s.now(), id)
		if err != nil {
			return failed(err, "resolve", id)
		}
		if changed == 0 {
			err = s.resolvedAlike(ctx, q, id, resolution, actor)
		} else {
			err = s.unflag(ctx, q, item, Action{OrderID: item.OrderID, Actor: actor, Action: resolution, Reason: reason, Detail: detail})
		}
		if err != nil {
			return err
		}
		return then(q)
	})
}

func (s *Store) unflag(ctx context.Context, q queryer, item Attention, action Action) error {
	_, err := q.exec(ctx, `UPDATE orders SET updated_at = ?, needs_attention =
		EXISTS (SELECT 1 FROM attention a WHERE a.order_id = orders.order_id AND a.state = 'open') WHERE order_id = ?`,
		s.now(), item.OrderID)
	if err != nil {
		return failed(err, "unflag order", item.OrderID)
	}
	return s.operations.recordAction(ctx, q, action)
}

// resolvedAlike tells whether an item was resolved before in the same way.
func (s *Store) resolvedAlike(ctx context.Context, q queryer, id, resolution, actor string) error {
	var same int
	err := q.get(ctx, &same, `SELECT count(*) FROM attention WHERE id = ? AND resolution = ? AND actor = ?`, id, resolution, actor)
	if err != nil {
		return failed(err, "resolve", id)
	}
	if same == 0 {
		return fmt.Errorf("resolve %q: %w", id, ErrResolved)
	}
	return nil
}

// Attention gives a parked step, ErrNotFound if there is none.
func (s *Store) Attention(ctx context.Context, id string) (Attention, error) {
	var row attentionRow
	err := s.db.read().get(ctx, &row, `SELECT `+attentionColumns+` FROM attention WHERE id = ?`, id)
	if err := found(err, "parked step", id); err != nil {
		return Attention{}, err
	}
	return s.attention(row)
}

// AttentionFilter says which parked steps a list holds. Zero fields don't narrow it.
type AttentionFilter struct {
	OrderID    string
	State      AttentionState
	Class      fault.Kind
	System     string
	WorkflowID string
	Limit      int    // default 50, at most 500
	Cursor     string // of the page before
}

// Attentions lists parked steps, those that wait longest first. next is the cursor of the next page, "" after the last one.
func (s *Store) Attentions(ctx context.Context, filter AttentionFilter) (page []Attention, next string, err error) {
	where, err := filter.conditions()
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(filter.Limit)
	var rows []attentionRow
	err = s.db.read().list(ctx, &rows, `SELECT `+attentionColumns+` FROM attention`+where.text()+` ORDER BY since, id LIMIT ?`,
		append(where.args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list parked steps: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1].Since, rows[limit-1].ID)
	}
	page = make([]Attention, 0, len(rows))
	for _, row := range rows {
		page = append(page, s.listed(ctx, row))
	}
	return page, next, nil
}

func (f AttentionFilter) conditions() (conditions, error) {
	var where conditions
	if f.OrderID != "" {
		where.add(`order_id = ?`, f.OrderID)
	}
	if f.State != "" {
		where.add(`state = ?`, f.State)
	}
	if f.Class != "" {
		where.add(`class = ?`, f.Class)
	}
	if f.System != "" {
		where.add(`system = ?`, f.System)
	}
	if f.WorkflowID != "" {
		where.add(`workflow_id = ?`, f.WorkflowID)
	}
	if f.Cursor != "" {
		since, id, err := parseCursor(f.Cursor)
		if err != nil {
			return where, err
		}
		where.add(`(since > ? OR (since = ? AND id > ?))`, since, since, id)
	}
	return where, nil
}

const attentionColumns = `id, order_id, channel, workflow_id, step, class, system, document, fixes, actions, state, resolution, actor,
	reason, since, deadline, resolved_at`

// attentionRow is a parked step as the table has it.
type attentionRow struct {
	ID         string         `db:"id"`
	OrderID    string         `db:"order_id"`
	Channel    string         `db:"channel"`
	WorkflowID string         `db:"workflow_id"`
	Step       string         `db:"step"`
	Class      fault.Kind     `db:"class"`
	System     string         `db:"system"`
	Document   []byte         `db:"document"`
	Fixes      []byte         `db:"fixes"`
	Actions    string         `db:"actions"`
	State      AttentionState `db:"state"`
	Resolution string         `db:"resolution"`
	Actor      string         `db:"actor"`
	Reason     []byte         `db:"reason"`
	Since      instant        `db:"since"`
	Deadline   instant        `db:"deadline"`
	ResolvedAt instant        `db:"resolved_at"`
}

func (s *Store) attention(row attentionRow) (Attention, error) {
	document, err := s.unseal(row.Document, "attention", "document", row.ID)
	if err != nil {
		return Attention{}, err
	}
	reason, err := s.unseal(row.Reason, "attention", "reason", row.ID)
	if err != nil {
		return Attention{}, err
	}
	fixes, err := s.unseal(row.Fixes, "attention", "fixes", row.ID)
	if err != nil {
		return Attention{}, err
	}
	item, parked := row.plain(), parkedDocument{}
	if err := errors.Join(json.Unmarshal(document, &parked), json.Unmarshal([]byte(row.Actions), &item.Actions)); err != nil {
		return Attention{}, failed(err, "read parked step", row.ID)
	}
	item.Summary, item.Suggestion, item.Sent, item.Answer = parked.Summary, parked.Suggestion, parked.Sent, parked.Answer
	item.Reason, item.Fixes = string(reason), fixes
	return item, nil
}

// listed is attention for lists: an item whose document can't be opened must not hide, nor hide the others.
func (s *Store) listed(ctx context.Context, row attentionRow) Attention {
	item, err := s.attention(row)
	if err != nil {
		s.log.ErrorContext(ctx, "journal row can't be opened", "error", err)
		item = row.plain()
		item.Summary = "The document of this item can't be opened: is its key missing in the key ring?"
	}
	return item
}

// plain is what of a parked step is not sealed.
func (row attentionRow) plain() Attention {
	return Attention{
		ID: row.ID, OrderID: row.OrderID, Channel: row.Channel, WorkflowID: row.WorkflowID, Step: row.Step, Class: row.Class,
		System: row.System, State: row.State,
		Resolution: row.Resolution, Actor: row.Actor, Since: row.Since.time(), Deadline: row.Deadline.time(),
		ResolvedAt: row.ResolvedAt.time(),
	}
}
