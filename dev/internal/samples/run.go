package samples

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// Runner plays samples on a running stack.
type Runner struct {
	World    *world.World
	RunID    string
	Progress *Progress
	Clock    func() time.Time
	Temporal Temporal
}

// Temporal is what the samples do at Temporal itself, as an engineer does in its UI.
type Temporal interface {
	// Started tells whether a workflow was ever started.
	Started(ctx context.Context, workflowID string) (bool, error)
	// Signal sends a signal with a body in plain JSON.
	Signal(ctx context.Context, workflowID, name string, body any) error
	// Wait waits until a workflow has ended; the error says how, where it has failed.
	Wait(ctx context.Context, workflowID string) error
}

// atOnce is how many calm samples are played at once: with many more, small machines make people wait who decide in seconds.
const atOnce = 24

// Run plays the samples and judges each: first those that lose an answer of the gateway, one after the other until the answer is lost; beside
// what is left of them the calm ones, many at once; then those that break a system for everybody, one by one; at last those that close the
// gateway's batch. The results are in the order of the samples.
func (r *Runner) Run(ctx context.Context, list []Sample) []Result {
	results := make([]Result, len(list))
	var playing sync.WaitGroup
	places := make(chan struct{}, atOnce)
	start := func(i int) <-chan struct{} {
		play, free := newPlay(r.World.In(list[i].ERP), list[i].OrderID(r.RunID), r.Progress.of(list[i]), r.Temporal)
		playing.Go(func() {
			defer play.free()
			results[i] = r.play(ctx, list[i], play)
		})
		return free
	}
	for _, i := range of(list, Gateway) {
		<-start(i)
	}
	for _, i := range of(list, Calm) {
		places <- struct{}{}
		free := start(i)
		go func() { <-free; <-places }()
	}
	playing.Wait()
	for _, i := range of(list, Alone) {
		start(i)
		playing.Wait()
	}
	for _, i := range of(list, Batch) {
		<-start(i)
	}
	playing.Wait()
	return results
}

// of gives the indices of the samples with one kind of trouble.
func of(list []Sample, trouble Trouble) []int {
	var found []int
	for i, sample := range list {
		if sample.Trouble == trouble {
			found = append(found, i)
		}
	}
	return found
}

// play carries one sample to its end and judges it.
func (r *Runner) play(ctx context.Context, sample Sample, p *Play) Result {
	begun := r.Clock()
	result := Result{Sample: sample, OrderID: p.ID}
	err := sample.Play(ctx, p)
	if err == nil && !p.refused {
		_, err = p.Until(ctx, func(v world.OrderView) bool { return v.Status == sample.Want.Status || v.Final() })
	}
	result.Took = r.Clock().Sub(begun)
	if err != nil {
		result.Differences = append(result.Differences, err.Error())
	}
	if result.Evidence, err = p.evidence(ctx, sample.Want); err != nil {
		result.Differences = append(result.Differences, err.Error())
	}
	result.Differences = append(result.Differences, Judge(sample.Want, result.Evidence)...)
	p.line(verdict(result))
	return result
}

// evidence reads what the ledgers have, once the shop was told what it was to be told.
func (p *Play) evidence(ctx context.Context, want Want) (e Evidence, err error) {
	if p.refused {
		e.Order.Status = Refused
	} else if e.Order, err = p.World.Order(ctx, p.ID); err != nil {
		return e, err
	}
	late := until(ctx, "the shop was not told all", func() (bool, error) {
		e.Told, err = p.Told(ctx, p.ID)
		return err == nil && len(e.Told) >= len(want.Told), err
	})
	if e.Money, err = p.Money(ctx, p.ID); err != nil {
		return e, err
	}
	if e.Books, err = p.Books(ctx, p.ID); err != nil {
		return e, err
	}
	if e.Elsewhere, err = p.elsewhere(ctx); err != nil {
		return e, err
	}
	return e, late
}

// elsewhere names the other ERPs that have booked something of the order.
func (p *Play) elsewhere(ctx context.Context) (names []string, err error) {
	for _, erp := range p.ERPs {
		if erp.Name == p.ERP.Name {
			continue
		}
		books, err := p.In(erp).Books(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if len(books.SalesOrders)+len(books.Payments) > 0 {
			names = append(names, erp.Title)
		}
	}
	return names, nil
}

// AsExpected tells that every sample ended as it was to.
func AsExpected(results []Result) bool {
	return !slices.ContainsFunc(results, func(r Result) bool { return !r.AsExpected() })
}

func verdict(r Result) string {
	if r.AsExpected() {
		return r.Evidence.Order.Status + ": as expected"
	}
	return r.Evidence.Order.Status + ": DIFFERS"
}
