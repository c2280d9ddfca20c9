package samples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// patience is how long a sample waits for any one thing. No sample is about being quick: on a slow machine, with all others at once, an order takes minutes.
const patience = 5 * time.Minute

// Play is one sample under way: what it may do to its order and the world.
type Play struct {
	*world.World
	ID string // of the order

	temporal Temporal
	line     func(text string)
	refused  bool
	seen     string
	free     func() // lets others go on; at most once
}

// newPlay makes a play whose others-may-go-on channel closes once.
func newPlay(w *world.World, id string, line func(string), temporal Temporal) (*Play, <-chan struct{}) {
	free := make(chan struct{})
	return &Play{World: w, ID: id, line: line, temporal: temporal, free: sync.OnceFunc(func() { close(free) })}, free
}

// Order is the sample's order, paid with a fresh browser token that leads to the scenario.
func (p *Play) Order(ctx context.Context, scenario string) (map[string]any, error) {
	token, err := p.Token(ctx, scenario)
	if err != nil {
		return nil, err
	}
	return world.NewOrder(p.ID, token), nil
}

// Submit posts an order at the ERP's own channel and gives the answer whatever it is.
func (p *Play) Submit(ctx context.Context, order map[string]any) (world.Answer, error) {
	order = maps.Clone(order)
	order["channel"] = p.ERP.Mark + part[string](order, "channel")
	return p.Repeat(ctx, func(ctx context.Context) (world.Answer, error) { return p.World.Submit(ctx, order) })
}

// Place places the sample's order with changes to it.
func (p *Play) Place(ctx context.Context, scenario string, changes ...func(map[string]any)) error {
	order, err := p.Order(ctx, scenario)
	if err != nil {
		return err
	}
	for _, change := range changes {
		change(order)
	}
	if _, err = p.Taken(ctx, order); err == nil {
		p.line("sent")
	}
	return err
}

// Taken places an order that is to be taken.
func (p *Play) Taken(ctx context.Context, order map[string]any) (world.Answer, error) {
	answer, err := p.Submit(ctx, order)
	if err != nil {
		return answer, err
	}
	if answer.Status != http.StatusAccepted {
		return answer, fmt.Errorf("the order was answered %d: %s", answer.Status, bytes.TrimSpace(answer.Body))
	}
	return answer, nil
}

// Until waits for a condition of the order and shows how it goes on.
func (p *Play) Until(ctx context.Context, condition func(world.OrderView) bool) (world.OrderView, error) {
	return p.Await(ctx, p.ID, patience, func(v world.OrderView) bool {
		p.show(v)
		return condition(v)
	})
}

// Reach waits until the order has a status.
func (p *Play) Reach(ctx context.Context, status string) error {
	_, err := p.Until(ctx, func(v world.OrderView) bool { return v.Status == status || v.Final() })
	return err
}

// show prints the order's status where it has changed.
func (p *Play) show(v world.OrderView) {
	status := v.Status
	if v.NeedsAttention {
		status += ", waits for an operator"
	}
	if status != p.seen {
		p.seen = status
		p.line(status)
	}
}

// Broken breaks a sandbox in one way alone.
func (p *Play) Broken(ctx context.Context, sandbox string, fault world.Fault) error {
	if err := p.Mend(ctx, sandbox); err != nil {
		return err
	}
	return p.Break(ctx, sandbox, fault)
}

// While holds a call of a sandbox for as long as it takes to do something. The fault is one that waits, once.
func (p *Play) While(ctx context.Context, sandbox string, fault world.Fault, begin, meanwhile func() error) error {
	return p.Breaking(ctx, sandbox, fault, func() error {
		if err := begin(); err != nil {
			return err
		}
		if err := p.Hit(ctx, sandbox, 1, patience); err != nil {
			return err
		}
		if err := meanwhile(); err != nil {
			return err
		}
		return p.Release(ctx, sandbox, fault.Route)
	})
}

// Breaking breaks a sandbox for an action and waits until the fault is spent; then it hits nobody else, and others may go on.
func (p *Play) Breaking(ctx context.Context, sandbox string, fault world.Fault, action func() error) error {
	if err := p.Broken(ctx, sandbox, fault); err != nil {
		return err
	}
	err := action()
	if err == nil {
		err = p.Spent(ctx, sandbox, patience)
	}
	if err != nil {
		return errors.Join(err, p.Mend(context.WithoutCancel(ctx), sandbox))
	}
	p.free()
	return nil
}

// ResolveParked waits until a step is parked and answers it as an operator.
func (p *Play) ResolveParked(ctx context.Context, step, resolution string) error {
	item, err := p.Waiting(ctx, step)
	if err != nil {
		return err
	}
	p.line("operator: " + resolution)
	return p.Resolve(ctx, item.ID, resolution)
}

// Waiting waits until the order has one parked item, which must be of a step.
func (p *Play) Waiting(ctx context.Context, step string) (item world.ParkedItem, err error) {
	err = until(ctx, "step "+step+" is not parked", func() (bool, error) {
		items, err := p.Parked(ctx, p.ID)
		if err != nil || len(items) == 0 {
			return false, err
		}
		item = items[0]
		return len(items) == 1 && item.Step == step, fmt.Errorf("parked is %+v", items)
	})
	if err == nil {
		p.line("parked: " + item.Summary)
	}
	return item, err
}

// CaseIs waits until the gateway's case is decided one way.
func (p *Play) CaseIs(ctx context.Context, decided string) error {
	return until(ctx, "the gateway's case is not "+decided, func() (bool, error) {
		money, err := p.Money(ctx, p.ID)
		return slices.ContainsFunc(money.Lines, func(t world.Transaction) bool { return t.Review == decided }), err
	})
}

// HeldInErp waits until the order is in review, and its sales order suspended in the ERP and named by the API.
func (p *Play) HeldInErp(ctx context.Context) error {
	if _, err := p.Until(ctx, func(v world.OrderView) bool { return v.Status == "in_review" && v.ErpOrderNumber != "" || v.Final() }); err != nil {
		return err
	}
	books, err := p.Books(ctx, p.ID)
	if err == nil && (len(books.SalesOrders) != 1 || books.Status != world.SalesOrderSuspended) {
		err = fmt.Errorf("the ERP has %+v, expected one suspended sales order", books.SalesOrders)
	}
	return err
}

// final is an error that no waiting mends.
type final struct{ error }

// until polls a condition, unless its error is final; late says what is wrong when it did not come true in time.
func until(ctx context.Context, late string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := condition()
		if done {
			return nil
		}
		if ends := (final{}); errors.As(err, &ends) {
			return ends.error
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New(late+" after "+patience.String()), err)
		case <-ticker.C:
		}
	}
}
