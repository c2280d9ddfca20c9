package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

// sweepBatch is how much of each kind one sweep takes on.
const sweepBatch = 200

// Swept counts what a sweep did.
type Swept struct {
	Started int // orders whose workflow a crash had left unstarted
	Refunds int // refunds of which the same is true, and those that ended with the cancel of their order
	Events  int // inbox items dealt with: delivered, put off or ended
}

// Sweep starts orders and refunds that were taken but not started, and brings due events to their processes. Any number of processes may
// sweep at once. What fails is joined into the error and tried again by the next sweep.
func (s *Starter) Sweep(ctx context.Context) (Swept, error) {
	started, startErr := s.sweepOrders(ctx)
	refunds, refundErr := s.sweepRefunds(ctx)
	events, inboxErr := s.sweepInbox(ctx)
	return Swept{Started: started, Refunds: refunds, Events: events}, errors.Join(startErr, refundErr, inboxErr, s.warnOfExpiry(ctx))
}

func (s *Starter) sweepOrders(ctx context.Context) (int, error) {
	records, err := s.store.Unstarted(ctx, s.olderThan, sweepBatch)
	if err != nil {
		return 0, err
	}
	started := 0
	var failed []error
	for _, record := range records {
		err := s.startRecord(ctx, record)
		if err != nil {
			failed = append(failed, err)
			if transient(err) {
				break // the engine is away: the others would wait for nothing
			}
			continue
		}
		started++
		s.log.InfoContext(ctx, "order started by the sweeper", "order", record.OrderID)
	}
	return started, errors.Join(failed...)
}

func (s *Starter) startRecord(ctx context.Context, record journal.OrderRecord) error {
	var order canonical.Order
	if err := json.Unmarshal(record.Input, &order); err != nil {
		return fmt.Errorf("read order %s: not an order", record.OrderID)
	}
	channel, found := s.settings.Channel(order.Channel)
	if !found {
		return fmt.Errorf("start order %s: its channel %q is no longer configured", record.OrderID, order.Channel)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.start(ctx, record, order, channel)
}

func (s *Starter) sweepRefunds(ctx context.Context) (int, error) {
	records, err := s.store.UnstartedRefunds(ctx, s.olderThan, sweepBatch)
	if err != nil {
		return 0, err
	}
	done := 0
	var failed []error
	for _, record := range records {
		resumed, err := s.resumeRefund(ctx, record)
		if err != nil {
			failed = append(failed, err)
			if transient(err) {
				break
			}
			continue
		}
		if resumed {
			done++
			s.log.InfoContext(ctx, "refund taken on by the sweeper", "order", record.OrderID, "refund", record.RefundID)
		}
	}
	return done, errors.Join(failed...)
}

func (s *Starter) sweepInbox(ctx context.Context) (int, error) {
	items, err := s.store.Pending(ctx, s.clock(), sweepBatch)
	if err != nil {
		return 0, err
	}
	dealt := 0
	var failed []error
	for _, item := range items {
		if err := s.Deliver(ctx, item); err != nil {
			failed = append(failed, fmt.Errorf("deliver event %s: %w", item.ID, err))
			continue
		}
		dealt++
	}
	return dealt, errors.Join(failed...)
}

// Run sweeps until the context ends: once at the start, then with a pause between two sweeps.
func (s *Starter) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "sweep incomplete", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
