package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
)

// ChargebackInput starts Chargeback.
type ChargebackInput struct {
	Case       activities.ChargebackCase `json:"case"`
	OrderID    string                    `json:"orderId"`
	Erp        string                    `json:"erp"`              // where the order is booked
	Ledger     string                    `json:"ledger,omitempty"` // the ERP whose general ledger has the receivable, where it is another one
	Site       activities.Site           `json:"site,omitempty"`
	SalesOrder string                    `json:"salesOrder,omitempty"`
	Invoice    string                    `json:"invoice,omitempty"`
	RemindFor  time.Duration             `json:"remindFor"` // before the evidence is due, people are reminded
	Policy     Policy                    `json:"policy"`
	Again      *ChargebackCycle          `json:"again,omitempty"` // a further cycle, after the dispute had ended
}

// ChargebackCycle is what a further cycle of a dispute begins with: its money was taken again, or it was decided otherwise, or both.
type ChargebackCycle struct {
	Number  int                          `json:"number"` // from 2
	Former  activities.ChargebackOutcome `json:"former"` // how the dispute had ended
	Retaken bool                         `json:"retaken,omitempty"`
	Outcome activities.ChargebackOutcome `json:"outcome,omitempty"` // "": it is open again
	At      time.Time                    `json:"at"`                // when that was, by who told so
	Actor   string                       `json:"actor,omitempty"`
}

// ChargebackWorkflowID is the ID of the process of one dispute.
func ChargebackWorkflowID(caseID string) string { return "chargeback/" + caseID }

// ChargebackCycleID is the ID of the process of a further cycle of a dispute whose process had ended; of the first cycle it is the dispute's.
func ChargebackCycleID(caseID string, cycle int) string {
	if cycle <= 1 {
		return ChargebackWorkflowID(caseID)
	}
	return fmt.Sprintf("%s/%d", ChargebackWorkflowID(caseID), cycle)
}

// SignalChargeback tells a dispute what its next report row, or a person, says of it: ChargebackNews.
const SignalChargeback = "chargeback-news"

// ChargebackNews is what is new of a dispute.
type ChargebackNews struct {
	Case    activities.ChargebackCase    `json:"case"`
	Outcome activities.ChargebackOutcome `json:"outcome,omitempty"`
	Actor   string                       `json:"actor"`
	Again   bool                         `json:"again,omitempty"` // a person says that the outcome is a later one than the dispute's
}

// Names of a chargeback's steps.
const (
	stepRecordCase = "record-chargeback"
	stepShowCase   = "payment-status"
	stepBookCase   = "book-outcome"
)

const noteReopened = "reopened" // its money was taken again after it had ended

// chargeback is one run of Chargeback.
type chargeback struct {
	in      ChargebackInput
	log     log.Logger
	desk    *desk
	outcome activities.ChargebackOutcome
	actor   string
	notes   int

	cycle   ChargebackCycle  // that is under way; of the first one the zero value but for its number
	endedAt time.Time        // when it was decided, by who told so
	later   []ChargebackNews // told since then

	changed   bool // there were news that matter
	escalated bool // a request for copies has become a dispute
	said      map[string]bool
}

// Chargeback follows a dispute from its first report row to its outcome: the payment is flagged, the ERP shows it, people are reminded
// before the evidence is due, and the outcome is booked. That the money was taken, and came back, settlement books from its own rows.
func Chargeback(ctx workflow.Context, in ChargebackInput) (activities.ChargebackOutcome, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	c := &chargeback{
		in: in, cycle: ChargebackCycle{Number: 1}, said: map[string]bool{},
		log: log.With(workflow.GetLogger(ctx), "order", in.OrderID, "case", in.Case.ID),
	}
	if in.Again != nil {
		c.begin(*in.Again)
	}
	var err error
	if c.desk, err = ownDesk(steady, in.OrderID); err != nil {
		return "", err
	}
	workflow.GoNamed(steady, "news", func(ctx workflow.Context) {
		for {
			c.hear(ctx)
		}
	})
	c.follow(steady)
	for c.goesOn(steady) {
		c.follow(steady)
	}
	workflow.SetCurrentDetails(steady, fmt.Sprintf("%s (%s)", c.outcome, c.actor))
	return c.outcome, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

// follow brings one cycle to its end.
func (c *chargeback) follow(ctx workflow.Context) {
	if c.cycle.Number == 1 || c.cycle.Retaken {
		c.open(ctx)
	}
	c.await(ctx)
	c.record(ctx, string(c.outcome))
	if !c.in.Case.Retrieval {
		c.book(ctx)
		c.show(ctx, c.outcome)
	}
}

// begin begins a further cycle.
func (c *chargeback) begin(cycle ChargebackCycle) {
	c.cycle, c.outcome, c.actor, c.endedAt = cycle, cycle.Outcome, cycle.Actor, time.Time{}
	if c.ended() {
		c.endedAt = cycle.At
	}
}

// goesOn tells whether the dispute, which has ended and is booked, goes on with what was told since: its money was taken again, or it was decided
// otherwise, after its end. A row that contradicts the end without being later than it is told to people, and moves nothing.
func (c *chargeback) goesOn(ctx workflow.Context) bool {
	c.hearTheRest(ctx)
	for len(c.later) > 0 {
		news := c.later[0]
		c.later = c.later[1:]
		otherwise := !c.in.Case.Retrieval && news.Outcome != activities.ChargebackOpen && news.Outcome != c.outcome
		later := news.Again || news.Case.ID != "" && news.Case.OpenedAt.After(c.endedAt)
		switch {
		case later && (otherwise || news.Case.Taken):
			next := ChargebackCycle{Number: c.cycle.Number + 1, Retaken: news.Case.Taken, Outcome: news.Outcome, At: news.at(ctx), Actor: news.Actor}
			if !c.in.Case.Retrieval { // whose end nobody booked
				next.Former = c.outcome
			}
			c.begin(next)
			c.adopt(news.Case)
			return true
		case otherwise && news.Case.ID != "":
			c.record(ctx, activities.DisputeContradicted)
		}
	}
	return false
}

// hearTheRest takes what came together with the last answer: once the process has ended, nobody would hear it.
func (c *chargeback) hearTheRest(ctx workflow.Context) {
	for {
		var news ChargebackNews
		if !workflow.GetSignalChannel(ctx, SignalChargeback).ReceiveAsync(&news) {
			return
		}
		c.take(ctx, news)
	}
}

// adopt takes the case as a further cycle has it, where its money was taken again: it may be about another amount.
func (c *chargeback) adopt(dispute activities.ChargebackCase) {
	if !dispute.Taken {
		return
	}
	opened := c.in.Case.OpenedAt
	c.in.Case = dispute
	c.in.Case.OpenedAt = opened
}

// at is when news happened: a person's are heard as they do.
func (n ChargebackNews) at(ctx workflow.Context) time.Time {
	if n.Case.ID == "" || n.Case.OpenedAt.IsZero() {
		return workflow.Now(ctx).UTC()
	}
	return n.Case.OpenedAt
}

// hear waits for what is new of the case.
func (c *chargeback) hear(ctx workflow.Context) {
	var news ChargebackNews
	workflow.GetSignalChannel(ctx, SignalChargeback).Receive(ctx, &news)
	c.take(ctx, news)
}

// take takes what is new of the case. A repeated row changes nothing; the first outcome of a cycle holds.
func (c *chargeback) take(ctx workflow.Context, news ChargebackNews) {
	if c.ended() && keepsCycles(ctx) {
		c.later = append(c.later, news) // for when this cycle is booked
		return
	}
	was := c.in.Case
	if was.Retrieval && news.Case.ID != "" && !news.Case.Retrieval { // a person's news may name no case
		c.in.Case, c.escalated, c.changed = news.Case, true, true
		c.in.Case.RespondBy = was.RespondBy
	}
	if due := news.Case.RespondBy; !due.IsZero() && !due.Equal(was.RespondBy) {
		c.in.Case.RespondBy, c.changed = due, true
	}
	if !c.ended() && news.Outcome != activities.ChargebackOpen {
		c.outcome, c.actor, c.changed, c.endedAt = news.Outcome, news.Actor, true, news.at(ctx)
	}
}

// open records the dispute and, unless it is but a request for copies, shows it in the ERP.
func (c *chargeback) open(ctx workflow.Context) {
	if c.cycle.Number > 1 {
		c.record(ctx, noteReopened)
	} else {
		c.record(ctx, "opened")
	}
	if !c.in.Case.Retrieval {
		c.show(ctx, activities.ChargebackOpen)
	}
}

// await waits for the outcome, however long the schemes take; it reminds before the evidence is due, and says when it is not any more. News
// begin the wait anew: it follows the date that they name.
func (c *chargeback) await(ctx workflow.Context) {
	for !c.ended() {
		c.changed = false
		if c.escalated {
			c.escalated = false
			c.open(ctx)
		}
		c.showDate(ctx)
		if c.quietUntil(ctx, c.in.RemindFor, "Remind of the evidence") {
			c.say(ctx, "reminded")
			if c.quietUntil(ctx, 0, "Evidence due") {
				c.say(ctx, "overdue")
			}
		}
		_ = workflow.Await(ctx, func() bool { return c.changed })
	}
}

// quietUntil waits until so long before the evidence is due; false: there were news, or there is no date.
func (c *chargeback) quietUntil(ctx workflow.Context, before time.Duration, summary string) bool {
	due := c.in.Case.RespondBy
	if due.IsZero() || c.changed {
		return false
	}
	left := due.Add(-before).Sub(workflow.Now(ctx))
	if left <= 0 {
		return true
	}
	options := workflow.AwaitOptions{Timeout: left, TimerOptions: workflow.TimerOptions{Summary: summary}}
	news, _ := workflow.AwaitWithOptions(ctx, options, func() bool { return c.changed })
	return !news
}

// say records that people are told of a date, once of each: rows that name an older one may come late.
func (c *chargeback) say(ctx workflow.Context, what string) {
	once := what + c.in.Case.RespondBy.UTC().Format(time.RFC3339)
	if !c.said[once] {
		c.said[once] = true
		c.record(ctx, what)
	}
}

func (c *chargeback) showDate(ctx workflow.Context) {
	text := "Open; no date is known by which evidence is due"
	if due := c.in.Case.RespondBy; !due.IsZero() {
		text = "Open; evidence is due at " + due.UTC().Format(time.RFC3339)
	}
	workflow.SetCurrentDetails(ctx, text)
}

func (c *chargeback) ended() bool { return c.outcome != activities.ChargebackOpen }

// record brings the record and the payment forward.
func (c *chargeback) record(ctx workflow.Context, what string) {
	c.notes++
	process := ChargebackWorkflowID(c.in.Case.ID)
	if c.in.Again != nil {
		process = ChargebackCycleID(c.in.Case.ID, c.in.Again.Number)
	}
	in := activities.RecordChargebackInput{
		OrderID: c.in.OrderID, Case: c.in.Case, Outcome: c.outcome, Actor: c.actor, Note: what,
		Key: fmt.Sprintf("%s/%d", process, c.notes), At: workflow.Now(ctx).UTC(),
	}
	ofCycle := c.cycle.Number > 1 || c.ended() && keepsCycles(ctx)
	_ = c.desk.try(ctx, retried(stepRecordCase), func(ctx workflow.Context, _ int) error {
		if ofCycle {
			return note(ledger(ctx, "Chargeback: "+what), changesWork.RecordCycle, activities.RecordCycleInput{
				RecordChargebackInput: in, Cycle: c.cycle.Number, EndedAt: c.endedAt, Former: c.cycle.Former,
			})
		}
		return note(ledger(ctx, "Chargeback: "+what), changesWork.RecordChargeback, in)
	})
}

// show writes the payment's state into the ERP; it makes no entry.
func (c *chargeback) show(ctx workflow.Context, outcome activities.ChargebackOutcome) {
	name := stepShowCase
	if outcome != activities.ChargebackOpen {
		name += "-" + string(outcome)
	}
	c.inErp(ctx, name, func(ctx workflow.Context, in activities.BookChargebackInput) error {
		in.Outcome = outcome
		return do(booking(ctx, c.in.Erp, c.in.Policy, "Show the chargeback in the ERP"), erpWork.TagChargeback, in)
	})
}

// book books how the dispute ended: lost, the receivable becomes a loss; won, the processor owes it again.
func (c *chargeback) book(ctx workflow.Context) {
	c.inErp(ctx, stepBookCase, func(ctx workflow.Context, in activities.BookChargebackInput) error {
		_, err := run(booking(ctx, cmp.Or(c.in.Ledger, c.in.Erp), c.in.Policy, "Book the chargeback's outcome"), erpWork.BookChargeback, in)
		return err
	})
}

func (c *chargeback) inErp(ctx workflow.Context, name string, forward func(workflow.Context, activities.BookChargebackInput) error) {
	date := businessDate(ctx)
	if c.cycle.Number > 1 {
		name = fmt.Sprintf("%s-%d", name, c.cycle.Number) // its attempts are counted apart
	}
	s := posting(name, c.in.Policy.ParkDeadline, func(corrected string) { date = corrected })
	_ = c.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		return forward(ctx, activities.BookChargebackInput{
			OrderID: c.in.OrderID, SalesOrder: c.in.SalesOrder, Invoice: c.in.Invoice, Case: c.in.Case, Outcome: c.outcome,
			Cycle: c.cycle.Number, Former: c.cycle.Former, Retaken: c.cycle.Retaken, Site: c.in.Site, Date: date, Attempt: attempt,
		})
	})
}
