package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// Delivery is what the inbox keeps of a gateway event: how it was read, and what came where that holds no card number.
type Delivery struct {
	Event cybersource.Event `json:"event"`
	Body  []byte            `json:"body,omitempty"`
}

// InboxItem makes the inbox's item of a verified event. The same event delivered again has the same ID.
func InboxItem(delivery Delivery) (journal.InboxItem, error) {
	body, err := json.Marshal(delivery)
	if err != nil {
		return journal.InboxItem{}, fmt.Errorf("encode event: %w", err)
	}
	sum := sha256.Sum256([]byte(cybersource.System + "|" + delivery.Event.Key()))
	return journal.InboxItem{
		ID: hex.EncodeToString(sum[:]), Source: cybersource.System, EventType: delivery.Event.Type,
		ResourceID: delivery.Event.ResourceID, OrderID: delivery.Event.Reference, Body: body,
	}, nil
}

// Deliver brings one inbox item to the process that it concerns and notes what became of it. What can't be delivered yet stays in the
// inbox and is tried again, ever more slowly, until a person is asked; what nobody here knows how to read is left to a person at once.
func (s *Starter) Deliver(ctx context.Context, item journal.InboxItem) error {
	if item.ReceivedAt.IsZero() { // whoever has just received it delivers it as it was made
		item.ReceivedAt = s.clock()
	}
	decision, concerns := caseDecision(item.EventType)
	erp, fromErp := erpOf(item.Source)
	switch {
	case fromErp:
		return s.deliverChange(ctx, item, erp)
	case item.EventType == activities.DisputeEventType:
		return s.deliverDispute(ctx, item)
	case item.Source == cybersource.System && concerns:
		return s.deliverDecision(ctx, item, decision)
	case item.Source == cybersource.System && foreseen(item.EventType):
		return s.store.Ignored(ctx, item.ID, "nothing waits for events of this type")
	default:
		return s.giveUp(ctx, item, fault.DeclinedByPolicy, "no process here takes events of this type")
	}
}

// foreseen tells that events of a type may come and mean nothing to us: what they tell we learn in other ways.
func foreseen(eventType string) bool {
	return eventType == "risk.casemanagement.addnote" || strings.HasPrefix(eventType, "risk.profile.") || strings.HasPrefix(eventType, "payments.")
}

// deliverDecision tells a review what the gateway has decided.
func (s *Starter) deliverDecision(ctx context.Context, item journal.InboxItem, decision canonical.FraudDecision) error {
	err := s.GatewayDecision(ctx, item.OrderID, workflows.GatewayDecision{EventID: item.ID, Decision: decision, Comment: comment(item)})
	switch {
	case err == nil:
		return s.store.Delivered(ctx, item.ID)
	case Is(err, NotFound):
		return s.undeliverable(ctx, item, decision)
	default:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
}

// caseDecision reads the decision from an event's type.
func caseDecision(eventType string) (canonical.FraudDecision, bool) {
	switch eventType {
	case "risk.casemanagement.decision.accept":
		return canonical.FraudAccept, true
	case "risk.casemanagement.decision.reject":
		return canonical.FraudReject, true
	default:
		return "", false
	}
}

// comment is what the reviewer wrote, or nothing.
func comment(item journal.InboxItem) string {
	var delivery Delivery
	if json.Unmarshal(item.Body, &delivery) != nil {
		return ""
	}
	return strings.Join(delivery.Event.Comments, "; ")
}

// undeliverable decides about a decision that no review waits for: too early or unknown, repeated, or come after the money was taken.
func (s *Starter) undeliverable(ctx context.Context, item journal.InboxItem, decision canonical.FraudDecision) error {
	record, err := s.store.Order(ctx, item.OrderID)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return s.postpone(ctx, item, fault.MissingReference, "there is no such order")
	case err != nil:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	case beforeReview(record.Status):
		return s.early(ctx, item, record.Status, decision)
	}
	if err := s.noteGatewayOpposed(ctx, item, decision); err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	if decision == canonical.FraudReject && kept(record.Status) && !moneyGone(record.PaymentStatus) {
		return s.rejectedAtGateway(ctx, item)
	}
	return s.store.Ignored(ctx, item.ID, "the review has ended; the order is "+string(record.Status))
}

// early puts a decision off that comes before its review, unless it is how the review has ended: the gateway tells of what we have decided there
// too, while the order is not on its way again yet.
func (s *Starter) early(ctx context.Context, item journal.InboxItem, status canonical.OrderStatus, decision canonical.FraudDecision) error {
	review, err := s.store.Review(ctx, item.OrderID)
	switch {
	case err == nil && review.Decision == decision:
		return s.store.Ignored(ctx, item.ID, "the review has ended so; the order is "+string(status))
	case err == nil, errors.Is(err, journal.ErrNotFound):
		return s.postpone(ctx, item, fault.Conflict, "no review waits; the order is "+string(status))
	default:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
}

// noteGatewayOpposed keeps what the gateway told after the review had ended otherwise.
func (s *Starter) noteGatewayOpposed(ctx context.Context, item journal.InboxItem, decision canonical.FraudDecision) error {
	review, err := s.store.Review(ctx, item.OrderID)
	if errors.Is(err, journal.ErrNotFound) || (err == nil && review.Decision == "") {
		return nil
	}
	if err != nil {
		return err
	}
	told := workflows.Decision{Decision: decision, Comment: comment(item), Actor: string(workflows.SourceGateway), Source: workflows.SourceGateway}
	return s.noteOpposed(ctx, item.OrderID, told, workflows.DecisionAnswer{Decision: review.Decision, Actor: review.Actor})
}

// rejectedAtGateway holds an order whose money was taken, and proposes its refund: the gateway's reject came after our accept. The process
// waits for the order where it is still being booked, so that no try of the event is used up for that.
func (s *Starter) rejectedAtGateway(ctx context.Context, item journal.InboxItem) error {
	err := s.startLateReject(ctx, workflows.LateRejectInput{
		OrderID: item.OrderID, EventID: item.ID, Actor: string(workflows.SourceGateway), Source: workflows.SourceGateway, Comment: comment(item),
	})
	switch {
	case err == nil:
		return s.store.Delivered(ctx, item.ID)
	case Is(err, Unavailable):
		// Whoever ships the order must hear of it, however long the engine is away.
		return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), err.Error())
	default:
		return s.postpone(ctx, item, fault.Bug, err.Error())
	}
}

// The pause before an item is tried again doubles from the first to the last of these.
const (
	firstPause = 2 * time.Second
	lastPause  = 30 * time.Minute
)

// postpone puts an item off, or gives it up when it has had all its tries. class is that of the parked item that it then becomes.
func (s *Starter) postpone(ctx context.Context, item journal.InboxItem, class fault.Kind, reason string) error {
	if item.Tries+1 >= s.inboxTries {
		return s.giveUp(ctx, item, class, reason)
	}
	return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), reason)
}

// giveUp leaves an item to a person, who is told.
func (s *Starter) giveUp(ctx context.Context, item journal.InboxItem, class fault.Kind, reason string) error {
	s.log.ErrorContext(ctx, "event given up, a person must look", "event", item.ID, "order", item.OrderID, "reason", reason)
	id := journal.InboxAttentionID(item.ID)
	return s.store.GiveUp(ctx, item.ID, class, reason, journal.Notice{
		ID: id + "/" + strconv.Itoa(item.Tries) + "/" + strconv.FormatInt(s.clock().Unix(), 10), Audience: journal.AudienceOperator,
		Kind: "inbox.given_up", Group: "inbox", OrderID: item.OrderID,
		Subject: "An event of " + item.Source + " was given up", Text: "Event " + item.EventType + " was not taken by any process: " + reason,
		Link: "/v1/attention/" + id,
	})
}

// pause is the wait after so many tries.
func pause(tries int) time.Duration {
	wait := firstPause
	for range tries {
		if wait *= 2; wait >= lastPause {
			return lastPause
		}
	}
	return wait
}
