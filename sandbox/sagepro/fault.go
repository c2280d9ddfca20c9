package sagepro

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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
	ModeDelay      Mode = "delay"       // the statement waits DelayMS first, or until the fault is ended
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

// prepare makes a posted fault ready.
func (f *Fault) prepare() (route string, err error) {
	f.Hits, f.skipped = 0, 0
	return f.Route, f.compile()
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
	if err := control.CheckLimits(f.Rate, f.Times, f.DelayMS); err != nil {
		return err
	}
	if f.Skip < 0 {
		return errors.New("skip is negative")
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

// strikes finds the fault for what a transaction does. A transaction that a fault has hit before it does not hit again: struck has them.
func strikes(planted *control.Planted[Fault], accesses []access, atEnd bool, struck map[*Fault]bool) (control.Struck[Fault], bool) {
	return planted.Take(func(f *Fault) (hit, spent bool) {
		if f.atEnd() != atEnd || struck[f] || !matchesAny(f, accesses) {
			return false, false
		}
		struck[f] = true // also one that passes, by skip or rate: it was asked once
		if f.skipped < f.Skip {
			f.skipped++
			return false, false
		}
		if f.Rate != nil && rand.Float64() >= *f.Rate {
			return false, false
		}
		f.Hits++
		return true, f.Times > 0 && f.Hits >= f.Times
	})
}

func matchesAny(f *Fault, accesses []access) bool {
	for _, a := range accesses {
		if f.matches(a) {
			return true
		}
	}
	return false
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
