package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// The rules by which one of several decisions holds.
const (
	ruleFirst   = "the first valid decision holds"
	ruleGateway = "what the gateway has decided, or done with the money, holds"
)

// review is one run of FraudReview.
type review struct {
	in      ReviewInput
	log     log.Logger
	desk    *desk
	view    ReviewView
	verdict *verdict // the first valid one
	settled bool     // it holds at the gateway

	kept  bool      // the review writes a record of itself
	later []verdict // came after the first
	asked bool      // the gateway was asked before the deadline decides
	notes int
	due   []reminder // not past yet, the next one first
}

// verdict is a decision with where it came from.
type verdict struct {
	Decision
	eventID string // inbox event, when the gateway told
	asked   bool   // the gateway told when it was asked
}

// proves tells that the gateway's word is checked before it counts.
func (v verdict) proves() bool { return v.eventID != "" || v.asked }

// reminder is what is done at a time while nobody decides.
type reminder struct {
	at      time.Time
	summary string
	run     func(ctx workflow.Context)
}

// FraudReview waits for the first valid decision on a held payment (a person's, the gateway's, a cancel wish or the deadline's),
// takes it at Decision Manager where it was not taken there, and answers with what holds at the gateway. A decision that arrives
// twice or late is answered, not failed; one that differs from the one that holds is kept with the rule that decided between them.
func FraudReview(ctx workflow.Context, in ReviewInput) (ReviewResult, error) {
	r := &review{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.OrderID)}
	if err := r.setup(ctx); err != nil {
		return ReviewResult{}, err
	}
	for {
		r.await(ctx)
		if err := ctx.Err(); err != nil {
			return ReviewResult{}, err // cancelled from outside: decides nothing; the order begins it anew
		}
		held, err := r.decide(ctx)
		if err != nil {
			return ReviewResult{}, err
		}
		if held == nil {
			continue // the gateway's word was not proven: wait on
		}
		r.settled = true
		_ = workflow.UpsertTypedSearchAttributes(ctx, SearchFraudDecision.ValueSet(string(held.Decision)))
		result := r.result(*held)
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s by %s", result.Decision, result.Actor))
		r.close(ctx, result)
		return result, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	}
}

// result is the verdict with what holds. Where the gateway had decided otherwise, or a reviewer has moved the money, the gateway's holds.
func (r *review) result(held activities.CaseDecision) ReviewResult {
	result := ReviewResult{
		Decision: held.Decision, Actor: r.verdict.Actor, Source: r.verdict.Source, Comment: r.verdict.Comment,
		Captured: held.Captured, Reversed: held.Reversed, Payment: held.Payment, Mark: r.verdict.Mark,
	}
	if held.Decision != r.verdict.Decision.Decision {
		result.Actor, result.Source, result.Comment, result.Mark = string(SourceGateway), SourceGateway, "", false
	}
	return result
}

// setup registers the ways to decide, and opens the case for the people who do.
func (r *review) setup(ctx workflow.Context) error {
	now := workflow.Now(ctx)
	r.view = ReviewView{OrderID: r.in.OrderID, Since: now, Deadline: now.Add(r.in.Deadline)}
	var err error
	r.desk, err = ownDesk(ctx, r.in.OrderID)
	if err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, QueryReview, func() (ReviewView, error) { return r.view, nil }); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateDecide, r.update, workflow.UpdateHandlerOptions{
		Validator:   func(d Decision) error { return validDecision(d.Decision) },
		Description: "Accepts or rejects the held payment",
	}); err != nil {
		return err
	}
	workflow.GoNamed(ctx, "decisions-from-signals", func(ctx workflow.Context) {
		for {
			r.receive(ctx)
		}
	})
	r.schedule()
	workflow.SetCurrentDetails(ctx, r.howToDecide()+r.open(ctx))
	return nil
}

// howToDecide is the first line of the run's details.
func (r *review) howToDecide() string {
	return "Waiting for a decision until " + r.view.Deadline.UTC().Format("2006-01-02 15:04 MST") +
		". Send signal `fraud-decision` with {\"decision\":\"accept\"} or {\"decision\":\"reject\"}, or `tenderline fraud accept|reject " + r.in.OrderID + "`."
}

// open writes the review down for the people who decide, and gives what they need to know.
func (r *review) open(ctx workflow.Context) string {
	if r.kept = keepsReview(ctx); !r.kept {
		return ""
	}
	in := activities.OpenReviewInput{
		OrderID: r.in.OrderID, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID, PaymentID: r.in.Payment.AuthorizationID,
		Amount: r.in.Amount, Since: r.view.Since, Deadline: r.view.Deadline, Default: string(r.in.Default),
	}
	if after := r.in.Policy.ReviewRemind; after > 0 {
		in.RemindAt = r.view.Since.Add(after)
	}
	if after := r.in.Policy.ReviewEscalate; after > 0 {
		in.EscalateAt = r.view.Since.Add(after)
	}
	opened, err := read(ledger(ctx, "Open the case for analysts"), ledgerWork.OpenReview, in)
	if err != nil {
		r.log.Error("review not written", "error", err)
		return ""
	}
	return "\n\n" + opened.Summary
}

// schedule plans what is done while nobody decides.
func (r *review) schedule() {
	for _, planned := range []struct {
		after   time.Duration
		summary string
		note    activities.ReviewNote
	}{
		{r.in.Policy.ReviewRemind, "Remind the analysts", activities.ReviewReminded},
		{r.in.Policy.ReviewEscalate, "Escalate the review", activities.ReviewEscalated},
	} {
		if planned.after > 0 && planned.after < r.in.Deadline {
			r.plan(reminder{r.view.Since.Add(planned.after), planned.summary, func(ctx workflow.Context) {
				r.note(ctx, planned.note, verdict{}, "")
			}})
		}
	}
	r.planQuestion(r.view.Since)
}

// planQuestion plans the next question to the gateway: webhooks get lost.
func (r *review) planQuestion(now time.Time) {
	next := now.Add(r.in.Policy.ReviewPoll)
	if r.in.Policy.ReviewPoll <= 0 || !next.Before(r.view.Deadline) {
		return
	}
	r.plan(reminder{next, "Ask the gateway how the case stands", func(ctx workflow.Context) {
		r.ask(ctx)
		r.planQuestion(workflow.Now(ctx))
	}})
}

// plan keeps the reminders in the order of their times.
func (r *review) plan(one reminder) {
	at := len(r.due)
	for at > 0 && r.due[at-1].at.After(one.at) {
		at--
	}
	r.due = append(r.due[:at], append([]reminder{one}, r.due[at:]...)...)
}

// ask asks the gateway how the case stands; a verdict found there counts once it is proven.
func (r *review) ask(ctx workflow.Context) {
	in := activities.AskCaseInput{OrderID: r.in.OrderID, PaymentID: r.in.Payment.AuthorizationID, Amount: r.in.Amount}
	state, err := run(question(ctx, TaskQueueCybersource, r.in.Policy, "Ask the gateway how the case stands"), payments.AskCase, in)
	if err != nil {
		r.log.Warn("the gateway does not say how the case stands", "error", err)
		return
	}
	if state.Decision != "" {
		r.take(verdict{Decision: Decision{Decision: state.Decision, Actor: string(SourceGateway), Source: SourcePoll}, asked: true})
	}
}

// update takes a person's decision, or answers with the one that holds. The gateway's word is checked before it counts: a person waits
// for that.
func (r *review) update(ctx workflow.Context, d Decision) (DecisionAnswer, error) {
	if err := workflow.Await(ctx, func() bool { return r.verdict == nil || !r.verdict.proves() || r.settled }); err != nil {
		return DecisionAnswer{}, err
	}
	late := r.verdict != nil
	if d.Source == "" {
		d.Source = SourceAPI
	}
	r.take(verdict{Decision: d})
	return DecisionAnswer{Decision: r.verdict.Decision.Decision, Actor: r.verdict.Actor, Late: late}, nil
}

// receive takes one signal.
func (r *review) receive(ctx workflow.Context) {
	workflow.NewSelector(ctx).
		AddReceive(workflow.GetSignalChannel(ctx, SignalFraudDecision), func(c workflow.ReceiveChannel, _ bool) {
			var d Decision
			c.Receive(ctx, &d)
			if !r.in.Untrusted || validDecision(d.Decision) != nil {
				r.log.Warn("fraud decision by signal ignored", "decision", d.Decision, "allowed", r.in.Untrusted)
				return
			}
			r.take(verdict{Decision: Decision{Decision: d.Decision, Comment: d.Comment, Actor: UnverifiedActor, Source: SourceTemporalUI}})
		}).
		AddReceive(workflow.GetSignalChannel(ctx, SignalGatewayDecision), func(c workflow.ReceiveChannel, _ bool) {
			var g GatewayDecision
			c.Receive(ctx, &g)
			if validDecision(g.Decision) != nil || g.EventID == "" {
				r.log.Warn("gateway decision ignored", "decision", g.Decision)
				return
			}
			r.take(verdict{Decision: Decision{Decision: g.Decision, Comment: g.Comment, Actor: string(SourceGateway), Source: SourceGateway}, eventID: g.EventID})
		}).
		AddReceive(workflow.GetSignalChannel(ctx, SignalOrderCancelled), func(c workflow.ReceiveChannel, _ bool) {
			var cancel CancelRequest
			c.Receive(ctx, &cancel)
			r.take(verdict{Decision: Decision{Decision: canonical.FraudReject, Comment: "order cancelled: " + cancel.Reason, Actor: cancel.Actor, Source: SourceCancel}})
		}).
		Select(ctx)
}

// take keeps the first verdict, and beside it the ones that come later.
func (r *review) take(v verdict) {
	if r.verdict == nil {
		r.verdict = &v
		r.view.Decision, r.view.Actor = v.Decision.Decision, v.Actor
		return
	}
	r.log.Info("late fraud decision", "decision", v.Decision.Decision, "actor", v.Actor, "holds", r.verdict.Decision.Decision)
	r.later = append(r.later, v)
}

// forget drops a verdict that was not proven; what came while it was checked counts in its place.
func (r *review) forget() {
	waiting := r.later
	r.verdict, r.later, r.view.Decision, r.view.Actor = nil, nil, "", ""
	if !r.kept {
		return // such a run began before anything was kept
	}
	for _, v := range waiting {
		r.take(v)
	}
}

// await waits for a verdict, and reminds and asks meanwhile; the deadline gives one where nobody does, not even the gateway.
func (r *review) await(ctx workflow.Context) {
	for len(r.due) > 0 {
		next := r.due[0]
		if r.decidedBefore(ctx, next.at, next.summary) {
			return
		}
		r.due = r.due[1:]
		next.run(ctx)
	}
	// A verdict that came with the run's first task is waited for too: released histories hold that timer.
	if !r.decidedBefore(ctx, r.view.Deadline, "Deadline of the review") && r.in.Policy.ReviewPoll > 0 && !r.asked {
		r.asked = true // once: an answer that is not proven would be given again and again
		r.ask(ctx)
	}
	if r.verdict == nil && ctx.Err() == nil {
		r.take(verdict{Decision: Decision{Decision: r.in.Default, Comment: "nobody decided in time", Actor: string(SourceDeadline), Source: SourceDeadline}})
	}
}

// decidedBefore waits for a verdict, no longer than until a time; a run that is cancelled waits for nothing any more.
func (r *review) decidedBefore(ctx workflow.Context, at time.Time, summary string) bool {
	if left := at.Sub(workflow.Now(ctx)); left > 0 {
		options := workflow.AwaitOptions{Timeout: left, TimerOptions: workflow.TimerOptions{Summary: summary}}
		_, _ = workflow.AwaitWithOptions(ctx, options, func() bool { return r.verdict != nil })
	}
	return r.verdict != nil || ctx.Err() != nil
}

// decide makes the verdict hold at the gateway. nil without an error means that the gateway's word was not proven.
func (r *review) decide(ctx workflow.Context) (*activities.CaseDecision, error) {
	var held activities.CaseDecision
	unproven := false
	s := step{name: "case", actions: []ResolutionKind{ResolveRetry}, deadline: r.in.Policy.ParkDeadline, overdue: ResolveRetry}
	err := r.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		in := activities.DecideCaseInput{
			OrderID: r.in.OrderID, PaymentID: r.in.Payment.AuthorizationID, Decision: r.verdict.Decision.Decision, Comment: r.verdict.Comment,
			Actor: r.verdict.Actor, Source: string(r.verdict.Source), EventID: r.verdict.eventID, Asked: r.verdict.asked, Attempt: attempt, Amount: r.in.Amount,
		}
		var err error
		held, err = run(gateway(ctx, r.in.Policy, "Take the decision at Decision Manager: "+string(in.Decision)), payments.DecideCase, in)
		if err != nil && r.verdict.proves() && kindOf(err) == fault.DeclinedByPolicy {
			unproven = true
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if unproven {
		r.log.Warn("gateway decision not proven; ignored", "event", r.verdict.eventID, "asked", r.verdict.asked)
		r.forget()
		return nil, nil
	}
	return &held, nil
}

// close writes down what holds and which decisions do not.
func (r *review) close(ctx workflow.Context, result ReviewResult) {
	holds := verdict{Decision: Decision{Decision: result.Decision, Actor: result.Actor, Source: result.Source, Comment: result.Comment}}
	r.note(ctx, activities.ReviewDecided, holds, "")
	if result.Decision != r.verdict.Decision.Decision {
		r.note(ctx, activities.ReviewOpposed, *r.verdict, ruleGateway)
	}
	for i := 0; i < len(r.later); i++ { //nolint:intrange // decisions may arrive while the ones before are written
		decision, rule := r.later[i].Decision.Decision, ruleFirst
		if decision == r.verdict.Decision.Decision {
			continue // nothing was opposed
		}
		if decision == result.Decision {
			rule = ruleGateway // came second, and is what the gateway has made of the case
		}
		r.note(ctx, activities.ReviewOpposed, r.later[i], rule)
	}
}

// note writes into the review's record.
func (r *review) note(ctx workflow.Context, what activities.ReviewNote, v verdict, rule string) {
	if !r.kept {
		return
	}
	r.notes++
	in := activities.NoteReviewInput{
		OrderID: r.in.OrderID, Note: what, Key: fmt.Sprintf("review/%s/%d", r.in.Payment.AuthorizationID, r.notes), At: workflow.Now(ctx).UTC(), Decision: v.Decision.Decision,
		Actor: v.Actor, Source: string(v.Source), Comment: v.Comment, Rule: rule,
	}
	if err := note(ledger(ctx, "Review: "+string(what)), ledgerWork.NoteReview, in); err != nil {
		r.log.Error("review not written", "note", what, "error", err)
	}
}

// validDecision refuses what is neither accept nor reject.
func validDecision(d canonical.FraudDecision) error {
	if d == canonical.FraudAccept || d == canonical.FraudReject {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(`decision must be "accept" or "reject"`, RefusedInvalid, nil)
}
