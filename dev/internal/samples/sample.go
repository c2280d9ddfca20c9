// Package samples are orders that show what Tenderline does, on a running stack: each is placed as a shop would, what it is about is
// broken or decided meanwhile, and how it ended is judged by the ledgers of the sandboxes, never by what Tenderline says of itself alone.
package samples

import (
	"context"
	"strconv"
	"time"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// Trouble says what a sample breaks, and therefore what may run beside it.
type Trouble int

// The troubles.
const (
	Calm    Trouble = iota // breaks nothing: runs beside the others
	Gateway                // breaks one call at the gateway: the next sample starts once that fault is spent
	Alone                  // breaks the ERP, or the gateway for everybody: runs alone
	Batch                  // closes the gateway's batch, after which nobody's capture can be voided: runs after all others
)

// Sample is one order with what happens to it.
type Sample struct {
	Slug    string // start of the order's ID after the ERP's mark; with it at most 23 characters
	Title   string // for people
	ERP     world.ERP
	Trouble Trouble
	Play    func(ctx context.Context, p *Play) error // everything until nothing is left but to wait for the end
	Want    Want
}

// Want is how a sample is to end. Money and documents are those of the ledgers.
type Want struct {
	Status      string   // order status; Refused where the order was not taken
	Payment     string   // payment status
	Captured    string   // money that stays captured; "" is none
	Captures    int      // in how many parts; 0 is in one
	Held        string   // money that stays on hold; "" is none
	SalesOrder  string   // what the status of the one sales order in the ERP means; "" is none
	OrNone      bool     // the ERP may as well have no sales order: the end was near before it came to that
	Invoices    int      // in the ERP
	Receipts    int      // in the ERP, those reversed left out
	CreditMemos int      // in the ERP
	Credited    string   // sum of these; "" is nothing
	Reversals   int      // receipts that were reversed
	Refunded    string   // refunds at the gateway, and so in the ERP's receivables; "" is nothing
	Told        []string // what the shop was told, in any order: each message is delivered by itself
}

// salesOrder is what the status of the sales order is to mean where the ERP has so many.
func (w Want) salesOrder(found int) string {
	if w.OrNone && found == 0 {
		return ""
	}
	return w.SalesOrder
}

// Refused is the outcome of an order that was not taken.
const Refused = "refused"

// Result is how a sample ended.
type Result struct {
	Sample      Sample
	OrderID     string
	Evidence    Evidence
	Took        time.Duration
	Differences []string // from what was to be; none: as expected
}

// AsExpected tells that nothing differed.
func (r Result) AsExpected() bool { return len(r.Differences) == 0 }

// RunID tells one run's orders from those of every other run on the same state.
func RunID(now time.Time) string { return strconv.FormatInt(now.Unix(), 36) }

// OrderID is the order ID of a sample in a run.
func (s Sample) OrderID(run string) string { return orderID(s.ERP, s.Slug, run) }

func orderID(erp world.ERP, slug, run string) string { return erp.Mark + slug + "-" + run }
