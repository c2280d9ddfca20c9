package journal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Call is one request to a system outside, as far as the audit may know it: no body, no header, no query.
type Call struct {
	At            time.Time
	System        string
	Method        string
	Route         string // the route's pattern, not the path
	Status        int    // 0: no answer
	Duration      time.Duration
	CorrelationID string // the other side's
	OperationKey  string
	OrderID       string
	Error         string // class of what went wrong, not the answer
}

// Action is what a person, or a rule in a person's stead, did to an order.
type Action struct {
	Key     string    // within the order, where given: an action that is recorded twice is there once
	At      time.Time // default: now
	OrderID string
	Actor   string
	Action  string
	Reason  string            // sealed at rest
	Detail  map[string]string // sealed at rest
}

// AuditEntry is a call or an action: one of the two is set.
type AuditEntry struct {
	At     time.Time
	Call   *Call
	Action *Action
}

// callsPerStatement keeps the number of parameters far below both databases' limits.
const callsPerStatement = 500

// RecordCalls adds calls to the audit. Texts are cut to a bounded length, and digits that could be a card number are masked.
func (o *Operations) RecordCalls(ctx context.Context, calls []Call) error {
	for chunk := range slices.Chunk(calls, callsPerStatement) {
		if err := o.recordCalls(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (o *Operations) recordCalls(ctx context.Context, calls []Call) error {
	values := make([]string, 0, len(calls))
	args := make([]any, 0, 11*len(calls))
	for _, call := range calls {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make call id: %w", err)
		}
		at := o.now()
		if !call.At.IsZero() {
			at = toInstant(call.At)
		}
		route, _, _ := strings.Cut(call.Route, "?")
		values = append(values, in(11))
		args = append(args, id.String(), at, redact(call.System), redact(call.Method), redact(route), call.Status,
			call.Duration.Microseconds(), redact(call.CorrelationID), call.OperationKey, call.OrderID, redact(call.Error))
	}
	_, err := o.db.write().exec(ctx, `INSERT INTO calls (id, at, system, method, route, status, duration, correlation_id,
		operation_key, order_id, error) VALUES `+strings.Join(values, ", "), args...)
	if err != nil {
		return fmt.Errorf("record calls: %w", err)
	}
	return nil
}

// actionDocument is the sealed part of an Action.
type actionDocument struct {
	Reason string            `json:"reason"`
	Detail map[string]string `json:"detail,omitempty"`
}

// RecordAction adds an action to the audit.
func (o *Operations) RecordAction(ctx context.Context, action Action) error {
	return o.recordAction(ctx, o.db.write(), action)
}

func (o *Operations) recordAction(ctx context.Context, q queryer, action Action) error {
	_, err := o.addAction(ctx, q, action)
	return err
}

// addAction records an action and tells whether it was not there yet.
func (o *Operations) addAction(ctx context.Context, q queryer, action Action) (added bool, err error) {
	id, err := action.id()
	if err != nil {
		return false, err
	}
	document, err := json.Marshal(actionDocument{redact(action.Reason), redactAll(action.Detail)})
	if err != nil {
		return false, fmt.Errorf("encode action: %w", err)
	}
	sealed, err := o.seal(document, "actions", "document", id)
	if err != nil {
		return false, err
	}
	at := o.now()
	if !action.At.IsZero() {
		at = toInstant(action.At)
	}
	inserted, err := q.exec(ctx, `INSERT INTO actions (id, at, order_id, actor, action, document) VALUES `+in(6)+`
		ON CONFLICT (id) DO NOTHING`, id, at, action.OrderID, action.Actor, action.Action, sealed)
	return inserted == 1, failed(err, "record action on order", action.OrderID)
}

// id is the action's own in the table: made of its key, else new.
func (a Action) id() (string, error) {
	if a.Key != "" {
		sum := sha256.Sum256([]byte(a.OrderID + "\x00" + a.Key))
		return hex.EncodeToString(sum[:]), nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make action id: %w", err)
	}
	return id.String(), nil
}

// Audit gives the calls and actions of an order, oldest first.
func (o *Operations) Audit(ctx context.Context, orderID string) ([]AuditEntry, error) {
	var calls []callRow
	err := o.db.read().list(ctx, &calls, `SELECT at, system, method, route, status, duration, correlation_id, operation_key, order_id,
		error FROM calls WHERE order_id = ? ORDER BY at, id`, orderID)
	if err != nil {
		return nil, failed(err, "read calls of order", orderID)
	}
	var actions []actionRow
	err = o.db.read().list(ctx, &actions, `SELECT id, at, order_id, actor, action, document FROM actions WHERE order_id = ?
		ORDER BY at, id`, orderID)
	if err != nil {
		return nil, failed(err, "read actions on order", orderID)
	}
	entries := make([]AuditEntry, 0, len(calls)+len(actions))
	for _, row := range calls {
		entries = append(entries, row.entry())
	}
	for _, row := range actions {
		entry, err := o.actionEntry(row)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	slices.SortStableFunc(entries, func(a, b AuditEntry) int { return a.At.Compare(b.At) })
	return entries, nil
}

// RecordCalls adds calls to the audit of the central journal.
func (s *Store) RecordCalls(ctx context.Context, calls []Call) error {
	return s.operations.RecordCalls(ctx, calls)
}

// RecordAction adds an action to the audit of the central journal.
func (s *Store) RecordAction(ctx context.Context, action Action) error {
	return s.operations.RecordAction(ctx, action)
}

// Audit gives the calls and actions of an order in the central journal, oldest first.
func (s *Store) Audit(ctx context.Context, orderID string) ([]AuditEntry, error) {
	return s.operations.Audit(ctx, orderID)
}

type callRow struct {
	At            instant `db:"at"`
	System        string  `db:"system"`
	Method        string  `db:"method"`
	Route         string  `db:"route"`
	Status        int     `db:"status"`
	Duration      int64   `db:"duration"`
	CorrelationID string  `db:"correlation_id"`
	OperationKey  string  `db:"operation_key"`
	OrderID       string  `db:"order_id"`
	Error         string  `db:"error"`
}

func (r callRow) entry() AuditEntry {
	call := Call{
		At: r.At.time(), System: r.System, Method: r.Method, Route: r.Route, Status: r.Status,
		Duration: time.Duration(r.Duration) * time.Microsecond, CorrelationID: r.CorrelationID, OperationKey: r.OperationKey,
		OrderID: r.OrderID, Error: r.Error,
	}
	return AuditEntry{At: call.At, Call: &call}
}

type actionRow struct {
	ID       string  `db:"id"`
	At       instant `db:"at"`
	OrderID  string  `db:"order_id"`
	Actor    string  `db:"actor"`
	Action   string  `db:"action"`
	Document []byte  `db:"document"`
}

func (o *Operations) actionEntry(r actionRow) (AuditEntry, error) {
	text, err := o.unseal(r.Document, "actions", "document", r.ID)
	if err != nil {
		return AuditEntry{}, err
	}
	var document actionDocument
	if err := json.Unmarshal(text, &document); err != nil {
		return AuditEntry{}, failed(err, "read action", r.ID)
	}
	action := Action{At: r.At.time(), OrderID: r.OrderID, Actor: r.Actor, Action: r.Action, Reason: document.Reason, Detail: document.Detail}
	return AuditEntry{At: action.At, Action: &action}, nil
}

// DetailNames are the names that an Event's detail may have: all of them hold opaque references, amounts or codes.
func DetailNames() []string {
	return []string{
		"amount", "attempt", "attentionId", "caseId", "code", "creditMemo", "currency", "customerCode", "deadline", "decision",
		"erp", "event", "invoice", "journal", "mapping", "operationKey", "receipt", "reference", "refundId", "salesOrder",
		"shipment", "status", "step", "stockCode", "transactionId", "workflowId",
	}
}

// allowed keeps of a detail what the timeline may hold.
func (j journal) allowed(ctx context.Context, detail map[string]string) map[string]string {
	kept := make(map[string]string, len(detail))
	for name, value := range detail {
		if !slices.Contains(DetailNames(), name) {
			j.log.WarnContext(ctx, "timeline detail dropped: its name is not allowed", "name", name)
			continue
		}
		kept[name] = redact(value)
	}
	return kept
}

// longestText bounds what people and other systems may put into a text that is kept in the clear.
const longestText = 500

// masked stands where a card number may have been.
const masked = "[masked]"

// longDigits finds the usual shapes of a card number, so that the text around it can stay.
var longDigits = regexp.MustCompile(`\d(?:[ .-]?\d){12,}`)

// redact makes a text fit to be kept in the clear: valid UTF-8 without NUL, which PostgreSQL refuses, of bounded length and
// without anything that could be a card number.
func redact(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	text = longDigits.ReplaceAllStringFunc(text, func(run string) string {
		if canonical.HoldsCardNumber(run) {
			return masked
		}
		return run
	})
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	if canonical.HoldsCardNumber(text) { // in a shape of its own
		return masked
	}
	return text
}

// redactAll is redact for the values of a detail.
func redactAll(detail map[string]string) map[string]string {
	clean := make(map[string]string, len(detail))
	for name, value := range detail {
		clean[redact(name)] = redact(value)
	}
	return clean
}

// sortBy sorts in place, keeping equals in their order.
func sortBy[T any](list []T, compare func(a, b T) int) { slices.SortStableFunc(list, compare) }

// byTime compares by time, then by id.
func byTime(a, b time.Time, idA, idB string) int { return cmp.Or(a.Compare(b), cmp.Compare(idA, idB)) }
