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
}

// ChargebackWorkflowID is the ID of the process of one dispute.
func ChargebackWorkflowID(caseID string) string { return "chargeback/" + caseID }

// SignalChargeback tells a dispute what its next report row, or a person, says of it: ChargebackNews.
const SignalChargeback = "chargeback-news"

// ChargebackNews is what is new of a dispute.
type ChargebackNews struct {
	Case    activities.ChargebackCase    `json:"case"`
	Outcome activities.ChargebackOutcome `json:"outcome,omitempty"`
	Actor   string                       `json:"actor"`
}

// Names of a chargeback's steps.
const (
	stepRecordCase = "record-chargeback"
	stepShowCase   = "payment-status"
	stepBookCase   = "book-outcome"
)

// chargeback is one run of Chargeback.
type chargeback struct {
	in      ChargebackInput
	log     log.Logger
	desk    *desk
	outcome activities.ChargebackOutcome
	actor   string
	notes   int

	changed   bool // there were news that matter
	escalated bool // a request for copies has become a dispute
	said      map[string]bool
}

// Chargeback follows a dispute from its first report row to its outcome: the payment is flagged, the ERP shows it, people are reminded
// before the evidence is due, and the outcome is booked. That the money was taken, and came back, settlement books from its own rows.
func Chargeback(ctx workflow.Context, in ChargebackInput) (activities.ChargebackOutcome, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	c := &chargeback{in: in, said: map[string]bool{}, log: log.With(workflow.GetLogger(ctx), "order", in.OrderID, "case", in.Case.ID)}
	var err error
	if c.desk, err = ownDesk(steady, in.OrderID); err != nil {
		return "", err
	}
	workflow.GoNamed(steady, "news", func(ctx workflow.Context) {
		for {
			c.hear(ctx)
		}
	})
	c.open(steady)
	c.await(steady)
	c.record(steady, string(c.outcome))
	if !c.in.Case.Retrieval {
		c.book(steady)
		c.show(steady, c.outcome)
	}
	workflow.SetCurrentDetails(steady, fmt.Sprintf("%s (%s)", c.outcome, c.actor))
	return c.outcome, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

// hear takes what is new of the case. A repeated row changes nothing; the first outcome holds.
func (c *chargeback) hear(ctx workflow.Context) {
	var news ChargebackNews
	workflow.GetSignalChannel(ctx, SignalChargeback).Receive(ctx, &news)
	was := c.in.Case
	if was.Retrieval && news.Case.ID != "" && !news.Case.Retrieval { // a person's news may name no case
		c.in.Case, c.escalated, c.changed = news.Case, true, true
		c.in.Case.RespondBy = was.RespondBy
	}
	if due := news.Case.RespondBy; !due.IsZero() && !due.Equal(was.RespondBy) {
		c.in.Case.RespondBy, c.changed = due, true
	}
	if !c.ended() && news.Outcome != activities.ChargebackOpen {
		c.outcome, c.actor, c.changed = news.Outcome, news.Actor, true
	}
}

// open records the dispute and, unless it is but a request for copies, shows it in the ERP.
func (c *chargeback) open(ctx workflow.Context) {
	c.record(ctx, "opened")
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
	in := activities.RecordChargebackInput{
		OrderID: c.in.OrderID, Case: c.in.Case, Outcome: c.outcome, Actor: c.actor, Note: what,
		Key: fmt.Sprintf("chargeback/%s/%d", c.in.Case.ID, c.notes), At: workflow.Now(ctx).UTC(),
	}
	_ = c.desk.try(ctx, retried(stepRecordCase), func(ctx workflow.Context, _ int) error {
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
	s := posting(name, c.in.Policy.ParkDeadline, func(corrected string) { date = corrected })
	_ = c.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		return forward(ctx, activities.BookChargebackInput{
			OrderID: c.in.OrderID, SalesOrder: c.in.SalesOrder, Invoice: c.in.Invoice, Case: c.in.Case, Outcome: c.outcome, Site: c.in.Site,
			Date: date, Attempt: attempt,
		})
	})
}
