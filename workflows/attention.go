package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
)

// step is a part of a process that may need a person.
type step struct {
	name     string           // part of operation keys and of the parked item, in the words of the business
	actions  []ResolutionKind // what an operator may answer
	deadline time.Duration    // 0: wait for ever
	atOnce   bool             // a permanent failure is compensated without parking
	overdue  ResolutionKind   // what the deadline answers
	deaf     bool             // does not end for a cancel wish: compensations, which are the answer to one
}

// undoWish says that a step is to be undone instead of done; it is the answer of a person, a deadline, a policy or a cancel wish.
type undoWish struct {
	Step   string
	By     string // actor
	Reason string // for people
	Cause  error  // the step's failure; nil for a cancel wish
	Cancel bool
}

func (u *undoWish) Error() string { return fmt.Sprintf("%s: %s", u.Step, u.Reason) }

// parkedStep is a step that waits.
type parkedStep struct {
	actions []ResolutionKind
	answer  *Resolution
}

// desk is where steps wait for a person: one for each run. The workflow is the truth, the attention table its read side.
type desk struct {
	orderID     string
	parked      map[string]*parkedStep
	resolved    map[string]Resolution
	occurrences map[string]int
	attempts    map[string]int
	interrupted func() *undoWish // a cancel wish, or nil
	changed     func(ctx workflow.Context, needsAttention bool, stage string)
	mark        func() activities.Mark
}

var ledgerWork *activities.Ledger // nil: only its method values are used

// newDesk registers Update `resolve` and gives the run's desk.
func newDesk(ctx workflow.Context, d desk) (*desk, error) {
	d.parked = map[string]*parkedStep{}
	d.resolved = map[string]Resolution{}
	d.occurrences = map[string]int{}
	d.attempts = map[string]int{}
	return &d, workflow.SetUpdateHandlerWithOptions(ctx, UpdateResolve, d.resolve, workflow.UpdateHandlerOptions{
		Validator:   d.validate,
		Description: "Answers a parked step: retry or compensate",
	})
}

// ownDesk is the desk of a process that hears no cancel wish and writes no order status of its own.
func ownDesk(ctx workflow.Context, orderID string) (*desk, error) {
	return newDesk(ctx, desk{
		orderID:     orderID,
		interrupted: func() *undoWish { return nil },
		changed: func(ctx workflow.Context, needs bool, sentence string) {
			workflow.SetCurrentDetails(ctx, sentence)
			_ = workflow.UpsertTypedSearchAttributes(ctx, SearchNeedsAttention.ValueSet(needs))
		},
		mark: func() activities.Mark { return activities.Mark{} },
	})
}

func (d *desk) validate(r Resolution) error {
	if earlier, done := d.resolved[r.ID]; done {
		return refuse(RefusedTooLate, fmt.Sprintf("already resolved with %q by %s", earlier.Kind, earlier.Actor))
	}
	item, found := d.parked[r.ID]
	switch {
	case !found:
		return refuse(RefusedUnknown, "nothing is parked under this id")
	case item.answer != nil:
		return refuse(RefusedTooLate, fmt.Sprintf("already resolved with %q by %s", item.answer.Kind, item.answer.Actor))
	case !slices.Contains(item.actions, r.Kind):
		return refuse(RefusedInvalid, fmt.Sprintf("resolution %q is not offered here; offered: %v", r.Kind, item.actions))
	case r.Actor == "":
		return refuse(RefusedInvalid, "actor is missing")
	}
	return nil
}

func (d *desk) resolve(_ workflow.Context, r Resolution) (ResolutionAnswer, error) {
	d.parked[r.ID].answer = &r
	return ResolutionAnswer{ID: r.ID, Kind: r.Kind}, nil
}

// attempt is the number of the business attempt of a step, from 1.
func (d *desk) attempt(name string) int { return d.attempts[name] + 1 }

// try carries a step out. Where it fails for good it parks; the error is then an *undoWish or nil. A retry after a refusal is a new
// business attempt; a retry after an unknown outcome continues the former one.
func (d *desk) try(ctx workflow.Context, s step, forward func(ctx workflow.Context, attempt int) error) error {
	for {
		err := forward(ctx, d.attempt(s.name))
		if err == nil {
			return nil
		}
		if wish, ok := err.(*undoWish); ok { //nolint:errorlint // never wrapped: made in this package only
			return wish
		}
		if s.atOnce {
			return &undoWish{Step: s.name, By: "policy", Reason: messageOf(err), Cause: err}
		}
		if wish := d.park(ctx, s, err); wish != nil {
			return wish
		}
		if refused(err) {
			d.attempts[s.name]++
		}
	}
}

// park waits for a person, the deadline or a cancel wish; nil means: try again.
func (d *desk) park(ctx workflow.Context, s step, cause error) *undoWish {
	d.occurrences[s.name]++
	info := workflow.GetInfo(ctx)
	// The original run's ID stays the same after a reset, as the recorded answers to this step do.
	id := AttentionID(info.WorkflowExecution.ID, info.OriginalRunID, s.name, d.occurrences[s.name])
	item := &parkedStep{actions: s.actions}
	d.parked[id] = item

	d.record(ctx, id, s, cause)
	d.changed(ctx, true, fmt.Sprintf("Parked at %q (%s): %s", s.name, kindOf(cause), messageOf(cause)))
	answer, cancel := d.wait(ctx, s, item)
	delete(d.parked, id)
	answer.ID = id
	d.resolved[id] = answer
	d.forget(ctx, answer)
	d.changed(ctx, len(d.parked) > 0, fmt.Sprintf("%q: %s by %s", s.name, answer.Kind, answer.Actor))

	if answer.Kind == ResolveRetry {
		return nil
	}
	if cancel != nil {
		return cancel
	}
	reason := messageOf(cause)
	if answer.Reason != "" {
		reason += " (" + answer.Reason + ")"
	}
	return &undoWish{Step: s.name, By: answer.Actor, Reason: reason, Cause: cause}
}

// wait gives the answer to a parked step: a person's, the deadline's, or that of a cancel wish.
func (d *desk) wait(ctx workflow.Context, s step, item *parkedStep) (Resolution, *undoWish) {
	var wish *undoWish
	answered := func() bool {
		if !s.deaf {
			wish = d.interrupted()
		}
		return item.answer != nil || wish != nil
	}
	if s.deadline > 0 {
		options := workflow.AwaitOptions{Timeout: s.deadline, TimerOptions: workflow.TimerOptions{Summary: "Deadline of parked step: " + s.name}}
		if ok, _ := workflow.AwaitWithOptions(ctx, options, answered); !ok {
			return Resolution{Kind: s.overdue, Actor: "deadline", Reason: "nobody answered in time"}, nil
		}
	} else {
		_ = workflow.Await(ctx, answered)
	}
	if item.answer != nil {
		return *item.answer, nil
	}
	return Resolution{Kind: ResolveCompensate, Actor: wish.By, Reason: wish.Reason}, wish
}

// record and forget keep the attention table; a failure there is logged, never in the way of the process.
func (d *desk) record(ctx workflow.Context, id string, s step, cause error) {
	now := workflow.Now(ctx)
	in := activities.ParkInput{
		ID: id, OrderID: d.orderID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Step: s.name,
		Class: kindOf(cause), Summary: messageOf(cause), Suggestion: suggestion(kindOf(cause)), Answer: detailOf(cause),
		Since: now, Mark: d.mark(),
	}
	for _, action := range s.actions {
		in.Actions = append(in.Actions, string(action))
	}
	if s.deadline > 0 {
		in.Deadline = now.Add(s.deadline)
	}
	if err := note(ledger(ctx, "Park: "+s.name), ledgerWork.ParkStep, in); err != nil {
		workflow.GetLogger(ctx).Error("attention row not written", "step", s.name, "error", err)
	}
}

func (d *desk) forget(ctx workflow.Context, r Resolution) {
	in := activities.UnparkInput{ID: r.ID, OrderID: d.orderID, Resolution: string(r.Kind), Actor: r.Actor, Reason: r.Reason}
	if err := note(ledger(ctx, "Resolved: "+string(r.Kind)), ledgerWork.UnparkStep, in); err != nil {
		workflow.GetLogger(ctx).Error("attention row not resolved", "id", r.ID, "error", err)
	}
}

// suggestion is what usually mends a failure of this class.
func suggestion(kind fault.Kind) string {
	switch kind {
	case fault.Value:
		return "Correct the value at its source (shop, mapping or ERP set-up), then retry."
	case fault.MissingReference:
		return "Create the missing record in the ERP, or map to an existing one, then retry."
	case fault.ClosedPeriod:
		return "Open the posting period or agree on another date with finance, then retry."
	case fault.DeclinedByPolicy:
		return "Lift the hold or the limit, or restock, then retry; else compensate."
	case fault.Credentials:
		return "Mend the credential or its rights (`tenderline check` names it), then retry."
	case fault.Conflict:
		return "Look at the document in the other system; retry once its state allows the step, else compensate."
	case fault.UnknownOutcome:
		return "Look the operation up at the gateway or ERP by the reference shown, then retry; nothing is sent twice."
	case fault.Connection, fault.RateLimit, fault.Busy:
		return "Retry once the system answers again."
	default:
		return "Ask the engineers; the run's history in the Temporal UI shows the failing step."
	}
}
