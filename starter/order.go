package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// RuleNotOffered is the rule of a Problem that names what the order document allows and this release does not do.
const RuleNotOffered = "not_offered"

// SubmitOrder takes a validated order: its row is committed, then its workflow started. The same order again gives the stored one and
// created=false; another body under the same ID is a Conflict. Once the row is committed a failed start is no error: the sweeper starts it.
func (s *Starter) SubmitOrder(ctx context.Context, order canonical.Order) (record journal.OrderRecord, created bool, err error) {
	channel, found := s.settings.Channel(order.Channel)
	if !found {
		return journal.OrderRecord{}, false, invalid("/channel", canonical.RuleEnum, "is not a channel of this installation")
	}
	if order.Payment.Capture == canonical.CaptureOnShipment && !s.settings.CapturesOnShipment(channel) {
		return journal.OrderRecord{}, false, invalid("/payment/capture", RuleNotOffered,
			"capture on_shipment is not offered for this channel, whose ERP is not asked for shipments; use immediate or after_authorization")
	}
	input, err := json.Marshal(order)
	if err != nil {
		return journal.OrderRecord{}, false, fmt.Errorf("encode order: %w", err)
	}
	record, created, err = s.store.TakeOrder(ctx, journal.OrderRecord{
		OrderID: order.OrderID, Channel: order.Channel, BodyHash: canonical.Hash(order), Input: input,
		Currency: order.Currency, Total: order.Total, Erp: channel.Erp,
	})
	if errors.Is(err, journal.ErrOrderDiffers) {
		return journal.OrderRecord{}, false, &Error{Kind: Conflict, Message: "an order of this ID exists with another body", Err: err}
	}
	if err != nil {
		return journal.OrderRecord{}, false, err
	}
	if record.StartedAt != nil {
		return record, created, nil
	}
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	if err := s.start(start, record, order, channel); err != nil {
		s.log.WarnContext(ctx, "order not started, the sweeper will", "order", order.OrderID, "error", err)
	}
	return record, created, nil
}

// invalid is a request with one thing wrong in it.
func invalid(pointer, rule, message string) *Error {
	return &Error{
		Kind: Invalid, Message: "the order can't be taken",
		Problems: []canonical.Problem{{Pointer: pointer, Rule: rule, Message: message}},
	}
}

// start starts an order's workflow once for ever and notes that it runs. It runs in the ERP that the order was taken for, wherever its channel books by
// now: the ERP's changes reach the order by its record.
func (s *Starter) start(ctx context.Context, taken journal.OrderRecord, order canonical.Order, channel config.Channel) error {
	_, err := s.engine.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        workflows.OrderWorkflowID(order.OrderID),
		TaskQueue: workflows.TaskQueue,
		// A finished order is never run again, and a running one is not started twice; the error tells which orders are running already.
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("Order %s, %s %s", order.OrderID, canonical.FormatAmount(order.Total, order.Currency), order.Currency),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchOrderID.ValueSet(order.OrderID),
			workflows.SearchErp.ValueSet(taken.Erp),
			workflows.SearchOrderStatus.ValueSet(string(canonical.OrderReceived)),
			workflows.SearchPaymentStatus.ValueSet(string(canonical.PaymentNone)),
			workflows.SearchNeedsAttention.ValueSet(false),
		),
	}, workflows.OrderToCash, workflows.OrderInput{
		Order: order, Erp: taken.Erp, Site: siteOf(channel, taken.Erp), Policy: policy(channel.Policy),
	})
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return fmt.Errorf("start order %s: %w", order.OrderID, err)
	}
	return s.store.MarkStarted(ctx, order.OrderID)
}

// PaymentOutcome waits, at most so long, until the outcome of an order's first payment is known. known=false: not yet, or the order
// ended before anybody asked; the read model has what there is.
func (s *Starter) PaymentOutcome(ctx context.Context, orderID string, wait time.Duration) (view workflows.OrderView, known bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err = s.update(bounded, workflows.OrderWorkflowID(orderID), workflows.UpdatePaymentOutcome, workflows.UpdatePaymentOutcome, &view)
	switch {
	case err == nil:
		return view, true, nil
	case Is(err, Unavailable), Is(err, NotFound), Is(err, TooLate):
		return workflows.OrderView{}, false, nil
	default:
		return workflows.OrderView{}, false, err
	}
}

// Cancel wishes an order cancelled. A repeat gets the first answer.
func (s *Starter) Cancel(ctx context.Context, orderID string, request workflows.CancelRequest) (workflows.CancelAnswer, error) {
	var answer workflows.CancelAnswer
	err := s.update(ctx, workflows.OrderWorkflowID(orderID), workflows.UpdateCancel, workflows.UpdateCancel, &answer, request)
	return answer, s.explained(ctx, orderID, err)
}

// NewToken gives a declined order another card. The same token again gets the first answer.
func (s *Starter) NewToken(ctx context.Context, orderID string, token workflows.NewToken) (workflows.NewTokenAnswer, error) {
	var answer workflows.NewTokenAnswer
	id := "new-token/" + digest(string(token.Token.Type), token.Token.Value)
	err := s.update(ctx, workflows.OrderWorkflowID(orderID), workflows.UpdateNewToken, id, &answer, token)
	return answer, s.explained(ctx, orderID, err)
}

// explained tells why no run of an order took an update: there is none, it was not started yet, or it has ended.
func (s *Starter) explained(ctx context.Context, orderID string, err error) error {
	if !Is(err, NotFound) {
		return err
	}
	record, lookup := s.store.Order(ctx, orderID)
	switch {
	case lookup != nil:
		return stored(lookup, "order")
	case record.StartedAt == nil:
		return &Error{Kind: NotNow, Message: "the order was taken a moment ago and is not running yet; repeat the request", Err: err}
	default:
		return &Error{Kind: TooLate, Message: "the order has ended: " + string(record.Status), Err: err}
	}
}

// updateTimeout bounds an update whose caller set no nearer deadline.
const updateTimeout = 10 * time.Second

// update sends an update and waits for its answer. A repeat under the same ID gets the first answer, also after the run has ended.
func (s *Starter) update(ctx context.Context, workflowID, name, id string, answer any, args ...any) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, updateTimeout)
		defer cancel()
	}
	handle, err := s.engine.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: name, UpdateID: id, Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return classify(err)
	}
	if err := handle.Get(ctx, answer); err != nil {
		return classify(err)
	}
	return nil
}

// digest is a short name of texts that must not be read from it.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
