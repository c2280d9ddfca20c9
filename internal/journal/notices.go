package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Audience says who is to read a notice.
type Audience = string

// The audiences.
const (
	AudienceAnalyst  Audience = "analyst"
	AudienceFinance  Audience = "finance"
	AudienceOperator Audience = "operator"
	AudienceIT       Audience = "it"
	AudienceCustomer Audience = "customer"
)

// Notice is a message to people: an alert, or a mail to a customer. It waits in an outbox that is written in the same transaction as
// what it tells of, so that neither is there without the other.
type Notice struct {
	ID       string // of what it tells: a notice that is added twice is there once
	Audience Audience
	Kind     string // "review.opened", "order.delayed", ...
	Group    string // notices of one group may go out as one message; "": alone
	OrderID  string
	Subject  string            // sealed at rest, as are the next two
	Text     string            // for people; of a customer's mail the template makes it from Data
	Data     map[string]string // for templates
	Link     string            // path of what it tells of
	At       time.Time         // default: now
	Tries    int               // the journal's: how often its delivery failed
}

// noticeLease is how long a notice that DueNotices has given is kept from the next caller: longer than a delivery may take.
const noticeLease = 2 * time.Minute

// noticeDocument is the sealed part of a Notice.
type noticeDocument struct {
	Subject string            `json:"subject,omitempty"`
	Text    string            `json:"text,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

// AddNotices puts notices into the outbox that are not there yet.
func (s *Store) AddNotices(ctx context.Context, notices ...Notice) error {
	return s.addNotices(ctx, s.db.write(), notices)
}

// addNotices adds them in one statement.
func (s *Store) addNotices(ctx context.Context, q queryer, notices []Notice) error {
	if len(notices) == 0 {
		return nil
	}
	now := s.now()
	values := make([]string, 0, len(notices))
	args := make([]any, 0, 13*len(notices))
	for _, notice := range notices {
		document, err := s.sealNotice(notice)
		if err != nil {
			return err
		}
		at := now
		if !notice.At.IsZero() {
			at = toInstant(notice.At)
		}
		values = append(values, in(13))
		args = append(args, notice.ID, notice.Audience, notice.Kind, notice.Group, notice.OrderID, redact(notice.Link), document,
			noticePending, 0, now, "", at, now)
	}
	_, err := q.exec(ctx, `INSERT INTO notices (`+noticeColumns+`, state, tries, next_try_at, last_error, at, updated_at)
		VALUES `+strings.Join(values, ", ")+` ON CONFLICT (id) DO NOTHING`, args...)
	return failed(err, "add notices, the first of them", notices[0].ID)
}

func (s *Store) sealNotice(notice Notice) ([]byte, error) {
	document, err := json.Marshal(noticeDocument{notice.Subject, notice.Text, notice.Data})
	if err != nil {
		return nil, failed(err, "encode notice", notice.ID)
	}
	return s.seal(document, "notices", "document", notice.ID)
}

// The states of a notice.
const (
	noticePending = "pending"
	noticeSent    = "sent"
	noticeGivenUp = "given_up"
)

// DueNotices gives notices that are due at a time, oldest first, and leases them: the next call, by whichever process, passes them
// over for two minutes. Follow with NoticesSent, HoldNotice, PostponeNotice or GiveUpNotice; one that is not comes again. One whose
// document can't be opened is logged and left out, so that it does not hold up the others.
func (s *Store) DueNotices(ctx context.Context, now time.Time, limit int) ([]Notice, error) {
	var rows []noticeRow
	err := s.db.write().list(ctx, &rows, `WITH due AS (
			SELECT id FROM notices WHERE state = 'pending' AND next_try_at <= ? ORDER BY next_try_at, id LIMIT ?`+s.db.dialect.skip+`)
		UPDATE notices SET next_try_at = ? WHERE id IN (SELECT id FROM due) RETURNING `+noticeColumns+`, tries, at`,
		toInstant(now), limit, toInstant(now.Add(noticeLease)))
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	notices := readable(ctx, s.journal, rows, s.notice)
	sortBy(notices, func(a, b Notice) int { return byTime(a.At, b.At, a.ID, b.ID) })
	return notices, nil
}

// NoticesSent ends notices that reached their people.
func (s *Store) NoticesSent(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	where := conditions{args: []any{noticeSent, s.now()}}
	where.addList(`id IN `, ids)
	_, err := s.db.write().exec(ctx, `UPDATE notices SET state = ?, updated_at = ?`+where.text(), where.args...)
	return failed(err, "end notices, the first of them", ids[0])
}

// PostponeNotice makes a notice due again at a time, after a delivery that failed. It counts as a try.
func (s *Store) PostponeNotice(ctx context.Context, id string, until time.Time, reason string) error {
	return s.postponeNotice(ctx, id, until, reason, 1)
}

// HoldNotice makes a notice due again at a time, though no delivery of it was tried.
func (s *Store) HoldNotice(ctx context.Context, id string, until time.Time, reason string) error {
	return s.postponeNotice(ctx, id, until, reason, 0)
}

func (s *Store) postponeNotice(ctx context.Context, id string, until time.Time, reason string, tries int) error {
	changed, err := s.db.write().exec(ctx, `UPDATE notices SET last_error = ?, tries = tries + ?, next_try_at = ?, updated_at = ?
		WHERE id = ? AND state = 'pending'`, redact(reason), tries, toInstant(until), s.now(), id)
	if err != nil {
		return failed(err, "postpone notice", id)
	}
	return s.exists(changed, "pending notice", id)
}

// GiveUpNotice ends a notice that can't be delivered; reason says why.
func (s *Store) GiveUpNotice(ctx context.Context, id, reason string) error {
	changed, err := s.db.write().exec(ctx, `UPDATE notices SET state = ?, last_error = ?, tries = tries + 1, updated_at = ?
		WHERE id = ? AND state = 'pending'`, noticeGivenUp, redact(reason), s.now(), id)
	if err != nil {
		return failed(err, "give up notice", id)
	}
	return s.exists(changed, "pending notice", id)
}

const noticeColumns = `id, audience, kind, group_key, order_id, link, document`

// noticeRow is a notice as the table has it.
type noticeRow struct {
	ID       string   `db:"id"`
	Audience Audience `db:"audience"`
	Kind     string   `db:"kind"`
	Group    string   `db:"group_key"`
	OrderID  string   `db:"order_id"`
	Link     string   `db:"link"`
	Document []byte   `db:"document"`
	Tries    int      `db:"tries"`
	At       instant  `db:"at"`
}

func (s *Store) notice(row noticeRow) (Notice, error) {
	text, err := s.unseal(row.Document, "notices", "document", row.ID)
	if err != nil {
		return Notice{}, err
	}
	var document noticeDocument
	if err := json.Unmarshal(text, &document); err != nil {
		return Notice{}, failed(err, "read notice", row.ID)
	}
	return Notice{
		ID: row.ID, Audience: row.Audience, Kind: row.Kind, Group: row.Group, OrderID: row.OrderID, Subject: document.Subject,
		Text: document.Text, Data: document.Data, Link: row.Link, At: row.At.time(), Tries: row.Tries,
	}, nil
}
