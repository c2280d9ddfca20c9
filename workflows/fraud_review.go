package workflows

import (
	"fmt"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// review is one run of FraudReview.
type review struct {
	in      ReviewInput
	log     log.Logger
	desk    *desk
	view    ReviewView
	verdict *verdict // the first valid one
	settled bool     // it holds at the gateway
}

// verdict is a decision with where it came from.
type verdict struct {
	Decision
	eventID string // inbox event, when the gateway told
}

// FraudReview waits for the first valid decision on a held payment (a person's, the gateway's, a cancel wish or the deadline's),
// takes it at Decision Manager where it was not taken there, and answers with what holds at the gateway. A decision that arrives
// twice or late is answered, not failed.
func FraudReview(ctx workflow.Context, in ReviewInput) (ReviewResult, error) {
	r := &review{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.OrderID)}
	if err := r.setup(ctx); err != nil {
		return ReviewResult{}, err
	}
	for {
		r.await(ctx)
		held, err := r.decide(ctx)
		if err != nil {
			return ReviewResult{}, err
		}
		if held == nil {
			continue // the gateway's word was not proven: wait on
		}
		r.settled = true
		_ = workflow.UpsertTypedSearchAttributes(ctx, SearchFraudDecision.ValueSet(string(held.Decision)))
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s by %s", held.Decision, r.verdict.Actor))
		result := ReviewResult{
			Decision: held.Decision, Actor: r.verdict.Actor, Source: r.verdict.Source, Comment: r.verdict.Comment,
			Captured: held.Captured, Reversed: held.Reversed, Payment: held.Payment,
		}
		return result, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	}
}

// setup registers the ways to decide.
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
	workflow.SetCurrentDetails(ctx, "Waiting for a decision until "+r.view.Deadline.UTC().Format("2006-01-02 15:04 MST")+
		". Send signal `fraud-decision` with {\"decision\":\"accept\"} or {\"decision\":\"reject\"}, or `tenderline fraud accept|reject "+r.in.OrderID+"`.")
	return nil
}

// update takes a person's decision, or answers with the one that holds. The gateway's word is checked against the inbox before it
// counts: a person waits for that.
func (r *review) update(ctx workflow.Context, d Decision) (DecisionAnswer, error) {
	if err := workflow.Await(ctx, func() bool { return r.verdict == nil || r.verdict.eventID == "" || r.settled }); err != nil {
		return DecisionAnswer{}, err
	}
	late := r.verdict != nil
	if !late {
		if d.Source == "" {
			d.Source = SourceAPI
		}
		r.take(verdict{Decision: d})
	}
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

// take keeps the first verdict; later ones are logged.
func (r *review) take(v verdict) {
	if r.verdict != nil {
		r.log.Info("late fraud decision", "decision", v.Decision.Decision, "actor", v.Actor, "holds", r.verdict.Decision.Decision)
		return
	}
	r.verdict = &v
	r.view.Decision, r.view.Actor = v.Decision.Decision, v.Actor
}

// await waits for a verdict; the deadline gives one where nobody does.
func (r *review) await(ctx workflow.Context) {
	left := r.view.Deadline.Sub(workflow.Now(ctx))
	if left > 0 {
		options := workflow.AwaitOptions{Timeout: left, TimerOptions: workflow.TimerOptions{Summary: "Deadline of the review"}}
		_, _ = workflow.AwaitWithOptions(ctx, options, func() bool { return r.verdict != nil })
	}
	if r.verdict == nil {
		r.take(verdict{Decision: Decision{Decision: r.in.Default, Comment: "nobody decided in time", Actor: string(SourceDeadline), Source: SourceDeadline}})
	}
}

// decide makes the verdict hold at the gateway. nil without an error means that the gateway's word was not proven.
func (r *review) decide(ctx workflow.Context) (*activities.CaseDecision, error) {
	var held activities.CaseDecision
	unproven := false
	s := step{name: "case", actions: []ResolutionKind{ResolveRetry}, deadline: r.in.Policy.ParkDeadline, overdue: ResolveRetry}
	err := r.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		in := activities.DecideCaseInput{
			OrderID: r.in.OrderID, PaymentID: r.in.Payment.AuthorizationID, Decision: r.verdict.Decision.Decision, Comment: r.verdict.Comment,
			Actor: r.verdict.Actor, Source: string(r.verdict.Source), EventID: r.verdict.eventID, Attempt: attempt, Amount: r.in.Amount,
		}
		var err error
		held, err = run(gateway(ctx, r.in.Policy, "Take the decision at Decision Manager: "+string(in.Decision)), payments.DecideCase, in)
		if err != nil && r.verdict.eventID != "" && kindOf(err) == fault.DeclinedByPolicy {
			unproven = true
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if unproven {
		r.log.Warn("gateway decision not found in the inbox; ignored", "event", r.verdict.eventID)
		r.verdict, r.view.Decision, r.view.Actor = nil, "", ""
		return nil, nil
	}
	return &held, nil
}

// validDecision refuses what is neither accept nor reject.
func validDecision(d canonical.FraudDecision) error {
	if d == canonical.FraudAccept || d == canonical.FraudReject {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(`decision must be "accept" or "reject"`, RefusedInvalid, nil)
}
