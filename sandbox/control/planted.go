package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// MaxFaults is how many faults may be active at once.
const MaxFaults = 1000

const (
	keptSpentFaults = 100
	keptRequests    = 1000
	maxDelay        = 10 * time.Minute
)

// Planted are the faults of a sandbox, in the order in which they were posted. F is a fault as its JSON has it. Safe for concurrent use.
type Planted[F any] struct {
	prepare func(*F) (route string, err error)

	mu     sync.Mutex
	active []*planted[F]
	spent  []*planted[F]
	ends   map[string]chan struct{} // by route what is closed when its faults are ended, also those spent long ago that somebody still waits in
}

type planted[F any] struct {
	fault F
	route string
	ended <-chan struct{}
}

// NewPlanted returns none. prepare makes a posted fault ready, its counters at zero, and gives its route as it was posted; an error refuses it.
func NewPlanted[F any](prepare func(*F) (route string, err error)) *Planted[F] {
	return &Planted[F]{prepare: prepare, ends: map[string]chan struct{}{}}
}

// Add adds a fault, after those that are there; the first one that strikes wins.
func (p *Planted[F]) Add(fault F) error {
	route, err := p.prepare(&fault)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.active) >= MaxFaults {
		return fmt.Errorf("there are %d faults already", MaxFaults)
	}
	if p.ends[route] == nil {
		p.ends[route] = make(chan struct{})
	}
	p.active = append(p.active, &planted[F]{fault: fault, route: route, ended: p.ends[route]})
	return nil
}

// List gives the active faults, then the last spent ones, with what they count.
func (p *Planted[F]) List() []F {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]F, 0, len(p.active)+len(p.spent))
	for _, one := range slices.Concat(p.active, p.spent) {
		all = append(all, one.fault)
	}
	return all
}

// EndAll ends all faults: who waits because of one goes on.
func (p *Planted[F]) EndAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ended := range p.ends {
		close(ended)
	}
	clear(p.ends)
	p.active, p.spent = nil, nil
}

// End ends the faults that were posted with exactly this route: who waits because of one goes on.
func (p *Planted[F]) End(route string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ended := p.ends[route]; ended != nil {
		close(ended)
		delete(p.ends, route)
	}
	ofRoute := func(one *planted[F]) bool { return one.route == route }
	p.active, p.spent = slices.DeleteFunc(p.active, ofRoute), slices.DeleteFunc(p.spent, ofRoute)
}

// Take finds the first fault that strikes. strikes is asked about one after the other, and counts its hit in the same breath, so that `times: 1` hits
// once however many race for it; spent tells that this was its last one. What strikes is given stays the same for as long as the fault is active.
func (p *Planted[F]) Take(strikes func(*F) (hit, spent bool)) (Struck[F], bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, one := range p.active {
		hit, spent := strikes(&one.fault)
		if !hit {
			continue
		}
		if spent {
			p.active = slices.Delete(p.active, i, i+1)
			p.spent = append(p.spent, one)
			p.spent = p.spent[max(0, len(p.spent)-keptSpentFaults):]
		}
		return Struck[F]{Fault: one.fault, ended: one.ended}, true
	}
	return Struck[F]{}, false
}

// Struck is a fault that strikes, as it is when it does.
type Struck[F any] struct {
	Fault F
	ended <-chan struct{}
}

// Wait returns after the delay, or as soon as the fault is ended; with the context's error where that ends before.
func (s Struck[F]) Wait(ctx context.Context, delayMS int) error {
	timer := time.NewTimer(time.Duration(delayMS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CheckLimits refuses what no fault may have, whatever it does.
func CheckLimits(rate *float64, times, delayMS int) error {
	switch {
	case rate != nil && (*rate < 0 || *rate > 1):
		return errors.New("rate is not between 0 and 1")
	case times < 0:
		return errors.New("times is negative")
	case delayMS < 0 || time.Duration(delayMS)*time.Millisecond > maxDelay:
		return fmt.Errorf("delayMs is not between 0 and %d", maxDelay.Milliseconds())
	default:
		return nil
	}
}

// Recent keeps the last requests of a sandbox. The zero value is empty. It is safe for concurrent use.
type Recent[T any] struct {
	mu   sync.Mutex
	all  []T
	next int // where the oldest is, once it is full
}

// Add adds one.
func (r *Recent[T]) Add(one T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < keptRequests {
		r.all = append(r.all, one)
		return
	}
	r.all[r.next] = one
	r.next = (r.next + 1) % keptRequests
}

// List gives them, oldest first.
func (r *Recent[T]) List() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append(make([]T, 0, len(r.all)), r.all[r.next:]...), r.all[:r.next]...)
}

// Clear forgets them.
func (r *Recent[T]) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.next = nil, 0
}

// MountRecord adds the routes of faults and requests to a sandbox's mux.
func MountRecord[F, T any](mux *http.ServeMux, faults *Planted[F], requests *Recent[T]) {
	list := func() map[string]any { return map[string]any{"faults": faults.List()} }
	mux.HandleFunc("POST "+Prefix+"faults", func(w http.ResponseWriter, r *http.Request) {
		var fault F
		if err := ReadJSON(r, &fault); err != nil {
			Refuse(w, http.StatusBadRequest, err)
			return
		}
		if err := faults.Add(fault); err != nil {
			Refuse(w, http.StatusBadRequest, err)
			return
		}
		WriteJSON(w, http.StatusCreated, list())
	})
	mux.HandleFunc("GET "+Prefix+"faults", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, list())
	})
	mux.HandleFunc("DELETE "+Prefix+"faults", func(w http.ResponseWriter, r *http.Request) {
		route, one, err := routeOf(r.URL.RawQuery)
		switch {
		case err != nil:
			Refuse(w, http.StatusBadRequest, err)
			return
		case one:
			faults.End(route)
		default:
			faults.EndAll()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+Prefix+"requests", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, map[string]any{"requests": requests.List()})
	})
}

// routeOf reads the query of DELETE faults; false where it names no route. A misspelt one must not end the faults of others.
func routeOf(query string) (route string, one bool, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", false, fmt.Errorf("read query: %w", err)
	}
	for name, routes := range values {
		if name != "route" || len(routes) != 1 || routes[0] == "" {
			return "", false, fmt.Errorf("query %q is not one route", query)
		}
		route, one = routes[0], true
	}
	return route, one, nil
}
