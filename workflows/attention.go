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
	actions  []ResolutionKind // what an operator may answer; retry_with is offered besides where correct is set and the failure was a refusal
	deadline time.Duration    // 0: wait for ever
	atOnce   bool             // a permanent failure is compensated without parking
	overdue  ResolutionKind   // what the deadline answers
	deaf     bool             // does not end for a cancel wish: compensations, which are the answer to one
	sure     bool             // is given up (compensate) only where it was refused: what may have moved money goes on

	correct func(ctx workflow.Context, r Resolution) error                    // validates and takes a correction; nil: none is taken
	suggest func(ctx workflow.Context, cause error) ([]activities.Fix, error) // asks what may mend it; nil: nobody knows
	mended  func() (by string, mended bool)                                   // the wait may also end by itself; nil: it does not
	skipped func(r Resolution)                                                // hears who left the step out, and under which reference people book it; nil: it is no document
}

// retried is a step that people can but try again.
func retried(name string) step {
	return step{name: name, actions: []ResolutionKind{ResolveRetry}, deaf: true}
}

// optional is a step that people may leave out; overdue is what its deadline answers.
func optional(name string, deadline time.Duration, overdue ResolutionKind) step {
	return step{name: name, actions: []ResolutionKind{ResolveRetry, ResolveSkip}, deadline: deadline, overdue: overdue, deaf: true}
}

// posting is a step that books in the ERP what has happened already: it can be posted on another date, or be left to finance, who book it by
// hand.
func posting(name string, deadline time.Duration, take func(date string)) step {
	s := optional(name, deadline, ResolveRetry)
	s.correct = dateOnly(take)
	return s
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
	step    step
	actions []ResolutionKind
	claimed *Resolution // a correction that is being validated: nobody else may answer meanwhile
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
		Description: "Answers a parked step: retry, retry_with, skip or compensate",
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
	case item.claimed != nil:
		return refuse(RefusedConflict, fmt.Sprintf("%s is resolving it with %q just now", item.claimed.Actor, item.claimed.Kind))
	case !slices.Contains(item.actions, r.Kind):
		return refuse(RefusedInvalid, fmt.Sprintf("resolution %q is not offered here; offered: %v", r.Kind, item.actions))
	case r.Actor == "":
		return refuse(RefusedInvalid, "actor is missing")
	}
	corrects := r.Correction != nil && !r.Correction.Empty()
	switch {
	case r.Kind == ResolveRetryWith && !corrects:
		return refuse(RefusedInvalid, "a correction is missing")
	case r.Kind != ResolveRetryWith && corrects:
		return refuse(RefusedInvalid, fmt.Sprintf("resolution %q takes no correction", r.Kind))
	case r.Reference != "" && (r.Kind != ResolveSkip || item.step.skipped == nil):
		return refuse(RefusedInvalid, "a reference goes with skip, of a document that people book by hand")
	}
	return nil
}

// resolve takes an answer. A correction is validated before it is accepted: one that is refused leaves the step parked.
func (d *desk) resolve(ctx workflow.Context, r Resolution) (ResolutionAnswer, error) {
	item := d.parked[r.ID]
	if r.Kind == ResolveRetryWith {
		item.claimed = &r
		steady, _ := workflow.NewDisconnectedContext(ctx)
		err := item.step.correct(steady, r)
		item.claimed = nil
		if err != nil {
			return ResolutionAnswer{}, invalidCorrection(err)
		}
	}
	item.answer = &r
	return ResolutionAnswer{ID: r.ID, Kind: r.Kind}, nil
}

// attempt is the number of the business attempt of a step, from 1.
func (d *desk) attempt(name string) int { return d.attempts[name] + 1 }

// try carries a step out. Where it fails for good it parks; the error is then an *undoWish or nil, which is also what a skipped step
// gives; in a run that hears its cancellation at once it may be that. A retry after a refusal is a new business attempt; a retry after an unknown outcome continues the former one.
func (d *desk) try(ctx workflow.Context, s step, forward func(ctx workflow.Context, attempt int) error) error {
	for {
		err := forward(ctx, d.attempt(s.name))
		if err == nil {
			return nil
		}
		if wish, ok := err.(*undoWish); ok { //nolint:errorlint // never wrapped: made in this package only
			return wish
		}
		if ctx.Err() != nil {
			return ctx.Err() // the run itself is cancelled: there is nothing left to wait for
		}
		if s.atOnce {
			return &undoWish{Step: s.name, By: "policy", Reason: messageOf(err), Cause: err}
		}
		answer, cancel := d.ask(ctx, s, err)
		switch {
		case answer.Kind == ResolveSkip:
			if s.skipped != nil {
				s.skipped(answer)
			}
			return nil
		case cancel != nil:
			return cancel
		case answer.Kind == ResolveCompensate:
			return given(s, answer, err)
		}
		if refused(err) {
			d.attempts[s.name]++
		}
	}
}

// given is the wish to undo that a person or a deadline has answered a failure with.
func given(s step, answer Resolution, cause error) *undoWish {
	reason := messageOf(cause)
	if answer.Reason != "" {
		reason += " (" + answer.Reason + ")"
	}
	return &undoWish{Step: s.name, By: answer.Actor, Reason: reason, Cause: cause}
}

// ask parks a step until a person, the deadline or a cancel wish has answered it; the wish is given besides the answer that it stands for.
func (d *desk) ask(ctx workflow.Context, s step, cause error) (Resolution, *undoWish) {
	d.occurrences[s.name]++
	info := workflow.GetInfo(ctx)
	// The original run's ID stays the same after a reset, as the recorded answers to this step do.
	id := AttentionID(info.WorkflowExecution.ID, info.OriginalRunID, s.name, d.occurrences[s.name])
	item := &parkedStep{step: s, actions: s.offered(cause)}
	d.parked[id] = item

	d.record(ctx, id, item, cause)
	d.changed(ctx, true, fmt.Sprintf("Parked at %q (%s): %s", s.name, kindOf(cause), messageOf(cause)))
	d.suggest(ctx, id, s, cause)
	answer, cancel := d.wait(ctx, item)
	delete(d.parked, id)
	answer.ID = id
	d.resolved[id] = answer
	d.forget(ctx, answer)
	d.changed(ctx, len(d.parked) > 0, fmt.Sprintf("%q: %s by %s", s.name, answer.Kind, answer.Actor))
	return answer, cancel
}

// offered are the answers to a failure. A correction needs a new business attempt, which only a refusal allows: what may have arrived
// goes on with the bytes that were sent.
func (s step) offered(cause error) []ResolutionKind {
	if !refused(cause) {
		return slices.DeleteFunc(slices.Clone(s.actions), func(kind ResolutionKind) bool { return s.sure && kind == ResolveCompensate })
	}
	if s.correct == nil {
		return s.actions
	}
	at := slices.Index(s.actions, ResolveRetry) + 1
	return slices.Insert(slices.Clone(s.actions), at, ResolveRetryWith)
}

// suggest adds to the parked item what may mend it, while people are free to answer already.
func (d *desk) suggest(ctx workflow.Context, id string, s step, cause error) {
	if s.suggest == nil || !refused(cause) || !suggestsFixes(ctx) {
		return
	}
	workflow.GoNamed(ctx, "suggest-fixes", func(ctx workflow.Context) {
		fixes, err := s.suggest(ctx, cause)
		if err != nil || len(fixes) == 0 {
			return // the class's own suggestion stands
		}
		if err := note(ledger(ctx, "Suggest fixes: "+s.name), ledgerWork.AddFixes, activities.AddFixesInput{ID: id, Fixes: fixes}); err != nil {
			workflow.GetLogger(ctx).Error("fixes not written", "id", id, "error", err)
		}
	})
}

// wait gives the answer to a parked step: a person's, the deadline's, that of a cancel wish, or that of what mended it.
func (d *desk) wait(ctx workflow.Context, item *parkedStep) (Resolution, *undoWish) {
	s := item.step
	var wish *undoWish
	var by string
	mended := false
	answered := func() bool {
		if item.claimed != nil {
			return false
		}
		if !s.deaf {
			wish = d.interrupted()
		}
		if s.mended != nil {
			by, mended = s.mended()
		}
		return item.answer != nil || wish != nil || mended
	}
	if s.deadline > 0 {
		options := workflow.AwaitOptions{Timeout: s.deadline, TimerOptions: workflow.TimerOptions{Summary: "Deadline of parked step: " + s.name}}
		if ok, _ := workflow.AwaitWithOptions(ctx, options, answered); !ok {
			// Who is being heard at the deadline is still in time.
			_ = workflow.Await(ctx, func() bool { return item.claimed == nil })
			if item.answer == nil && ctx.Err() == nil {
				return Resolution{Kind: s.overdue, Actor: "deadline", Reason: "nobody answered in time"}, nil
			}
		}
	} else {
		_ = workflow.Await(ctx, answered)
	}
	switch {
	case item.answer != nil:
		return *item.answer, nil
	case wish != nil:
		return Resolution{Kind: ResolveCompensate, Actor: wish.By, Reason: wish.Reason}, wish
	case !mended: // the run was cancelled: the step is begun again, and ends with that
		return Resolution{Kind: ResolveRetry, Actor: "temporal", Reason: "the run was cancelled"}, nil
	default:
		return Resolution{Kind: ResolveRetry, Actor: by}, nil
	}
}

// record and forget keep the attention table; a failure there is logged, never in the way of the process.
func (d *desk) record(ctx workflow.Context, id string, item *parkedStep, cause error) {
	now := workflow.Now(ctx)
	in := activities.ParkInput{
		ID: id, OrderID: d.orderID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, Step: item.step.name,
		Class: kindOf(cause), Summary: messageOf(cause), Suggestion: suggestion(kindOf(cause)), Answer: detailOf(cause),
		Since: now, Mark: d.mark(),
	}
	for _, action := range item.actions {
		in.Actions = append(in.Actions, string(action))
	}
	if item.step.deadline > 0 {
		in.Deadline = now.Add(item.step.deadline)
	}
	if err := note(ledger(ctx, "Park: "+item.step.name), ledgerWork.ParkStep, in); err != nil {
		workflow.GetLogger(ctx).Error("attention row not written", "step", item.step.name, "error", err)
	}
}

func (d *desk) forget(ctx workflow.Context, r Resolution) {
	in := activities.UnparkInput{ID: r.ID, OrderID: d.orderID, Resolution: string(r.Kind), Actor: r.Actor, Reason: r.Reason}
	if r.Correction != nil {
		in.Changed = r.Correction.Places()
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx) // what no longer waits is not shown, also where the run was cancelled
	if err := note(ledger(ctx, "Resolved: "+string(r.Kind)), ledgerWork.UnparkStep, in); err != nil {
		workflow.GetLogger(ctx).Error("attention row not resolved", "id", r.ID, "error", err)
	}
}

// dateOnly is the correction of a step of which nothing but the posting date can be corrected.
func dateOnly(take func(date string)) func(workflow.Context, Resolution) error {
	return func(_ workflow.Context, r Resolution) error {
		_, err := time.Parse(time.DateOnly, r.Correction.Date)
		if err != nil || len(r.Correction.Order)+len(r.Correction.Document) > 0 {
			return refuse(RefusedInvalid, "only the posting date can be corrected here, as date: YYYY-MM-DD")
		}
		take(r.Correction.Date)
		return nil
	}
}

// suggestion is what usually mends a failure of this class.
func suggestion(kind fault.Kind) string {
	switch kind {
	case fault.Value:
		return "Correct the value here (retry_with) or at its source (shop, mapping or ERP set-up), then retry."
	case fault.MissingReference:
		return "Create the missing record in the ERP, or correct the reference to an existing one (retry_with), then retry."
	case fault.ClosedPeriod:
		return "Open the posting period, or post into the next open one (retry_with a date) as finance agrees."
	case fault.DeclinedByPolicy:
		return "Lift the hold or the limit, or restock, then retry; else compensate."
	case fault.Credentials:
		return "Mend the credential or its rights (`tenderline check` names it), then retry."
	case fault.Conflict:
		return "Look at the document in the other system; retry once its state allows the step, else compensate."
	case fault.UnknownOutcome:
		return "Look the operation up at the gateway or ERP by the reference shown, then retry; nothing is sent twice."
	case fault.Connection, fault.RateLimit, fault.Busy:
		return "Retry once the system answers again; `tenderline attention retry --class` retries all of an outage."
	default:
		return "Ask the engineers; the run's history in the Temporal UI shows the failing step."
	}
}
