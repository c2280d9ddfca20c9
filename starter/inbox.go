package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

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
// inbox and is tried again, ever more slowly, until a person is asked.
func (s *Starter) Deliver(ctx context.Context, item journal.InboxItem) error {
	decision, concerns := caseDecision(item.EventType)
	if item.Source != cybersource.System || !concerns {
		return s.store.Ignored(ctx, item.ID, "nothing waits for events of this type")
	}
	err := s.GatewayDecision(ctx, item.OrderID, workflows.GatewayDecision{EventID: item.ID, Decision: decision, Comment: comment(item)})
	switch {
	case err == nil:
		return s.store.Delivered(ctx, item.ID)
	case Is(err, NotFound):
		return s.undeliverable(ctx, item, decision)
	default:
		return s.postpone(ctx, item, err.Error())
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

// undeliverable decides about a decision that no review waits for: too early or unknown, repeated, or come after the goods.
func (s *Starter) undeliverable(ctx context.Context, item journal.InboxItem, decision canonical.FraudDecision) error {
	record, err := s.store.Order(ctx, item.OrderID)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		return s.postpone(ctx, item, "there is no such order yet")
	case err != nil:
		return s.postpone(ctx, item, err.Error())
	case beforeReview(record.Status):
		return s.postpone(ctx, item, "no review waits yet; the order is "+string(record.Status))
	case decision == canonical.FraudReject && kept(record.Status):
		return s.store.GiveUp(ctx, item.ID, fault.DeclinedByPolicy, "rejected at the gateway, but the order is "+string(record.Status)+": hold the goods and consider a refund")
	default:
		return s.store.Ignored(ctx, item.ID, "the review has ended; the order is "+string(record.Status))
	}
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

// The pause before an item is tried again doubles from the first to the last of these.
const (
	firstPause = 2 * time.Second
	lastPause  = 30 * time.Minute
)

func (s *Starter) postpone(ctx context.Context, item journal.InboxItem, reason string) error {
	if item.Tries+1 >= s.inboxTries {
		s.log.ErrorContext(ctx, "event given up, a person must look", "event", item.ID, "order", item.OrderID, "reason", reason)
		return s.store.GiveUp(ctx, item.ID, fault.MissingReference, reason)
	}
	return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), reason)
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
