package starter

import (
	"context"
	"fmt"
	"slices"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Decide gives a person's verdict on a held order. A verdict that comes second or late is answered with the one that holds.
func (s *Starter) Decide(ctx context.Context, orderID string, decision workflows.Decision) (workflows.DecisionAnswer, error) {
	var answer workflows.DecisionAnswer
	workflowID := workflows.FraudReviewWorkflowID(orderID)
	id := "decide/" + digest(string(decision.Decision), decision.Actor)
	err := s.update(ctx, workflowID, workflows.UpdateDecide, id, &answer, decision)
	if !Is(err, NotFound) && !Is(err, TooLate) {
		return answer, err
	}
	record, lookup := s.store.Order(ctx, orderID)
	if lookup != nil {
		return answer, stored(lookup, "order")
	}
	if verdict, found := s.verdict(ctx, workflowID); found {
		return verdict, nil
	}
	if beforeReview(record.Status) {
		return answer, &Error{Kind: NotNow, Message: "the order is not held for review: " + string(record.Status), Err: err}
	}
	return answer, &Error{Kind: TooLate, Message: "no review waits; the order is " + string(record.Status), Err: err}
}

// verdict reads what an ended review decided; false where there is none to read.
func (s *Starter) verdict(ctx context.Context, workflowID string) (workflows.DecisionAnswer, bool) {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var result workflows.ReviewResult
	if err := s.engine.GetWorkflow(bounded, workflowID, "").Get(bounded, &result); err != nil || result.Decision == "" {
		return workflows.DecisionAnswer{}, false
	}
	return workflows.DecisionAnswer{Decision: result.Decision, Actor: result.Actor, Late: true}, true
}

// GatewayDecision tells a review that the gateway reported its case as decided; EventID names the verified event in the inbox. NotFound:
// no review waits.
func (s *Starter) GatewayDecision(ctx context.Context, orderID string, decision workflows.GatewayDecision) error {
	err := s.engine.SignalWorkflow(ctx, workflows.FraudReviewWorkflowID(orderID), "", workflows.SignalGatewayDecision, decision)
	if err != nil {
		return classify(err)
	}
	return nil
}

// Resolve answers a parked step. The same answer of the same person again gets the first outcome; of two people the first one wins, and the
// other is told who did.
func (s *Starter) Resolve(ctx context.Context, id string, kind workflows.ResolutionKind, actor, reason string) (workflows.ResolutionAnswer, error) {
	item, err := s.store.Attention(ctx, id)
	if err != nil {
		return workflows.ResolutionAnswer{}, stored(err, "parked item")
	}
	if item.State == journal.AttentionResolved {
		return resolvedBefore(item, kind, actor)
	}
	if !slices.Contains(item.Actions, string(kind)) {
		return workflows.ResolutionAnswer{}, &Error{
			Kind: Invalid, Message: fmt.Sprintf("resolution %q is not offered for this item; offered: %v", kind, item.Actions),
		}
	}
	var answer workflows.ResolutionAnswer
	updateID := "resolve/" + digest(id, string(kind), actor)
	err = s.update(ctx, item.WorkflowID, workflows.UpdateResolve, updateID, &answer, workflows.Resolution{ID: id, Kind: kind, Actor: actor, Reason: reason})
	if !Is(err, NotFound) {
		return answer, err
	}
	// The run has ended or no longer waits at this step; the row may have been closed since it was read.
	if item, lookup := s.store.Attention(ctx, id); lookup == nil && item.State == journal.AttentionResolved {
		return resolvedBefore(item, kind, actor)
	}
	return workflows.ResolutionAnswer{}, &Error{Kind: TooLate, Message: "the process no longer waits at this step", Err: err}
}

// resolvedBefore answers for an item that somebody has resolved.
func resolvedBefore(item journal.Attention, kind workflows.ResolutionKind, actor string) (workflows.ResolutionAnswer, error) {
	if item.Resolution == string(kind) && item.Actor == actor {
		return workflows.ResolutionAnswer{ID: item.ID, Kind: kind}, nil
	}
	return workflows.ResolutionAnswer{}, &Error{
		Kind: TooLate, Message: fmt.Sprintf("already resolved with %q by %s", item.Resolution, item.Actor),
	}
}
