package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/workflows"
)

// Ways to capture, as an order names them.
const (
	captureImmediate = "immediate"
	captureApart     = "after_authorization"
)

// load is one measured batch.
type load struct {
	count     int
	took      time.Duration
	latencies []time.Duration
}

func (l load) perSecond() float64 { return float64(l.count) / l.took.Seconds() }

// rounds runs orders and no-op workflows in turn; each round begins with another kind, so that none always runs on a warm or a
// tired machine.
func (b *bench) rounds(ctx context.Context, o options, r *report, progress io.Writer) error {
	kinds := []struct {
		name string
		into *[]load
		run  func(context.Context, int, int) (load, error)
	}{
		{"no-op like sale", &r.noOpSales, b.noOps(r.sale.plan)},
		{"sale", &r.sales, b.buys(captureImmediate)},
		{"no-op like auth then capture", &r.noOpTwoSteps, b.noOps(r.twoSteps.plan)},
		{"auth then capture", &r.twoStepOrders, b.buys(captureApart)},
	}
	for _, kind := range kinds { // warms connections and caches; not counted
		if _, err := kind.run(ctx, o.concurrency, o.concurrency); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	for round := range o.rounds {
		begun := time.Now()
		for i := range kinds {
			kind := kinds[(round+i)%len(kinds)]
			measured, err := kind.run(ctx, o.orders, o.concurrency)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			*kind.into = append(*kind.into, measured)
			_, _ = fmt.Fprintf(progress, "round %d of %d, %s: %.1f per second\n", round+1, o.rounds, kind.name, measured.perSecond())
		}
		if time.Since(b.started)+time.Since(begun) > o.budget {
			break
		}
	}
	return nil
}

// buys gives the load of whole orders: posted to the API, confirmed, and the shop told.
func (b *bench) buys(capture string) func(context.Context, int, int) (load, error) {
	return func(ctx context.Context, count, concurrency int) (load, error) {
		orders := make([]map[string]any, count)
		for i := range orders {
			order, err := b.newOrder(ctx, capture)
			if err != nil {
				return load{}, err
			}
			orders[i] = order
		}
		return repeat(ctx, count, concurrency, func(ctx context.Context, i int) error { return b.buy(ctx, orders[i]) })
	}
}

// newOrder makes an order with a token of its own.
func (b *bench) newOrder(ctx context.Context, capture string) (map[string]any, error) {
	token, err := b.world.Token(ctx, "approve")
	if err != nil {
		return nil, err
	}
	b.serial++
	order := world.NewOrder(fmt.Sprintf("BENCH-%06d", b.serial), token)
	payment, ok := order["payment"].(map[string]any)
	if !ok {
		return nil, errors.New("the sample order has no payment")
	}
	payment["capture"] = capture
	return order, nil
}

// orderID is an order's id.
func orderID(order map[string]any) string {
	id, _ := order["orderId"].(string)
	return id
}

// buy places an order and waits until the shop was told of its confirmation.
func (b *bench) buy(ctx context.Context, order map[string]any) error {
	id := orderID(order)
	answer, err := b.world.Submit(ctx, order)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusAccepted {
		return fmt.Errorf("order %s: %d %s", id, answer.Status, answer.Body)
	}
	var view workflows.OrderView
	if err := b.orders.GetWorkflow(ctx, workflows.OrderWorkflowID(id), "").Get(ctx, &view); err != nil {
		return fmt.Errorf("order %s: %w", id, err)
	}
	if view.Status != canonical.OrderConfirmed {
		return fmt.Errorf("order %s ended %s: %s", id, view.Status, view.Reason)
	}
	return b.orders.GetWorkflow(ctx, workflows.CallbackWorkflowID(id, workflows.EventConfirmed, 1), "").Get(ctx, nil)
}

// repeat does something so many times, so many at once, and stops at the first failure.
func repeat(ctx context.Context, count, concurrency int, do func(context.Context, int) error) (load, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := load{count: count, latencies: make([]time.Duration, count)}
	next := make(chan int)
	var workers sync.WaitGroup
	begun := time.Now()
	for range min(concurrency, count) {
		workers.Go(func() {
			for i := range next {
				start := time.Now()
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
				l.latencies[i] = time.Since(start)
			}
		})
	}
	for i := 0; i < count && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	l.took = time.Since(begun)
	return l, context.Cause(ctx)
}
