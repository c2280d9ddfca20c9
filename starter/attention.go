package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Resolve answers a parked item. The same answer of the same person again gets the first outcome; of two people the first one wins, and the
// other is told who did. A correction that the process refuses is Invalid, with Problems that have pointers into the request.
func (s *Starter) Resolve(ctx context.Context, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	item, err := s.store.Attention(ctx, answer.ID)
	if err != nil {
		return workflows.ResolutionAnswer{}, stored(err, "parked item")
	}
	if eventID, isEvent := journal.InboxEventID(item.ID); isEvent {
		return s.resolveEvent(ctx, item, eventID, answer)
	}
	if item.State == journal.AttentionResolved {
		return resolvedBefore(item, answer)
	}
	if err := offered(item, answer.Kind); err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	var out workflows.ResolutionAnswer
	err = s.update(ctx, item.WorkflowID, workflows.UpdateResolve, resolutionID(answer), &out, answer)
	switch {
	case err == nil:
		return out, nil
	case Is(err, Invalid):
		return out, withFields(err, answer.Correction)
	case !Is(err, NotFound) && !Is(err, TooLate):
		return out, err
	}
	// The run has ended, no longer waits at this step, or somebody was faster; the row may have been closed since it was read.
	if item, lookup := s.store.Attention(ctx, answer.ID); lookup == nil && item.State == journal.AttentionResolved {
		return resolvedBefore(item, answer)
	}
	if Is(err, TooLate) {
		return out, err
	}
	return out, &Error{Kind: TooLate, Message: "the process no longer waits at this step", Err: err}
}

// resolutionID names an answer for Temporal, which gives a repeat the first outcome. A correction that was refused may be right another
// time, when what it refers to was created meanwhile: a new reason makes it a new answer.
func resolutionID(answer workflows.Resolution) string {
	parts := []string{answer.ID, string(answer.Kind), answer.Actor}
	if answer.Correction != nil {
		correction, _ := json.Marshal(answer.Correction) // decoded from JSON: marshals
		parts = append(parts, string(correction), answer.Reason)
	}
	return "resolve/" + digest(parts...)
}

// offered refuses a resolution that an item does not take.
func offered(item journal.Attention, kind workflows.ResolutionKind) error {
	if slices.Contains(item.Actions, string(kind)) {
		return nil
	}
	message := fmt.Sprintf("resolution %q is not offered for this item; offered: %v", kind, item.Actions)
	return &Error{Kind: Invalid, Message: message, Problems: []canonical.Problem{{
		Pointer: "/resolution", Rule: canonical.RuleEnum, Message: fmt.Sprintf("is not offered for this item; offered: %v", item.Actions),
	}}}
}

// resolvedBefore answers for an item that somebody has resolved.
func resolvedBefore(item journal.Attention, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	if item.Resolution == string(answer.Kind) && item.Actor == answer.Actor {
		return workflows.ResolutionAnswer{ID: item.ID, Kind: answer.Kind}, nil
	}
	return workflows.ResolutionAnswer{}, &Error{
		Kind: TooLate, Message: fmt.Sprintf("already resolved with %q by %s", item.Resolution, item.Actor),
	}
}

// withFields adds to a refusal what the process found wrong with a correction, field by field.
func withFields(err error, correction *activities.Correction) error {
	var refused *Error
	var application *temporal.ApplicationError
	if !errors.As(err, &refused) || !errors.As(err, &application) {
		return err
	}
	var detail activities.FaultDetail
	if correction == nil || application.Details(&detail) != nil {
		return err
	}
	for _, field := range detail.Fields {
		refused.Problems = append(refused.Problems, correctionProblem(field, *correction))
	}
	return refused
}

// correctionProblem points into the request. A field is a place of the order or document, as /order/lines/0/sku; the request has those that
// it changes as members of its correction. A place that it does not change, but that is wrong now, the message names.
func correctionProblem(field fault.Field, correction activities.Correction) canonical.Problem {
	const root = "/correction"
	rule, message, found := strings.Cut(field.Rule, ": ")
	if !found {
		message = "is refused"
	}
	problem := canonical.Problem{Pointer: root, Rule: rule, Message: message}
	for part, changes := range map[string]map[string]any{"/order": correction.Order, "/document": correction.Document} {
		place, within := strings.CutPrefix(field.Path, part)
		if !within {
			continue
		}
		if _, changed := changes[place]; changed {
			problem.Pointer = root + part + "/" + pointerEscape.Replace(place)
			return problem
		}
		problem.Pointer = root + part
	}
	switch {
	case field.Path == "/date":
		problem.Pointer = root + field.Path
	case field.Path != "":
		problem.Message = field.Path + " " + message
	}
	return problem
}

// pointerEscape makes a token of RFC 6901 of any text.
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// resolveEvent answers an item that stands for an event: replay it, dismiss it, or do what it proposes. The row is closed and the event moved on
// as one, so that of two people one wins and a crash leaves nothing undone: what is to be done is done here or, after a crash, by the sweeper.
func (s *Starter) resolveEvent(ctx context.Context, item journal.Attention, eventID string, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	if answer.Reference != "" {
		return workflows.ResolutionAnswer{}, &Error{Kind: Invalid, Message: "an event takes no reference", Problems: []canonical.Problem{{
			Pointer: "/reference", Rule: canonical.RuleCombination, Message: "goes with skip of a document that people book by hand",
		}}}
	}
	if item.State == journal.AttentionOpen {
		if err := offered(item, answer.Kind); err != nil {
			return workflows.ResolutionAnswer{}, err
		}
	}
	again := answer.Kind == workflows.ResolveRetry || answer.Kind == workflows.ResolveCompensate
	err := s.store.ResolveEvent(ctx, eventID, string(answer.Kind), answer.Actor, answer.Reason, again)
	if errors.Is(err, journal.ErrResolved) {
		if item, err = s.store.Attention(ctx, item.ID); err != nil {
			return workflows.ResolutionAnswer{}, stored(err, "parked item")
		}
		return resolvedBefore(item, answer)
	}
	if err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	if answer.Kind == workflows.ResolveCompensate {
		return s.payBackNow(ctx, item, eventID, answer)
	}
	return workflows.ResolutionAnswer{ID: item.ID, Kind: answer.Kind}, nil
}

// payBackNow does at once what the sweeper would do within seconds, so that whoever answered learns of it.
func (s *Starter) payBackNow(ctx context.Context, item journal.Attention, eventID string, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	out := workflows.ResolutionAnswer{ID: item.ID, Kind: answer.Kind}
	event, err := s.store.Event(ctx, eventID)
	if err != nil {
		return out, stored(err, "event")
	}
	switch event.State {
	case journal.InboxDelivered:
		out.RefundID = erpRefundID(eventID)
		return out, nil
	case journal.InboxIgnored:
		out.Why = event.LastError
		return out, nil
	case journal.InboxPending, journal.InboxAttention: // to be done
	}
	item.Actor = answer.Actor
	done, err := s.payBackSalesOrder(ctx, event, item)
	if err != nil {
		s.log.WarnContext(ctx, "refund not asked for, the sweeper will", "order", event.OrderID, "event", eventID, "error", err)
		return out, nil
	}
	return done, nil
}

// ResolveEvent replays (retry) or dismisses (skip) an event of the inbox that was given up; one that was ignored may be replayed too.
func (s *Starter) ResolveEvent(ctx context.Context, eventID string, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	event, err := s.store.Event(ctx, eventID)
	if err != nil {
		return workflows.ResolutionAnswer{}, stored(err, "event")
	}
	answer.ID = journal.InboxAttentionID(eventID)
	out, err := s.Resolve(ctx, answer)
	reopens := event.State == journal.InboxIgnored && answer.Kind == workflows.ResolveRetry
	switch {
	case err == nil && !reopens:
		return out, nil
	case reopens:
		return s.replayIgnored(ctx, event, answer)
	case !Is(err, NotFound):
		return out, err
	default:
		return out, &Error{Kind: NotNow, Message: "the event is not given up: " + string(event.State), Err: err}
	}
}

// replayIgnored delivers an event once more that was ended without a process.
func (s *Starter) replayIgnored(ctx context.Context, event journal.InboxItem, answer workflows.Resolution) (workflows.ResolutionAnswer, error) {
	action := journal.Action{
		OrderID: event.OrderID, Actor: answer.Actor, Action: "inbox.replay", Reason: answer.Reason, Detail: map[string]string{"eventId": event.ID},
	}
	if err := s.store.RecordAction(ctx, action); err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	return workflows.ResolutionAnswer{ID: answer.ID, Kind: answer.Kind}, s.store.Replay(ctx, event.ID)
}

// BulkRetry says which parked items are to be retried: at least one of the first three is given, together they narrow.
type BulkRetry struct {
	Class  fault.Kind
	System string
	Step   string
	Actor  string
	Reason string
	Limit  int // of items that are tried
}

// Retried is what became of one item; Err is nil where it was resolved.
type Retried struct {
	ID, OrderID, Step string
	Err               error
}

// retriesAtOnce bounds the updates under way of one bulk.
const retriesAtOnce = 8

// RetryAll retries open items, those that wait longest first, each by itself. more: there are others beyond the limit.
func (s *Starter) RetryAll(ctx context.Context, bulk BulkRetry) (done []Retried, more bool, err error) {
	items, more, err := s.matching(ctx, bulk)
	if err != nil {
		return nil, false, err
	}
	done = make([]Retried, len(items))
	slots := make(chan struct{}, retriesAtOnce)
	var all sync.WaitGroup
	for i, item := range items {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, err := s.Resolve(ctx, workflows.Resolution{ID: item.ID, Kind: workflows.ResolveRetry, Actor: bulk.Actor, Reason: bulk.Reason})
			done[i] = Retried{ID: item.ID, OrderID: item.OrderID, Step: item.Step, Err: err}
		})
	}
	all.Wait()
	return done, more, nil
}

// matching reads the items of a bulk. The step is narrowed here, since the journal keeps no order by it.
func (s *Starter) matching(ctx context.Context, bulk BulkRetry) (items []journal.Attention, more bool, err error) {
	filter := journal.AttentionFilter{State: journal.AttentionOpen, Class: bulk.Class, System: bulk.System, Limit: sweepBatch}
	for {
		page, next, err := s.store.Attentions(ctx, filter)
		if err != nil {
			return nil, false, err
		}
		for _, item := range page {
			if bulk.Step != "" && item.Step != bulk.Step {
				continue
			}
			if len(items) == bulk.Limit {
				return items, true, nil
			}
			items = append(items, item)
		}
		if next == "" {
			return items, false, nil
		}
		filter.Cursor = next
	}
}
