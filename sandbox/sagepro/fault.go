package sagepro

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// Mode says what a fault does.
type Mode string

// The modes of POST /_sandbox/faults. The first two wait for the end of the transaction, the others strike at the statement.
const (
	ModeDropAfter  Mode = "drop_after"  // the transaction commits, its answer is lost, the connection is dead
	ModeDropBefore Mode = "drop_before" // the transaction is rolled back, the connection is dead
	ModeCut        Mode = "cut"         // the statement is not run, the transaction is rolled back, the connection is dead
	ModeDeadlock   Mode = "deadlock"    // the statement is answered that it lost a deadlock
	ModeLocked     Mode = "locked"      // the statement is answered that it waited for a lock too long
	ModeBusy       Mode = "busy"        // the statement is answered that somebody has what it needs for himself alone
	ModeDelay      Mode = "delay"       // the statement waits DelayMS first
)

const (
	maxActiveFaults = 1000
	keptSpentFaults = 100
	keptRequests    = 1000
	maxDelay        = 10 * time.Minute
)

// Fault is one fault as posted to /_sandbox/faults.
type Fault struct {
	// Route is "VERB table": INSERT, UPDATE, DELETE or SELECT and a table of the schema, either of them "*" for any. It means the
	// transactions in which there is such a statement; a statement outside of any is one of its own.
	Route string `json:"route"`
	Mode  Mode   `json:"mode"`
	// DelayMS is for ModeDelay, in milliseconds.
	DelayMS int `json:"delayMs,omitempty"`
	// Rate is the share of matching transactions that it hits, 0 to 1; absent is 1.
	Rate *float64 `json:"rate,omitempty"`
	// Skip is how many matching transactions pass before it hits one.
	Skip int `json:"skip,omitempty"`
	// Times is how many transactions it hits before it is spent; 0 is no limit.
	Times int `json:"times,omitempty"`
	// Hits counts the transactions that it hit. Output only.
	Hits int `json:"hits"`

	verb, table string
	skipped     int // transactions that have passed so far
}

func (f *Fault) compile() error {
	verb, table, ok := strings.Cut(strings.TrimSpace(f.Route), " ")
	f.verb, f.table = strings.ToUpper(verb), strings.ToLower(strings.TrimSpace(table))
	switch f.verb {
	case "INSERT", "UPDATE", "DELETE", "SELECT", "*":
	default:
		ok = false
	}
	if !ok || f.table == "" || strings.ContainsAny(f.table, " /") {
		return fmt.Errorf("route %q is not \"VERB table\" with INSERT, UPDATE, DELETE, SELECT or * and a table or *", f.Route)
	}
	if f.Rate != nil && (*f.Rate < 0 || *f.Rate > 1) {
		return errors.New("rate is not between 0 and 1")
	}
	if f.Times < 0 || f.Skip < 0 {
		return errors.New("times or skip is negative")
	}
	if f.DelayMS < 0 || time.Duration(f.DelayMS)*time.Millisecond > maxDelay {
		return fmt.Errorf("delayMs is not between 0 and %d", maxDelay.Milliseconds())
	}
	switch f.Mode {
	case ModeDropAfter, ModeDropBefore, ModeCut, ModeDeadlock, ModeLocked, ModeBusy, ModeDelay:
		return nil
	default:
		return fmt.Errorf("mode %q is none of drop_after, drop_before, cut, deadlock, locked, busy, delay", f.Mode)
	}
}

func (f *Fault) matches(a access) bool {
	return (f.verb == "*" || f.verb == a.verb) && (f.table == "*" || f.table == a.table)
}

// atEnd tells of a fault that waits for the end of the transaction.
func (f *Fault) atEnd() bool { return f.Mode == ModeDropAfter || f.Mode == ModeDropBefore }

// faults are those that are planted.
type faults struct {
	mu     sync.Mutex
	active []*Fault
	spent  []*Fault
}

func newFaults() *faults { return &faults{} }

func (p *faults) add(f Fault) error {
	if err := f.compile(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.active) >= maxActiveFaults {
		return fmt.Errorf("there are %d faults already", maxActiveFaults)
	}
	f.Hits, f.skipped = 0, 0
	p.active = append(p.active, &f)
	return nil
}

func (p *faults) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.spent = nil, nil
}

// list gives the active faults, then the last spent ones, with their hits.
func (p *faults) list() []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Fault, 0, len(p.active)+len(p.spent))
	for _, f := range p.active {
		all = append(all, *f)
	}
	for _, f := range p.spent {
		all = append(all, *f)
	}
	return all
}

// take finds the first fault for what a transaction does and counts the hit in the same breath. A transaction that a fault has hit before it does not
// hit again: struck has them.
func (p *faults) take(accesses []access, atEnd bool, struck map[*Fault]bool) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.active {
		if f.atEnd() != atEnd || struck[f] || !matchesAny(f, accesses) {
			continue
		}
		struck[f] = true // also one that passes, by skip or rate: it was asked once
		if f.skipped < f.Skip {
			f.skipped++
			continue
		}
		if f.Rate != nil && rand.Float64() >= *f.Rate {
			continue
		}
		f.Hits++
		if f.Times > 0 && f.Hits >= f.Times {
			p.active = append(p.active[:i:i], p.active[i+1:]...)
			p.spent = append(p.spent, f)
			if len(p.spent) > keptSpentFaults {
				p.spent = p.spent[1:]
			}
		}
		return *f, true
	}
	return Fault{}, false
}

func matchesAny(f *Fault, accesses []access) bool {
	for _, a := range accesses {
		if f.matches(a) {
			return true
		}
	}
	return false
}

func (s *Server) mountFaults(mux *http.ServeMux) {
	list := func() map[string]any { return map[string]any{"faults": s.faults.list()} }
	mux.HandleFunc("POST "+control.Prefix+"faults", func(w http.ResponseWriter, r *http.Request) {
		var fault Fault
		if err := control.ReadJSON(r, &fault); err != nil {
			control.Refuse(w, http.StatusBadRequest, err)
			return
		}
		if err := s.faults.add(fault); err != nil {
			control.Refuse(w, http.StatusBadRequest, err)
			return
		}
		control.WriteJSON(w, http.StatusCreated, list())
	})
	mux.HandleFunc("GET "+control.Prefix+"faults", func(w http.ResponseWriter, _ *http.Request) {
		control.WriteJSON(w, http.StatusOK, list())
	})
	mux.HandleFunc("DELETE "+control.Prefix+"faults", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.clear()
		w.WriteHeader(http.StatusNoContent)
	})
}

// Request is one line of GET /_sandbox/requests: a transaction that wrote, or a statement outside of any. Method and Path are what it is known by, so that
// they make the route of a fault; Statements is all that it did.
type Request struct {
	At         time.Time `json:"at"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"` // 200 done, 500 not done, 0 the connection was cut
	Fault      Mode      `json:"fault,omitempty"`
	Statements []string  `json:"statements,omitempty"`
}

// record keeps the last requests.
type record struct {
	clock func() time.Time

	mu   sync.Mutex
	all  []Request
	next int
}

func newRecord(clock func() time.Time) *record { return &record{clock: clock} }

func (r *record) add(entry Request) {
	entry.At = r.clock().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < keptRequests {
		r.all = append(r.all, entry)
		return
	}
	r.all[r.next] = entry
	r.next = (r.next + 1) % keptRequests
}

// list gives the recent requests, oldest first.
func (r *record) list() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	recent := append(make([]Request, 0, len(r.all)), r.all[r.next:]...)
	return append(recent, r.all[:r.next]...)
}

func (r *record) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.next = nil, 0
}
