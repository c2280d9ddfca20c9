package starter

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Verdict is the decision that holds on a held order.
type Verdict struct {
	workflows.DecisionAnswer
	// LateReject: a reject that came after an accept, of an order whose money is kept. What has not left is held, and a refund is
	// proposed, once the order's own process has ended.
	LateReject bool
}

// ruleFirst is the rule between two opposite decisions, the later of which came after the review had ended.
const ruleFirst = "the first valid decision holds"

// Decide gives a person's verdict on a held order. A verdict that comes second or late is answered with the one that holds; where it is a
// reject of an order whose money is kept, it is brought to the people who can refund it.
func (s *Starter) Decide(ctx context.Context, orderID string, decision workflows.Decision) (Verdict, error) {
	answer, err := s.decide(ctx, orderID, decision)
	if err != nil {
		return Verdict{}, err
	}
	verdict := Verdict{DecisionAnswer: answer}
	if answer.Late && decision.Decision == canonical.FraudReject && answer.Decision == canonical.FraudAccept {
		verdict.LateReject, err = s.rejectLate(ctx, orderID, decision)
	}
	return verdict, err
}

// decide asks the review, or, where it has ended, what is left of it.
func (s *Starter) decide(ctx context.Context, orderID string, decision workflows.Decision) (workflows.DecisionAnswer, error) {
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
	if verdict, found := s.verdict(ctx, orderID, workflowID); found {
		// Whoever got no answer asks once more: their own decision is no late one.
		verdict.Late = verdict.Decision != decision.Decision || verdict.Actor != decision.Actor
		return verdict, s.noteOpposed(ctx, orderID, decision, verdict)
	}
	if beforeReview(record.Status) {
		return answer, &Error{Kind: NotNow, Message: "the order is not held for review: " + string(record.Status), Err: err}
	}
	return answer, &Error{Kind: TooLate, Message: "no review waits; the order is " + string(record.Status), Err: err}
}

// verdict reads what an ended review decided, from its run or, when that is no longer kept, from the journal; false where there is none.
func (s *Starter) verdict(ctx context.Context, orderID, workflowID string) (workflows.DecisionAnswer, bool) {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var result workflows.ReviewResult
	if err := s.engine.GetWorkflow(bounded, workflowID, "").Get(bounded, &result); err == nil && result.Decision != "" {
		return workflows.DecisionAnswer{Decision: result.Decision, Actor: result.Actor}, true
	}
	if review, err := s.store.Review(ctx, orderID); err == nil && review.Decision != "" {
		return workflows.DecisionAnswer{Decision: review.Decision, Actor: review.Actor}, true
	}
	return workflows.DecisionAnswer{}, false
}

// noteOpposed keeps a decision that came after its review had ended with another one; a running review does so itself.
func (s *Starter) noteOpposed(ctx context.Context, orderID string, decision workflows.Decision, holds workflows.DecisionAnswer) error {
	if decision.Decision == holds.Decision {
		return nil
	}
	return s.store.NoteReview(ctx, orderID, journal.ReviewNoteRecord{
		Key: "opposed/" + digest(string(decision.Decision), decision.Actor), At: s.clock(), Note: string(activities.ReviewOpposed),
		Decision: decision.Decision, Actor: decision.Actor, Source: string(decision.Source), Comment: decision.Comment, Rule: ruleFirst,
	}, &journal.Action{
		Actor: decision.Actor, Action: "fraud.opposed", Reason: decision.Comment,
		Detail: map[string]string{
			"decision": string(decision.Decision), "source": string(decision.Source), "holds": string(holds.Decision), "rule": ruleFirst,
		},
	}, nil)
}

// rejectLate takes a person's reject of an order that was accepted before; false where no money is kept, nor will be.
func (s *Starter) rejectLate(ctx context.Context, orderID string, decision workflows.Decision) (bool, error) {
	record, err := s.store.Order(ctx, orderID)
	if err != nil {
		return false, stored(err, "order")
	}
	if !mayKeep(record) {
		return false, nil
	}
	return true, s.startLateReject(ctx, workflows.LateRejectInput{
		OrderID: orderID, Actor: decision.Actor, Source: decision.Source, Comment: decision.Comment, Mark: decision.Mark,
	})
}

// mayKeep tells that an order's money is taken, is being taken, or will be after an accept.
func mayKeep(record journal.OrderRecord) bool {
	return !moneyGone(record.PaymentStatus) && (kept(record.Status) || beforeReview(record.Status))
}

// kept tells that an order's money is taken, or being taken.
func kept(status canonical.OrderStatus) bool {
	switch status {
	case canonical.OrderCapturing, canonical.OrderBooking, canonical.OrderConfirmed, canonical.OrderShipped:
		return true
	default:
		return false
	}
}

// moneyGone tells that the buyer has everything back, or was never charged.
func moneyGone(status canonical.PaymentStatus) bool {
	switch status {
	case canonical.PaymentVoided, canonical.PaymentReversed, canonical.PaymentRefunded, canonical.PaymentDeclined, canonical.PaymentChargedBack:
		return true
	default:
		return false
	}
}

// startLateReject starts the process that a reject after an accept leads to, once for ever. It waits for the order's own end by itself.
func (s *Starter) startLateReject(ctx context.Context, in workflows.LateRejectInput) error {
	taken, order, err := s.orderOf(ctx, in.OrderID)
	if err != nil {
		return err
	}
	channel, found := s.settings.Channel(taken.Channel)
	if !found {
		return fmt.Errorf("start late reject of order %s: its channel %q is no longer configured", in.OrderID, taken.Channel)
	}
	in.Order, in.Erp, in.Site, in.Policy = order, taken.Erp, siteOf(channel, taken.Erp), policy(channel.Policy)
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err = s.engine.ExecuteWorkflow(bounded, client.StartWorkflowOptions{
		ID:                                       workflows.LateRejectWorkflowID(in.OrderID),
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Late reject of order %s, from %s", in.OrderID, in.Source),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchOrderID.ValueSet(in.OrderID),
			workflows.SearchErp.ValueSet(taken.Erp),
			workflows.SearchFraudDecision.ValueSet(string(canonical.FraudReject)),
			workflows.SearchNeedsAttention.ValueSet(false),
		),
	}, workflows.LateReject, in)
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return classify(err)
	}
	return nil
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
